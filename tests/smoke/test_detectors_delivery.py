"""Delivery of every public answer: encoding, hosts, compression, caching and response time."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.inspection import delivery
from fixtures.inspection.detectors import EVERY_ANSWER, offenders
from fixtures.inspection.inspected import WEIGHT, Inspected
from fixtures.target.variants import origin_of

from .conftest import AtOnce, its_assets

WARM = {"HIT", "STALE", "PRERENDER", "REVALIDATED"}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@EVERY_ANSWER
def test_every_answer_can_be_read_in_turkish(answers: list[Answer]) -> None:
    """A wrong charset turns "Giriş" into "GiriÅŸ" for everyone."""
    assert offenders(answers, delivery.garbled) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="hardening", runbook="incident-security")
@EVERY_ANSWER
def test_no_page_loads_anything_over_plain_http(answers: list[Answer], own: set[str]) -> None:
    """Browsers block such a file, so that a part of the page is missing."""
    assert offenders(answers, lambda answer: delivery.mixed_content(answer, own)) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="deployment-checklist")
@EVERY_ANSWER
def test_no_answer_leads_to_another_environment(answers: list[Answer], own: set[str]) -> None:
    """Users who follow the link sign in, pay or learn on staging, and lose it all."""
    assert offenders(answers, lambda answer: delivery.foreign_hosts(answer, own)) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="deployment-checklist")
@asks("GET /", "GET /marketplace", "GET /login")
def test_search_engines_may_index_public_pages(answers: list[Answer]) -> None:
    """A `noindex` that a preview left behind takes the shop out of every search engine within days."""
    assert offenders(answers, delivery.hidden_from_search) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P3", judges="budget", runbook="performance-optimization", last=True)
@EVERY_ANSWER
def test_large_answers_are_compressed(answers: list[Answer], inspected: Inspected) -> None:
    """On a phone an uncompressed page or script takes four times as long."""
    assert offenders(answers, delivery.uncompressed) == []
    assert inspected.offenders(WEIGHT) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="hardening", runbook="incident-security")
@EVERY_ANSWER
def test_no_shared_cache_may_store_api_answers(answers: list[Answer]) -> None:
    """A proxy that stores a session or a list gives it to the next visitor."""
    assert offenders(answers, delivery.remembered) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P3", judges="budget", runbook="performance-optimization", needs=("vercel",))
@asks("GET /")
@follow_up(its_assets)
@depends_on("GET /_next/static/*")
def test_assets_are_cached_by_browsers_and_at_the_edge(followed: list[Answer], at_once: AtOnce, own: set[str]) -> None:
    """Without caching every page view loads every script again, from the far end of the network."""
    # The edge may have to fetch a file once; files of other hosts are not the platform's to cache.
    asked_once = [asset.url for asset in followed if asset.code == HTTPStatus.OK and origin_of(asset.url)[1] in own]
    found = [asset for asset in at_once.ask(f"GET {url}" for url in asked_once) if asset.code == HTTPStatus.OK]

    assert offenders(found, delivery.forgotten) == []
    assert [asset for asset in found if asset.headers.get("x-vercel-cache") not in WARM] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /", "GET /login", "GET /register", "GET /marketplace", "GET /dashboard")
def test_redirects_do_not_loop(answers: list[Answer], at_once: AtOnce) -> None:
    """In a redirect loop the browser gives up, although each answer alone looks healthy."""
    ends = at_once.follow(answers)

    assert [answer for answer in ends if answer.code is None or answer.code in {301, 302, 303, 307, 308}] == []
