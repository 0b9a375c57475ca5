"""Our own credentials are to blame only where another account signs in; asked of the application itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse, Response

from ci.causes import Attribution
from ci.credentials import Credentials
from fixtures.model.verdict import NOT_SIGNED_IN, Cause, CheckResult, Outcome
from fixtures.run.rate_limits import RateLimitLedger
from fixtures.sandbox.app.call import Call
from fixtures.target.sandbox_handle import Account
from fixtures.target.target import Target
from tests.selftest.gate.verdicts import HEALTH, a_check
from tests.selftest.sandbox.running_app import RunningApp

ROUTE = "POST /api/auth/callback/credentials"
FORM = "tests/journeys/test_sign_in.py::test_sign_in_form"
BOTH = Attribution(Cause.EXISTING, "the control fails too")
ONLY_ONE = Attribution(Cause.UNKNOWN, "no control", without_control=True)


def blamed(
    app: RunningApp,
    tmp_path: Path,
    *refused: str,
    accounts: tuple[str, ...] = ("student", "other_student", "admin"),
    checks: tuple[CheckResult, ...] = (),
    found: Attribution = BOTH,
    spent: int = 0,
    shown: str = "",
) -> dict[str, Attribution]:
    """Return the blame for a red sign-in form, where the platform has other passwords of these accounts."""
    app.rows("UPDATE public.user_profiles SET failed_login_attempts = 0, account_locked_until = NULL")
    known = {name: app.accounts[name] for name in accounts}
    known |= {name: replace_password(known[name]) for name in refused}
    target = Target(name="production", url=app.url, mode="act", accounts=known)
    ledger = RateLimitLedger(tmp_path / "limits.json")
    for _ in range(spent):
        ledger.take("sign-ins", "earlier")
    form = a_check(FORM, outcome=Outcome.FAILED, spends={"sign-ins": 1})
    form.asks, form.asked = [ROUTE], [shown]
    return Credentials(target, ledger, "run").blame(checks or (form,), {FORM: found})


def replace_password(account: Account) -> Account:
    """Return the account with a password that the platform does not accept."""
    return Account(account.email, "Aa1-expired", account.role)


@pytest.mark.parametrize("found", [BOTH, ONLY_ONE], ids=["candidate and control", "no control"])
@pytest.mark.parametrize("refused", [("other_student",), ("student", "other_student")])
def test_refused_while_another_account_signs_in(
    app: RunningApp, tmp_path: Path, refused: tuple[str, ...], found: Attribution
) -> None:
    """A policy has ended the passwords of accounts that no person uses."""
    blame = blamed(app, tmp_path, *refused, found=found)[FORM]

    assert blame.cause is Cause.SELF_INFLICTED
    assert blame.evidence == "the account other_student is refused, and the account admin signed in right after it"
    assert "production.variables.other_student_password names in targets.toml" in blame.first_step


def test_the_other_student_is_a_witness_too(app: RunningApp, tmp_path: Path) -> None:
    """A target may have no further account."""
    assert blamed(app, tmp_path, "other_student", accounts=("student", "other_student"))


def test_a_check_that_could_not_sign_in_is_explained(app: RunningApp, tmp_path: Path) -> None:
    """The form works for one student, and the other one is refused."""
    waiting = a_check(HEALTH, outcome=Outcome.NOT_MEASURED)
    waiting.reason = f"the student {NOT_SIGNED_IN}: 401"

    blame = blamed(app, tmp_path, "student", checks=(waiting,))

    assert blame[HEALTH].evidence.startswith("the account student is refused")


@pytest.mark.parametrize(
    ("refused", "accounts"),
    [
        (("student", "other_student", "admin"), ("student", "other_student", "admin")),
        (("student", "other_student"), ("student", "other_student")),
        (("student",), ("student",)),
        # The form fails for another reason: the account signs in.
        ((), ("student", "other_student", "admin")),
    ],
    ids=["all", "both students", "the only one", "none"],
)
def test_where_no_other_account_signs_in_the_platform_is_to_blame(
    app: RunningApp, tmp_path: Path, refused: tuple[str, ...], accounts: tuple[str, ...]
) -> None:
    """Nobody can sign in, so users cannot either."""
    assert blamed(app, tmp_path, *refused, accounts=accounts) == {}


def test_a_candidate_that_refuses_alone_is_to_blame(app: RunningApp, tmp_path: Path) -> None:
    """The control accepts the same credentials."""
    deployment = Attribution(Cause.DEPLOYMENT, "red 5/5, 0/5 on the control")

    assert blamed(app, tmp_path, "other_student", found=deployment) == {}


@pytest.mark.parametrize(("status", "blames"), [(401, True), (403, True), (429, False), (500, False)])
def test_a_refusal_that_the_run_has_shown_is_not_asked_for_again(
    app: RunningApp, tmp_path: Path, status: int, *, blames: bool
) -> None:
    """A run and its pair leave one sign-in of five; the sixth would be answered with 429."""
    shown = f"POST {app.url}/api/auth/callback/credentials -> {status} in 5 ms"

    assert bool(blamed(app, tmp_path, "other_student", spent=4, shown=shown)) is blames


def test_a_refusal_of_another_address_is_asked_for_again(app: RunningApp, tmp_path: Path) -> None:
    """The candidate refuses on its own address before its promotion, and production does not."""
    shown = "POST http://127.0.0.1:1/api/auth/callback/credentials -> 401 in 5 ms"

    assert blamed(app, tmp_path, shown=shown) == {}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_is_no_refusal(app: RunningApp, tmp_path: Path, status: int) -> None:
    """The platform says nothing about the credentials then."""

    async def fail(_call: Call) -> Response:
        return PlainTextResponse("later", status)

    app.build.routes[ROUTE] = fail

    assert blamed(app, tmp_path, "other_student") == {}
