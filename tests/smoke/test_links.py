"""The links of the public pages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.checks.evidence import Evidence
from fixtures.inspection.crawl import Walk, next_links, path_of
from fixtures.site.client import AT_ONCE

from .conftest import AtOnce

PAGES = ("GET /", "GET /login", "GET /register", "GET /marketplace")
LINKED = 100
CRAWLED = 250


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="deployment-checklist")
@asks(*PAGES)
@follow_up(*[next_links(len(PAGES), LINKED)] * (LINKED // AT_ONCE))
@depends_on("GET /marketplace/*", "GET /dashboard", "GET /courses", "GET /settings")
def test_every_link_of_the_public_pages_works(
    answers: list[Answer], followed: list[Answer], at_once: AtOnce, own: set[str], evidence: Evidence
) -> None:
    """A dead link is the first thing that a visitor notices of a deployment that forgot a page."""
    known = {f"GET {path_of(answer.url)}": answer for answer in followed}

    def ask(requests: Sequence[str]) -> list[Answer]:
        asked = at_once.ask(request for request in requests if request not in known)
        return [known[request] if request in known else asked.pop(0) for request in requests]

    walk = Walk(ask, own, LINKED)
    walk.follow(answers, deep=False)

    evidence.measure("links", len(walk.found_on), "")
    assert walk.broken() == []


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="function", runbook="deployment-checklist")
@asks("GET /")
@depends_on("GET /*")
def test_every_page_that_a_visitor_can_reach_answers(
    answer: Answer, at_once: AtOnce, own: set[str], evidence: Evidence
) -> None:
    """A page that no check names stays broken until a customer complains."""
    walk = Walk(at_once.ask, own, CRAWLED)
    walk.follow([answer], deep=True)

    evidence.measure("pages", len(walk.answers), "")
    evidence.measure("links beyond the bound, not followed", len(walk.left), "")
    assert walk.broken() == []
