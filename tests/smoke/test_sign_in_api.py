"""The routes of sign-in, without the form."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.run.rate_limits import WRONG_PASSWORDS
from fixtures.site.accounts import csrf_token
from fixtures.site.client import cookies_of
from fixtures.site.wrong_password import Tried
from fixtures.target.target import Target


class Provider(msgspec.Struct):
    """One way to sign in."""

    signinUrl: str  # noqa: N815  (NextAuth's word)
    callbackUrl: str  # noqa: N815


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="authentication-issues")
@asks("GET /api/auth/session")
def test_anonymous_session_is_empty(answer: Answer) -> None:
    """Every page asks this first: an error signs everyone out, and a user in the answer is somebody else."""
    assert answer.status == HTTPStatus.OK
    assert answer.read(dict[str, object]) == {}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues")
@asks("GET /api/auth/providers")
def test_sign_in_addresses_stay_on_this_host(answer: Answer, target: Target) -> None:
    """With another host in these addresses, browsers send passwords there, and nobody is signed in."""
    providers = answer.read(dict[str, Provider])

    hosts = {urlsplit(url).netloc for way in providers.values() for url in (way.signinUrl, way.callbackUrl)}
    assert sorted(hosts) == [target.host]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues")
@asks("GET /api/auth/csrf")
def test_csrf_token_comes_with_its_cookie(answer: Answer) -> None:
    """Without this pair the platform refuses every sign-in, with status 200."""
    token = csrf_token(answer)

    cookies = {name: value for name, value in cookies_of(answer).items() if name.endswith("csrf-token")}
    assert [name for name, value in cookies.items() if token in value] != []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(
    severity="P0",
    judges="exposure",
    runbook="incident-security",
    needs=("accounts", "second-student"),
    spends={WRONG_PASSWORDS: 1},
)
@depends_on("POST /api/auth/callback/credentials", "GET /api/auth/session", "GET /api/auth/csrf")
def test_a_wrong_password_signs_nobody_in(wrong_password: Tried) -> None:
    """Everybody who knows a student's address gets into the account."""
    assert wrong_password.signed_in == "nobody"
