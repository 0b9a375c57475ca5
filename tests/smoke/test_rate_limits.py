"""The rate limits that protect the platform from anonymous visitors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import depends_on
from fixtures.run.rate_limits import RATE_LIMITS
from fixtures.site.accounts import csrf_token
from fixtures.site.client import FreshClients, Site, cookies_of, is_loopback
from fixtures.target.target import Target

# No account has this password, and the platform refuses it as too weak.
UNKNOWN_PERSON = {"email": "7p-verify@example.com", "password": "kisa", "name": "7P Verify"}


def _sign_in(site: Site) -> Answer:
    csrf = site.ask("GET /api/auth/csrf")
    form = {"csrfToken": csrf_token(csrf), "json": "true", **UNKNOWN_PERSON}
    return site.ask("POST /api/auth/callback/credentials", form=form, cookies=cookies_of(csrf))


ATTEMPTS: dict[str, Callable[[Site], Answer]] = {
    "sign-ins": _sign_in,
    "registrations": lambda site: site.ask("POST /api/auth/register", json=UNKNOWN_PERSON),
    "resets": lambda site: site.ask("POST /api/auth/request-password-reset", json=UNKNOWN_PERSON),
    "enrolments": lambda site: site.ask("POST /api/enroll/free", json={}),
    "searches": lambda site: site.ask("GET /api/courses/search?q=7p"),
    "course-lists": lambda site: site.ask("GET /api/courses?limit=1"),
}


class _Named(msgspec.Struct):
    """An answer of NextAuth, whose address names the error."""

    url: str = ""

    @classmethod
    def of(cls, answer: Answer) -> str:
        """Return the address in the answer, an empty text when it has none."""
        try:
            return answer.read(cls).url
        except AssertionError:
            return ""


# Outside of loopback the check would use up the limits of everyone behind the runner's address.
HARMLESS = ("searches",)


@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="hardening", runbook="incident-security", needs=("rate-limits",), last=True)
@depends_on("POST /api/auth/callback/credentials", "GET /api/auth/csrf", "POST /api/auth/register")
@depends_on("POST /api/auth/request-password-reset", "POST /api/enroll/free")
@depends_on("GET /api/courses/search", "GET /api/courses")
def test_rate_limits_are_enforced(fresh_clients: FreshClients, threads: ThreadPoolExecutor, target: Target) -> None:
    """Without limits anyone can try passwords all night, and a script can read the whole catalogue every second."""
    names = tuple(ATTEMPTS) if is_loopback(target.url) else HARMLESS
    unlimited, mute = [], []
    for name in names:
        fresh_client = fresh_clients()
        answers = list(
            threads.map(
                lambda _, site=fresh_client, name=name: ATTEMPTS[name](site), range(RATE_LIMITS[name].amount + 1)
            )
        )
        limited = [answer for answer in answers if answer.status == HTTPStatus.TOO_MANY_REQUESTS]
        # NextAuth refuses with 401 in any case; then only the named error can tell a limit from a wrong password.
        said = {parse_qs(urlsplit(_Named.of(answer)).query).get("error", [""])[0] for answer in answers}
        noticed = limited or (name == "sign-ins" and len(said) > 1)
        unlimited += [] if noticed else [f"{name}: {len(answers)} in a row, none refused; {answers[-1].exchange()}"]
        mute += [answer for answer in limited if not answer.headers.get("retry-after", "").isdecimal()]

    assert unlimited == []
    assert mute == []
