"""What another site on the internet can make of this one."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from fixtures.answers import Answer
from fixtures.declarations import asks
from fixtures.targets import Target

# A host that can never exist.
ELSEWHERE = "https://7p-verify.invalid"
PREFLIGHT = {"origin": ELSEWHERE, "access-control-request-method": "POST"}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="incident-security")
@asks(
    f"GET /login?callbackUrl={ELSEWHERE}/",
    f"GET /api/auth/signin?callbackUrl={ELSEWHERE}/",
    f"GET /api/auth/csrf?callbackUrl={ELSEWHERE}/",
    "GET /api/auth/csrf",
)
def test_sign_in_never_leads_to_another_site(answers: list[Answer]) -> None:
    """A link to our own login that ends on a copy of it is how passwords are stolen."""
    hosts = {answer.url: urlsplit(answer.headers.get("location", "")).netloc for answer in answers if answer.status}
    cookies = [line for answer in answers for line in answer.headers.get_list("set-cookie")]
    links = [link for link in answers[0].page.links().values() if link.startswith(ELSEWHERE)]

    assert [url for url, host in hosts.items() if host == urlsplit(ELSEWHERE).netloc] == []
    assert [line for line in cookies if urlsplit(ELSEWHERE).netloc in line] == []
    assert links == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="incident-security")
@asks("GET /api/auth/session", "GET /api/health", "GET /api/enrollments", headers={"origin": ELSEWHERE})
@asks("OPTIONS /api/enrollments", "OPTIONS /api/payments/create-checkout-session", headers=PREFLIGHT)
def test_foreign_origins_are_granted_nothing(answers: list[Answer]) -> None:
    """Granted, any page that a signed-in student happens to visit acts in that student's name."""
    granted = [answer for answer in answers if answer.status and "access-control-allow-origin" in answer.headers]

    assert [(answer, answer.headers["access-control-allow-origin"]) for answer in granted] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="incident-security", needs=("accounts",))
@asks("GET /api/auth/csrf")
@asks("GET /api/auth/session", account="student")
def test_sign_in_cookies_are_out_of_reach_of_scripts(answers: list[Answer], target: Target) -> None:
    """One injected script reads what is not HttpOnly, and is signed in as everyone who sees it."""
    lines = [line for answer in answers for line in answer.headers.get_list("set-cookie")]
    assert [name for name in ("csrf-token", "session-token") if not any(name in line for line in lines)] == []

    wanted = {"httponly", "samesite=lax", "path=/"} | ({"secure"} if target.url.startswith("https:") else set())
    flags = {line.partition("=")[0]: {part.strip().lower() for part in line.split(";")[1:]} for line in lines}
    assert {name: sorted(wanted - found) for name, found in flags.items() if not wanted <= found} == {}
