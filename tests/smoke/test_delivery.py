"""Delivery at the edge: the deployment that answers, its speed, and its headers."""

from __future__ import annotations

import re
from http import HTTPStatus
from statistics import median

import httpx
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.budgets import Budgets, Reading
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.checks.evidence import NotMeasured
from fixtures.target.variants import Variant

from .conftest import AtOnce

SAMPLES = 3
MONITORED = ("/api/courses", "/api/health", "/api/auth/session")
YEAR = 31_536_000


def _builds(pages: list[Answer]) -> dict[str, Answer]:
    return {build: page for page in pages if page.status for build in page.builds}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="zero-downtime-deployment", needs=("vercel",))
@asks("GET /", "GET /login", "GET /api/health", "GET /api/courses")
def test_every_answer_comes_from_the_deployment_under_test(answers: list[Answer], variant: Variant) -> None:
    """A green answer of another deployment proves nothing about this one."""
    other_students = [(answer, name) for answer in answers for name in sorted(answer.named - {variant.deployment_id})]

    assert other_students == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="zero-downtime-deployment")
@asks("GET /", "GET /login", "GET /marketplace")
@follow_up(lambda answers: [f"GET /_next/static/{build}/_buildManifest.js" for build in sorted(_builds(answers))])
@depends_on("GET /_next/*")
def test_pages_name_the_build_that_is_served(answers: list[Answer], followed: list[Answer]) -> None:
    """A page of another build reloads the whole site at every click, or asks for a script that is gone."""
    builds = _builds(answers)
    if not builds:
        reason = "no page names its build"
        raise NotMeasured(reason)

    assert [manifest for manifest in followed if manifest.status != HTTPStatus.OK] == []
    assert list(builds.items())[1:] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="budget", runbook="key-metrics-dashboard")
@depends_on(*(f"GET {path}" for path in MONITORED))
@pytest.mark.parametrize("path", MONITORED)
def test_response_time_stays_within_the_limit(path: str, at_once: AtOnce, budgets: Budgets) -> None:
    """The runbook calls two seconds for an API answer slow; users call it broken."""
    answers = at_once.ask([f"GET {path}"] * SAMPLES)
    times = [1000 * answer.seconds for answer in answers if answer.status]

    assert Reading(median(times), len(times)) <= budgets.response_time


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="hardening", runbook="incident-security")
@asks("GET /", "GET /login", "GET /api/health", "GET /api/courses")
def test_security_headers_are_on_every_answer(answers: list[Answer]) -> None:
    """Users do not see that these headers are missing; attackers do. A rollback is not worth it."""
    missing = [
        f"{answer.url}: {fault}" for answer in answers if answer.status for fault in faults_of_headers(answer.headers)
    ]

    assert missing == []


def faults_of_headers(headers: httpx.Headers) -> list[str]:
    """
    Return the security headers that are missing or too weak, as a browser reads them.

    Names, values and directives have no case and no order; a proxy may repeat a value; a policy may have more
    directives. `frame-ancestors` says the same as X-Frame-Options, and browsers prefer it.
    """
    policies = [line for line in headers.get_list("content-security-policy", split_commas=True) if line.strip()]
    ancestors = re.findall(r"(?:^|[;,])\s*frame-ancestors\s+([^;,]+)", ",".join(policies), re.IGNORECASE)
    unframed = any(sources.strip().lower() == "'none'" for sources in ancestors)
    held = re.search(r"(?:^|[;,])\s*max-age\s*=\s*\"?(\d{1,18})", _of(headers, "strict-transport-security"))
    rules = {
        f"Strict-Transport-Security below {YEAR}": held is not None and int(held[1]) >= YEAR,
        "no Content-Security-Policy": bool(policies),
        "X-Frame-Options is not DENY": unframed or _values(headers, "x-frame-options") == {"deny"},
        "X-Content-Type-Options is not nosniff": _values(headers, "x-content-type-options") == {"nosniff"},
        "no Referrer-Policy": bool(_of(headers, "referrer-policy")),
        "no Permissions-Policy": bool(_of(headers, "permissions-policy")),
    }
    return [fault for fault, holds in rules.items() if not holds]


def _of(headers: httpx.Headers, name: str) -> str:
    return str(headers.get(name, "")).strip().lower()


def _values(headers: httpx.Headers, name: str) -> set[str]:
    return {value.strip() for value in _of(headers, name).split(",")}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P3", judges="hardening", runbook="incident-security")
@asks("GET /", "GET /login", "GET /api/health", "GET /api/courses")
def test_no_answer_names_the_framework(answers: list[Answer]) -> None:
    """X-Powered-By tells an attacker which known holes to try first."""
    assert [answer for answer in answers if "x-powered-by" in answer.headers] == []
