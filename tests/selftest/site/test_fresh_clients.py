"""A fresh client does not use the rate limits of the run, and a limit that it reaches is no blocker."""

from __future__ import annotations

import pytest

from fixtures.model.verdict import Outcome
from fixtures.site.client import is_loopback
from fixtures.target.target import load
from tests.selftest.conftest import Stub, Suite

SPENDS = """
@post
@pytest.mark.check(severity="P1", judges="function", runbook="application-health", last=True)
@depends_on("GET /api/courses/search")
def test_uses_up(fresh_clients, site):
    first, second = fresh_clients(), fresh_clients()
    answers = [each.ask("GET /api/courses/search") for each in (first, second) for _ in range(20)]
    assert {answer.status for answer in answers} == {HTTPStatus.TOO_MANY_REQUESTS}
    assert site.ask("GET /api/health").status == HTTPStatus.OK

    assert answers == []
"""


def test_a_limit_that_a_fresh_client_uses_up_is_not_the_runs(suite: Suite, stub: Stub) -> None:
    """Forty searches where thirty are allowed; what is red is red, and not "self-inflicted"."""
    stub.json("GET /api/courses/search", "{}", 429, retry_after="9")
    stub.json("GET /api/health", "{}")
    suite.write(SPENDS)

    outcome = suite.run("-m", "postdeploy", "--target", stub.url)

    check = outcome.check("uses_up")
    assert (check.outcome, check.attempts[0].blocker) == (Outcome.FAILED, None)
    assert outcome.verdict.spent == {"requests": 41}


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.3.2.1", True),
        ("http://[::1]:80", True),
        ("https://7p.test", False),
        ("http://10.0.0.1", False),
    ],
)
def test_what_is_on_this_machine(url: str, near: bool) -> None:  # noqa: FBT001
    """Other targets see only the address of the runner."""
    assert is_loopback(url) is near


def test_only_the_sandbox_is_tried_unasked() -> None:
    """On a real platform the runner shares its address with others."""
    secrets = dict.fromkeys(
        ("VERCEL_TOKEN", "MONITOR_DATABASE_URL", "SYNTHETIC_STUDENT_EMAIL", "SYNTHETIC_STUDENT_PASSWORD"), "x"
    )

    named = {name: "rate-limits" in load(name, environ=secrets).capabilities for name in ("sandbox", "production")}
    assert named == {"sandbox": True, "production": False}
