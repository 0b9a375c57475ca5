"""What holds for every route of the API alike."""

from __future__ import annotations

import pytest

from fixtures.answers import Answer
from fixtures.declarations import asks
from fixtures.routes import is_page, probe, routes

# A redirect has no body to speak of; what waits for a query of its own is asked with one elsewhere.
READS = [probe(route) for route in routes() if route.startswith("GET /api/") and not is_page(route)]
REDIRECTS = ("GET /api/auth/signin", "GET /api/auth/error")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading")
@asks(*(route for route in READS if route not in REDIRECTS))
def test_every_api_route_answers_in_json(answers: list[Answer]) -> None:
    """A page where data was asked for is an outage, whatever its status: every client fails to read it."""
    kinds = {answer.exchange(): answer.headers.get("content-type", "none") for answer in answers if answer.status}

    assert {asked: kind for asked, kind in kinds.items() if not kind.startswith("application/json")} == {}
