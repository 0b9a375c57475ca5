"""The health endpoint, and whether its answer is true."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Literal

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks
from fixtures.inspection.delivery import directives

PROMISED = {"basic", "memory", "database", "stripe"}
CLOCK_MAY_BE_OFF_S = 300
FROM_A_CACHE = {"HIT", "STALE", "PRERENDER"}


class Metrics(msgspec.Struct):
    """Its own response time in ms and memory in MB."""

    responseTime: float  # noqa: N815  (the platform's word)
    memoryUsage: float  # noqa: N815


class Health(msgspec.Struct):
    """GET /api/health. A check may be null: payments are off, and that is not a failure."""

    status: Literal["healthy", "unhealthy", "error"]
    timestamp: datetime
    checks: dict[str, bool | Literal["enabled", "disabled", "error"] | None]
    metrics: Metrics

    def failing(self) -> list[str]:
        """Return the failing checks, in either documented spelling."""
        return sorted(name for name, state in self.checks.items() if state is False or state == "error")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="application-health")
@asks("GET /api/health")
def test_health_endpoint_reports_no_failing_check(answer: Answer) -> None:
    """The pipeline rolls back on this endpoint, so that one failing entry in it is an outage."""
    health = answer.read(Health)

    assert [f"health check {name} fails" for name in health.failing()] == []
    assert health.status == "healthy"
    assert answer.status == HTTPStatus.OK


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="application-health")
@asks("GET /api/health", "GET /", "GET /login", "GET /marketplace", "GET /api/courses", "GET /api/auth/session")
def test_health_agrees_with_the_answers_that_users_get(answers: list[Answer]) -> None:
    """A health endpoint that tests nothing stays green through an outage, and everyone believes it."""
    health, *others = answers
    believed = others if health.code == HTTPStatus.OK and b'"healthy"' in health.content else []

    lies = [f"{other.exchange()}, but {health.exchange()} says healthy" for other in believed if _fails(other)]
    assert lies == []


def _fails(answer: Answer) -> bool:
    """Whether users get nothing from it: no answer, an error, or a page in place of data."""
    kind = "application/json" if "/api/" in answer.url else "text/html"
    return answer.code != HTTPStatus.OK or not answer.headers.get("content-type", "").startswith(kind)


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-health")
@asks("GET /api/health")
def test_health_reports_every_check_the_runbook_promises(answer: Answer) -> None:
    """An entry that is gone can never turn red again, and nobody notices."""
    health = answer.read(Health)

    assert sorted(PROMISED - health.checks.keys()) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="budget", runbook="high-memory-usage")
@asks("GET /api/health")
def test_memory_stays_below_the_limit(answer: Answer, budgets: Budgets) -> None:
    """Vercel kills a function that outgrows its memory in the middle of a request."""
    assert answer.read(Health).metrics.memoryUsage <= budgets.memory


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="budget", runbook="application-health")
@asks("GET /api/health")
def test_health_endpoint_answers_within_the_limit(answer: Answer, budgets: Budgets) -> None:
    """It measures itself, without network and cold start: a high time means a slow database or Stripe."""
    assert answer.read(Health).metrics.responseTime <= budgets.health_time


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-health")
@asks("GET /api/health")
def test_health_answer_is_fresh(answer: Answer) -> None:
    """A cached answer stays healthy for as long as the cache keeps it."""
    stamped = answer.read(Health).timestamp

    assert abs((datetime.now(UTC) - stamped).total_seconds()) <= CLOCK_MAY_BE_OFF_S
    assert not directives(answer.headers.get("cache-control", "")).keys().isdisjoint({"no-store", "no-cache"})
    assert answer.headers.get("x-vercel-cache", "MISS") not in FROM_A_CACHE


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-health")
@asks("HEAD /api/health")
def test_health_answers_head_requests_without_a_body(answer: Answer) -> None:
    """Uptime monitors send HEAD, and would report an outage that does not exist."""
    assert answer.status == HTTPStatus.OK
    assert answer.content == b""


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-health")
@asks("GET /api/health/simple", "GET /api/diag", "GET /api/ping")
def test_ping_and_diagnostic_routes_answer(answers: list[Answer]) -> None:
    """During an outage these routes show whether the router or the application is dead."""
    assert [probe for probe in answers if probe.status != HTTPStatus.OK] == []
    assert [probe for probe in answers if not probe.read(dict[str, object])] == []


class Stripe(msgspec.Struct):
    """The payments part of the health endpoint, in either documented spelling."""

    paymentsMode: str  # noqa: N815  (the platform's word)
    checks: dict[str, bool | Literal["enabled", "disabled", "error"] | None]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="payment-system-down")
@asks("GET /api/health")
def test_stripe_check_agrees_with_the_payments_mode(answer: Answer) -> None:
    """When two parts of the platform disagree about payments, nobody can buy, and no check notices."""
    health = answer.read(Stripe)
    off = health.checks.get("stripe") in {None, "disabled"}

    # Only the exact word switches payments on; the endpoint repeats any other as it is set.
    assert off is (health.paymentsMode != "stripe")
