"""Attacks by another site on the internet: open redirects, foreign origins, stolen cookies."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks
from fixtures.target.target import Target

# A host that can never exist.
ELSEWHERE = "https://7p-verify.invalid"
PREFLIGHT = {
    "origin": ELSEWHERE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type, cookie",
}
# Ways to write another site, or a script, where a path is expected: browsers read a backslash as a slash.
ASTRAY = [
    quote(to, safe="")
    for to in (f"{ELSEWHERE}/", "//7p-verify.invalid/", "/\\7p-verify.invalid/", "javascript:alert(document.domain)")
]
OF_SIGN_IN = ("next-auth", "csrf-token", "session-token", "callback-url")
ENTRIES = ("/login", "/api/auth/signin", "/api/auth/csrf")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@asks("GET /api/auth/csrf", *(f"GET {entry}?callbackUrl={to}" for entry in ENTRIES for to in ASTRAY))
def test_sign_in_never_leads_to_another_site(answers: list[Answer]) -> None:
    """Attackers steal passwords with a link to our own login that ends on a copy of it."""
    ways = [(answer.exchange(), answer.headers.get("location", "")) for answer in answers if answer.status]
    ways += [(answer.exchange(), line) for answer in answers for line in answer.headers.get_list("set-cookie")]
    pages = [answer for answer in answers if "/login?" in answer.url]
    ways += [(answer.exchange(), link) for answer in pages for link in answer.page.links().values()]

    assert [(asked, way) for asked, way in ways if _is_astray(way)] == []


def _is_astray(way: str) -> bool:
    """Whether a Location, a cookie or a link leads to another host; a parameter of an own address does not count."""
    to = unquote(way).replace("\\", "/").strip().lower()
    leads_out = urlsplit(to).netloc == urlsplit(ELSEWHERE).netloc or to.startswith("javascript:")
    kept = to.partition(";")[0].partition("=")[2] if "callback-url=" in to else ""
    return leads_out or bool(kept and _is_astray(kept))


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="hardening", runbook="incident-security")
@asks("GET /api/auth/session", "GET /api/health", "GET /api/enrollments", headers={"origin": ELSEWHERE})
@asks("GET /api/auth/session", "GET /api/enrollments", headers={"origin": "null"})
@asks("OPTIONS /api/enrollments", "OPTIONS /api/payments/create-checkout-session", headers=PREFLIGHT)
def test_foreign_origins_get_no_access(answers: list[Answer]) -> None:
    """With access, any page that a signed-in student happens to visit acts in that student's name."""
    granted = [answer for answer in answers if answer.status and "access-control-allow-origin" in answer.headers]

    assert [(answer, answer.headers["access-control-allow-origin"]) for answer in granted] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="hardening", runbook="incident-security", needs=("accounts",))
@asks("GET /api/auth/csrf")
@asks("GET /api/auth/session", account="student")
def test_scripts_cannot_read_sign_in_cookies(answers: list[Answer], target: Target) -> None:
    """One injected script reads every cookie that is not HttpOnly, and signs in as its owner."""
    lines = [line for answer in answers for line in answer.headers.get_list("set-cookie")]
    assert [name for name in ("csrf-token", "session-token") if not any(name in line for line in lines)] == []
    assert faults_of_cookies(lines, secure=target.url.startswith("https:")) == []


def faults_of_cookies(lines: list[str], *, secure: bool) -> list[str]:
    """
    Return the mistakes in NextAuth's cookies, as their `set-cookie` lines show them; other cookies may be read.

    secure: whether the site is on https. There their names have prefixes, which keep plain http from setting them.
    """
    wanted = {"httponly", "samesite=lax", "path=/"} | ({"secure"} if secure else set())
    faults = []
    for line in lines:
        name = line.partition("=")[0]
        if not any(word in name for word in OF_SIGN_IN):
            continue
        flags = {part.strip().lower() for part in line.split(";")[1:]}
        prefix = "" if not secure else "__Host-" if "csrf-token" in name else "__Secure-"
        faults += [f"{name} without {flag}" for flag in sorted(wanted - flags)]
        faults += [f"{name} is not named {prefix}…"] if not name.startswith(f"{prefix}next-auth.") else []
        faults += [f"{name} for a whole domain" for flag in flags if flag.startswith("domain=") and prefix == "__Host-"]
    return faults
