"""Attacks by another site on the internet: open redirects, foreign origins, stolen cookies."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks
from fixtures.checks.evidence import NotMeasured
from fixtures.site.client import cookie_of
from fixtures.target.target import Target

# A host that can never exist.
ELSEWHERE = "https://7p-verify.invalid"
PREFLIGHT = {
    "origin": ELSEWHERE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type, cookie",
}
SCRIPT = "javascript:alert(document.domain)"
# Ways to write another site, or a script, where a path is expected: browsers read a backslash as a slash.
ASTRAY = [quote(to, safe="") for to in (f"{ELSEWHERE}/", "//7p-verify.invalid/", "/\\7p-verify.invalid/", SCRIPT)]
# NextAuth's cookies of a session, in one piece or in several, and those of the second token system.
_OF_A_SESSION = re.compile(
    r"(?P<prefix>__Host-|__Secure-|)(?:(?:next-auth|authjs)\.(?P<kind>session-token|csrf-token)(?:\.\d+)?|"
    r"session-token|access_token|refresh_token)"
)
ENTRIES = ("/login", "/api/auth/signin", "/api/auth/csrf")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@asks("GET /api/auth/csrf", *(f"GET {entry}?callbackUrl={to}" for entry in ENTRIES for to in ASTRAY))
def test_sign_in_never_leads_to_another_site(answers: list[Answer]) -> None:
    """Attackers steal passwords with a link to our own login that ends on a copy of it."""
    ways = [(answer.exchange(), answer.headers.get("location", "")) for answer in answers if answer.status]
    cookies = [(answer, *cookie_of(line.partition(";")[0])) for answer in answers for line in _lines(answer)]
    ways += [(answer.exchange(), value) for answer, name, value in cookies if name.endswith("callback-url")]
    pages = [answer for answer in answers if "/login?" in answer.url]
    ways += [(answer.exchange(), link) for answer in pages for link in answer.page.links().values()]

    assert [(asked, way) for asked, way in ways if _is_astray(way)] == []


def _lines(answer: Answer) -> list[str]:
    return answer.headers.get_list("set-cookie")


def _is_astray(way: str) -> bool:
    """Whether a Location or a link leads to another host; a parameter of an own address does not count."""
    to = unquote(way).replace("\\", "/").strip().lower()
    try:
        host = urlsplit(to).netloc
    except ValueError:  # an address that no browser can open either
        return False
    return host == urlsplit(ELSEWHERE).netloc or to == SCRIPT.lower()


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="hardening", runbook="incident-security")
@asks("GET /api/auth/session", "GET /api/health", "GET /api/enrollments", headers={"origin": ELSEWHERE})
@asks("GET /api/auth/session", "GET /api/enrollments", headers={"origin": "null"})
@asks("OPTIONS /api/enrollments", "OPTIONS /api/payments/create-checkout-session", headers=PREFLIGHT)
def test_foreign_origins_get_no_access(answers: list[Answer]) -> None:
    """With access, any page that a signed-in student happens to visit acts in that student's name."""
    assert [answer for answer in answers if answer.status and grants_a_session(answer)] == []


def grants_a_session(answer: Answer) -> bool:
    """Whether a browser lets the page of another site read this answer with the cookies of its visitor."""
    granted = str(answer.headers.get("access-control-allow-origin", "")).strip()
    with_cookies = str(answer.headers.get("access-control-allow-credentials", "")).strip() == "true"
    # The platform's own origin, which a CDN may name on every answer, grants nothing to others.
    return with_cookies and granted in {ELSEWHERE, "null", "*"}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="hardening", runbook="incident-security")
@asks("GET /api/auth/session", "GET /api/enrollments", headers={"origin": ELSEWHERE})
def test_the_api_names_no_foreign_origin(answers: list[Answer]) -> None:
    """Without cookies a foreign page reads what everybody may; the contract grants it nothing all the same."""
    named = [str(answer.headers.get("access-control-allow-origin", "")) for answer in answers if answer.status]
    assert [origin for origin in named if origin in {ELSEWHERE, "*"}] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="hardening", runbook="incident-security", needs=("accounts",))
@asks("GET /api/auth/csrf")
@asks("GET /api/auth/session", account="student")
def test_scripts_cannot_read_sign_in_cookies(answers: list[Answer], target: Target) -> None:
    """One injected script reads every cookie that is not HttpOnly, and signs in as its owner."""
    lines = [line for answer in answers for line in _lines(answer)]
    if not any(_OF_A_SESSION.fullmatch(cookie_of(line.partition(";")[0])[0]) for line in lines):
        reason = f"no answer sets a cookie of a session: {answers[0].exchange()}"
        raise NotMeasured(reason)

    assert faults_of_cookies(lines, secure=target.url.startswith("https:")) == []


def faults_of_cookies(lines: list[str], *, secure: bool) -> list[str]:
    """
    Return the mistakes in the cookies of a session, as their `set-cookie` lines show them; a cleared one has none.

    Every other cookie serves its own purpose: a language, a consent, a robot manager's or an analyst's mark.
    secure: whether the site is on https. There the names have prefixes, which keep plain http from setting them.
    """
    faults = []
    for line in lines:
        pair, *attributes = line.split(";")
        name, value = cookie_of(pair)
        known = _OF_A_SESSION.fullmatch(name)
        flags = {re.sub(r"\s*=\s*", "=", attribute.strip().lower()) for attribute in attributes}
        if known is None or not value or "max-age=0" in flags:
            continue
        wanted = {"httponly", "path=/"} | ({"secure"} if secure else set())
        faults += [f"{name} without {flag}" for flag in sorted(wanted - flags)]
        faults += [f"{name} without samesite=lax"] if flags.isdisjoint({"samesite=lax", "samesite=strict"}) else []
        prefixes = ("__Host-",) if known["kind"] == "csrf-token" else ("__Secure-", "__Host-")
        is_prefixed = known["prefix"] in prefixes or not secure or known["kind"] is None
        faults += [] if is_prefixed else [f"{name} is not named {prefixes[0]}…"]
        has_domain = known["prefix"] == "__Host-" and any(flag.startswith("domain=") for flag in flags)
        faults += [f"{name} for a whole domain"] if has_domain else []
    return faults
