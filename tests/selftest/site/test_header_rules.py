"""Security headers are read as a browser reads them: no case, no order, more directives, stricter values."""

from __future__ import annotations

import httpx
import pytest

from fixtures.checks.answers import Answer
from tests.smoke.test_delivery import faults_of_headers
from tests.smoke.test_foreign_sites import ELSEWHERE, grants_a_session

HEALTHY = {
    "strict-transport-security": "max-age=63072000; includeSubDomains; preload",
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=()",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strict-transport-security", 'includeSubDomains; MAX-AGE="31536000"'),
        ("strict-transport-security", "preload;max-age = 31536000"),
        ("content-security-policy", "default-src 'self'; frame-ancestors 'none', script-src 'self'; report-to csp"),
        ("x-frame-options", "deny, DENY"),
        ("x-frame-options", ""),
        ("x-content-type-options", "NoSniff, nosniff"),
        ("referrer-policy", "no-referrer"),
        ("permissions-policy", "camera=(), geolocation=(self)"),
    ],
)
def test_another_spelling_holds_as_well(name: str, value: str) -> None:
    """A proxy repeats, reorders and lowers; nothing is weaker for it."""
    assert faults_of_headers(httpx.Headers(HEALTHY | {name: value})) == []


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("strict-transport-security", "max-age=300", "Strict-Transport-Security below 31536000"),
        ("strict-transport-security", "x-max-age=63072000", "Strict-Transport-Security below 31536000"),
        ("content-security-policy", "", "no Content-Security-Policy"),
        ("x-content-type-options", "sniff", "X-Content-Type-Options is not nosniff"),
        ("referrer-policy", "", "no Referrer-Policy"),
    ],
)
def test_a_weaker_header_is_found(name: str, value: str, fault: str) -> None:
    """Each header is judged by what it allows."""
    assert fault in faults_of_headers(httpx.Headers(HEALTHY | {name: value}))


def test_a_page_that_others_may_frame_is_found() -> None:
    """Both headers are weak then: the newer one wins where both are there."""
    weak = {"x-frame-options": "SAMEORIGIN", "content-security-policy": "frame-ancestors 'self' https://a.test"}

    assert faults_of_headers(httpx.Headers(HEALTHY | weak)) == ["X-Frame-Options is not DENY"]


@pytest.mark.parametrize(
    ("origin", "credentials", "grants"),
    [
        (ELSEWHERE, "true", True),
        ("null", "true", True),
        ("*", "true", True),
        ("*", "", False),
        (ELSEWHERE, "false", False),
        ("https://7peducation.com", "true", False),
        ("", "true", False),
    ],
)
def test_only_a_grant_with_cookies_opens_a_session(origin: str, credentials: str, grants: bool) -> None:  # noqa: FBT001  (a column of the table)
    """A CDN that names our own origin on every answer gives nothing away."""
    headers = {"access-control-allow-origin": origin, "access-control-allow-credentials": credentials}

    assert grants_a_session(Answer("GET", "https://7p.test/api/x", 200, httpx.Headers(headers))) is grants
