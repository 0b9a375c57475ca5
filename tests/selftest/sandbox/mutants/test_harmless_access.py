"""The harmless rules of access and time: each shows, and nobody loses anything."""

from __future__ import annotations

import re
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

import pytest

from fixtures.sandbox.app.limits import healthy_limits
from fixtures.sandbox.mutants import Mutant, Rule
from fixtures.sandbox.mutants.harmless import access, pace
from tests.selftest.sandbox.mutants.harmless_client import (
    OF_AREA,
    Client,
    Shows,
    change,
    lost,
    own_rules,
    samples,
    signs_in,
    subject_of,
)

RULES = own_rules(access, pace)
SESSION_PATH = "/api/auth/session"
COOKIE_SPELLINGS = {
    "reversed": "SameSite=Lax; HttpOnly",
    "capitals": "HTTPONLY",
    "max-age": "Max-Age=86400",
    "no-space": ";HttpOnly",
}
ATTEMPTS = {name: limit.attempts for name, limit in healthy_limits().items()}


def _lives(client: Client) -> float:
    line = client.cookie("session-token", SESSION_PATH, student=True)
    return parsedate_to_datetime(re.findall("Expires=([^;]+)", line)[0]).timestamp() - time.time()


def _attempts(client: Client, name: str) -> int:
    return client.app.platform.limits.rules[name].attempts


def _clock(client: Client) -> float:
    told = client.get("/api/health/simple").json()["timestamp"]
    return datetime.fromisoformat(told).timestamp() - time.time()


SHOWS: dict[str, Shows] = {
    "cookie-is-stricter": lambda client, subject: (
        subject.attribute in client.cookie(subject.cookie, SESSION_PATH, student=subject.cookie == "session-token")
    ),
    "cookies-are-spelled-otherwise": lambda client, way: (
        COOKIE_SPELLINGS[way.name] in client.cookie("session-token", SESSION_PATH, student=True)
    ),
    "session-lives-longer": lambda client, days: _lives(client) > (int(days.name) - 0.1) * access.DAY,
    "session-is-renewed-by": lambda client, area: (
        client.cookie("session-token", OF_AREA[area.name], student=True) != ""
    ),
    "page-is-guarded-by-the-server-too": lambda client, page: client.leads(re.sub("{.*?}", "x", page.path)).startswith(
        "/login?callbackUrl="
    ),
    "administration-is-hidden": lambda client, page: client.get(page.path, student=True).status_code == 404,
    "administration-leads-away-at-once": lambda client, page: client.leads(page.path, student=True) == "/dashboard",
    "sign-out-clears-more": lambda client, _: "clear-site-data" in client.ask("POST", "/api/auth/signout").headers,
    "private-page-is-kept-from-search": lambda client, page: (
        "noindex" in client.get(page.path, student=True).headers.get("x-robots-tag", "")
    ),
    "more-requests-are-let-in": lambda client, limit: _attempts(client, limit.name) > ATTEMPTS[limit.name],
    "fewer-requests-are-let-in": lambda client, limit: 10 < _attempts(client, limit.name) < ATTEMPTS[limit.name],
    "page-is-a-little-later": lambda client, late: client.later(late.path, late.ms / 1000),
    "api-is-a-little-later": lambda client, late: client.later(late.path, late.ms / 1000),
    "asset-is-a-little-later": lambda client, asset: client.later(
        f"/_next/static/{client.app.build.id}/{asset.name}", 0.1
    ),
    "first-request-is-cold": lambda client, subject: (
        client.seconds(OF_AREA[subject.area.name]) >= 0.3 > client.seconds(OF_AREA[subject.area.name])
    ),
    "time-varies": lambda client, area: max(client.seconds(OF_AREA[area.name]) for _ in range(5)) >= 0.05,
    "one-in-twenty-is-later": lambda client, area: any(client.seconds(OF_AREA[area.name]) >= 0.5 for _ in range(60)),
    "body-comes-in-pieces": lambda client, area: client.later(OF_AREA[area.name], 0.08),
    "slower-while-it-warms-up": lambda client, subject: client.seconds(OF_AREA[subject.area.name]) >= 0.15,
    "clock-is-off": lambda client, seconds: abs(_clock(client) - float(seconds.name)) < 2,
    "network-is-far-away": lambda client, area: client.later(OF_AREA[area.name], 0.04),
}


def test_every_rule_is_in_the_table() -> None:
    """A rule without a proof may hurt."""
    assert set(SHOWS) == set(RULES)


@pytest.mark.parametrize(("rule", "mutant"), samples(RULES.values()), ids=lambda part: part.name)
def test_a_harmless_change_shows_and_takes_nothing(client: Client, rule: Rule, mutant: Mutant) -> None:
    """A healthy build shows no such change; after it everybody does what they did before."""
    subject = subject_of(rule, mutant)
    assert not SHOWS[rule.name](client, subject), "a healthy build shows it too"
    client.app.deploy()
    change(client.app, mutant)

    assert SHOWS[rule.name](client, subject)
    if mutant.kind == "access":
        assert [*lost(client), *signs_in(client)] == []


def test_the_way_of_a_student_is_whole_on_a_healthy_build(client: Client) -> None:
    """The proof itself must pass where nothing is changed."""
    assert [*lost(client), *signs_in(client)] == []


@pytest.mark.parametrize("route", ["GET /login", "GET /api/courses", "GET /dashboard", "GET /sitemap-{name}.xml"])
def test_the_way_of_a_student_finds_a_loss(client: Client, route: str) -> None:
    """A proof that passes on everything proves nothing."""
    client.app.build.routes[route] = client.app.build.routes["GET /api/ping"]

    with pytest.raises((AssertionError, KeyError, TypeError)):
        assert lost(client) == []
