"""Public addresses as monitors, crawlers, download managers and old proxies ask them: without a body, or for a part."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks

from .conftest import AtOnce

ADDRESSES = ("/", "/login", "/register", "/robots.txt", "/sitemap.xml", "/sitemap-main.xml", "/api/courses")
# A part of a page, and a page that changed never or a moment ago.
PARTLY = {"range": "bytes=0-99"}
OLD = {"if-none-match": '"7p-verify"', "if-modified-since": "Mon, 01 Jan 2035 00:00:00 GMT"}
CODINGS = ("gzip", "br", "identity", "*;q=0.1")
# Nobody promises these methods to a route of the API, and a range may be out of what there is.
MAY_REFUSE = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}


def _worse(answers: list[Answer], than: list[Answer]) -> list[Answer]:
    """Return the answers that fail at an address whose ordinary GET succeeds."""
    works = {urlsplit(answer.url).path for answer in than if answer.code and answer.code < HTTPStatus.BAD_REQUEST}
    return [
        answer
        for answer in answers
        if urlsplit(answer.url).path in works
        and answer.status >= HTTPStatus.BAD_REQUEST
        and not (answer.status in MAY_REFUSE and (answer.method == "OPTIONS" or "/api/" in answer.url))
    ]


def _misleads(head: Answer, get: Answer) -> bool:
    """Whether a HEAD describes something else than its GET: another type, or nothing at all."""
    if "/api/" in head.url or not (head.status == get.status == HTTPStatus.OK):
        return False
    return (head.kind or get.kind) != get.kind or (head.headers.get("content-length") == "0" and bool(get.content))


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P3", judges="contract", runbook="application-not-loading")
@asks(*(f"HEAD {path}" for path in ADDRESSES))
@asks(*(f"GET {path}" for path in ADDRESSES))
def test_head_requests_succeed_where_get_does(answers: list[Answer]) -> None:
    """Monitors, previews of links and crawlers ask by HEAD, and call the platform down."""
    middle = len(ADDRESSES)
    heads, gets = answers[:middle], answers[middle:]

    assert _worse(heads, than=gets) == []
    assert [head for head, get in zip(heads, gets, strict=True) if _misleads(head, get)] == []


@pytest.mark.daily
@pytest.mark.check(severity="P3", judges="contract", runbook="application-not-loading")
@asks(*(f"GET {path}" for path in ADDRESSES))
def test_unusual_requests_succeed_where_ordinary_ones_do(answers: list[Answer], at_once: AtOnce) -> None:
    """Crawlers ask for pages that changed, downloads go on in the middle, and old proxies know one compression only."""
    asked = [f"GET {path}" for path in ADDRESSES]
    ways = (PARTLY, OLD, *({"accept-encoding": coding} for coding in CODINGS))
    unusual = [answer for way in ways for answer in at_once.ask(asked, headers=way)]

    assert _worse([*unusual, *at_once.ask(f"OPTIONS {path}" for path in ADDRESSES)], than=answers) == []
