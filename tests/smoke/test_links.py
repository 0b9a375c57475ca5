"""Where the links of the public pages lead."""

from __future__ import annotations

import pytest

from fixtures.answers import Answer
from fixtures.crawl import Walk
from fixtures.declarations import asks, touches
from fixtures.evidence import Evidence

from .conftest import AtOnce

LINKED = 100
CRAWLED = 250


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="deployment-checklist")
@asks("GET /", "GET /login", "GET /register", "GET /marketplace")
@touches("GET /marketplace/*", "GET /dashboard", "GET /courses", "GET /settings")
def test_every_link_of_the_public_pages_leads_somewhere(
    answers: list[Answer], at_once: AtOnce, own: set[str], evidence: Evidence
) -> None:
    """A link to nothing is the first thing a visitor sees of a deployment that forgot a page."""
    walk = Walk(at_once.ask, own, LINKED)
    walk.follow(answers, deep=False)

    evidence.measure("links", len(walk.found_on), "")
    assert walk.broken() == []


@pytest.mark.daily
@pytest.mark.check(severity="P2", runbook="deployment-checklist")
@asks("GET /")
@touches("GET /*")
def test_every_page_that_a_visitor_can_reach_answers(
    answer: Answer, at_once: AtOnce, own: set[str], evidence: Evidence
) -> None:
    """Pages that nobody tests by name break, and stay broken until a customer writes."""
    walk = Walk(at_once.ask, own, CRAWLED)
    walk.follow([answer], deep=True)

    evidence.measure("pages", len(walk.answers), "")
    evidence.measure("links beyond the bound, not followed", len(walk.left), "")
    assert walk.broken() == []
