"""
Finds out whether only our own credentials are refused: a policy has ended the password of a synthetic account.

Our credentials are to blame when candidate and control refuse them, and another account signs in within the minute.
Where every account is refused, the platform is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

import httpx
import msgspec

from ci.causes import Attribution
from ci.web import new_client
from fixtures.model import redaction
from fixtures.model.verdict import NOT_SIGNED_IN, Cause, CheckResult, Judges, Outcome
from fixtures.run.rate_limits import WRONG_PASSWORDS, BudgetSpentError, RateLimitLedger
from fixtures.target.sandbox_handle import Account
from fixtures.target.target import Target
from fixtures.target.variants import Variant, headers_for

_ROUTE = "POST /api/auth/callback/credentials"
_TIMEOUT = 5.0
_STUDENTS = ("other_student", "student")


class SignIn(Enum):
    """The result of a sign-in."""

    DONE = "signed in"
    REFUSED = "refused"
    # A server error, silence, a rate limit: it says nothing about the credentials.
    FAILED = "failed"


@dataclass(frozen=True)
class Credentials:
    """The accounts of a target, tried within the platform's rate limit. ledger: counts each attempt."""

    target: Target
    ledger: RateLimitLedger
    run_id: str

    def blame(self, checks: Iterable[CheckResult], causes: dict[str, Attribution]) -> dict[str, Attribution]:
        """
        Return the red sign-ins for which our own credentials are to blame; {}: none, or nobody can say.

        causes: those that are known. A check that only the candidate fails is not asked about: its build is to blame.
        """
        suspects = [check for check in checks if _is_about_sign_in(check) and self._on_both_sides(check, causes)]
        roles = [role for role in _STUDENTS if role in self.target.accounts]
        if not suspects or not roles:
            return {}
        # The form is filled in by the second student; where it works, the first one is refused.
        by_form = any(check.outcome is Outcome.FAILED for check in suspects)
        refused = roles[0] if by_form else "student"
        others = [role for role in self.target.accounts if role not in roles] or [
            one for one in roles if one != refused
        ]
        try:
            # The run has shown the refusal mostly, and few sign-ins are left.
            seen = self._saw_refusal(suspects) or self._try(refused) is SignIn.REFUSED
            if not (seen and others and self._try(others[0]) is SignIn.DONE):
                return {}
        except BudgetSpentError:
            return {}
        evidence = f"the account {refused} is refused, and the account {others[0]} signed in right after it"
        step = f"Renew the password of the account {refused} on the platform, then set it in the variable that "
        step += f"{self.target.name}.variables.{refused}_password names in targets.toml"
        return {check.node_id: Attribution(Cause.SELF_INFLICTED, evidence, step) for check in suspects}

    @staticmethod
    def _on_both_sides(check: CheckResult, causes: dict[str, Attribution]) -> bool:
        if check.outcome is Outcome.NOT_MEASURED:
            return NOT_SIGNED_IN in check.reason
        found = causes.get(check.node_id)
        return found is not None and (found.cause is Cause.EXISTING or found.without_control)

    def _saw_refusal(self, checks: Iterable[CheckResult]) -> bool:
        """Whether an exchange with production shows it; a 429 is no answer about the credentials."""
        refusal = re.compile(rf"{re.escape(self.target.url)}{_ROUTE.removeprefix('POST ')} -> 4(?!29)\d\d")
        lines = (line for check in checks for line in (check.reason, *check.asked))
        return any(refusal.search(line) for line in lines)

    def _try(self, role: str) -> SignIn:
        """Sign in on production once; raises BudgetSpentError where the rate limit allows no attempt."""
        self.ledger.take("sign-ins", self.run_id)
        try:
            done = _sign_in(self.target, self.target.accounts[role])
        except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError):
            return SignIn.FAILED
        if done is SignIn.REFUSED:
            # The platform locks an account after a few of them.
            self.ledger.note(WRONG_PASSWORDS, self.run_id)
        return done


def _is_about_sign_in(check: CheckResult) -> bool:
    urgent = check.severity.is_urgent and check.judges is Judges.FUNCTION
    if check.outcome is Outcome.NOT_MEASURED:
        return urgent
    return urgent and check.outcome is Outcome.FAILED and _ROUTE in check.asks and "sign-ins" in check.spends


class _Csrf(msgspec.Struct, rename="camel"):
    csrf_token: str


class _User(msgspec.Struct):
    email: str = ""


class _Session(msgspec.Struct):
    user: _User | None = None


def _sign_in(target: Target, account: Account) -> SignIn:
    """Sign in as NextAuth's form does; raises httpx.HTTPError or msgspec.MsgspecError for any other answer."""
    headers = headers_for(target.url, target, Variant(name="target", url=target.url))
    with new_client(_TIMEOUT) as client:
        csrf = client.get(f"{target.url}/api/auth/csrf", headers=headers)
        fields = {
            "csrfToken": msgspec.json.decode(csrf.content, type=_Csrf).csrf_token,
            "email": account.email,
            "password": account.password,
            "callbackUrl": target.url,
            "json": "true",
        }
        answer = client.post(f"{target.url}{_ROUTE.removeprefix('POST ')}", headers=headers, data=fields)
        redaction.register(client.cookies.values())
        told = client.get(f"{target.url}/api/auth/session", headers=headers)
    user = msgspec.json.decode(told.content, type=_Session).user
    if user is not None and user.email.casefold() == account.email.casefold():
        return SignIn.DONE
    limited = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
    is_refusal = answer.is_client_error or "error=" in answer.text
    return SignIn.REFUSED if is_refusal and not limited and told.is_success and user is None else SignIn.FAILED
