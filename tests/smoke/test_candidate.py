"""The candidate on its own address, before production is given to it."""

from __future__ import annotations

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.blockers import blocker_of
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotMeasured
from fixtures.site.client import Site
from fixtures.target.target import Target
from fixtures.target.variants import Variant


@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="deployment-checklist", needs=("vercel",), daily=False)
@asks("GET /", "GET /login", "GET /api/health")
def test_the_candidate_itself_answers_on_its_own_address(answers: list[Answer], variant: Variant) -> None:
    """Protection, an alias or a cache may answer instead: every other green check would then be about another build."""
    if variant.deployment_id is None:
        reason = "the candidate is not known; set SYNTHETIC_DEPLOYMENT"
        raise NotMeasured(reason)

    # On its own address only the candidate answers, unless something in front of it does.
    own = {variant.deployment_id} | ({None} if variant.own_address else set())
    assert [
        answer for answer in answers if answer.status and (blocker_of(answer) or answer.deployment not in own)
    ] == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="zero-downtime-deployment", needs=("vercel",), daily=False)
@depends_on("GET /api/ping")
def test_production_does_not_serve_the_candidate_yet(site: Site, target: Target, variant: Variant) -> None:
    """Checks before the promotion protect users only while users do not have the build yet."""
    production = site.ask(f"GET {target.url}/api/ping")

    assert production.status < 500
    assert [answer for answer in [production] if answer.deployment == variant.deployment_id] == []
