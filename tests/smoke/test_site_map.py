"""The sitemap, which search engines visit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.target.target import Target

_MOST = 60
_LOCATION = re.compile(r"<loc>\s*(.*?)\s*</loc>")


def _locations(xml: Answer) -> list[str]:
    kind = xml.headers.get("content-type", "") if xml.status == HTTPStatus.OK else xml.exchange()
    assert "xml" in kind, xml.exchange()
    return [unescape(address) for address in _LOCATION.findall(xml.text)]


def _pages(maps: Iterable[Answer]) -> list[str]:
    return [address for listed in maps for address in _locations(listed)]


def _here(addresses: Iterable[str]) -> list[str]:
    """Return a request for the path of each address, to the deployment under test whichever host the map names."""
    parts = [urlsplit(address) for address in addresses]
    return [f"GET {part.path}?{part.query}" if part.query else f"GET {part.path}" for part in parts]


def _some(addresses: list[str]) -> list[str]:
    """Return at most `_MOST` of the addresses, evenly spread: a shop may have thousands of courses."""
    return addresses[:: -(-len(addresses) // _MOST) or 1]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="deployment-checklist")
@asks("GET /sitemap.xml")
@follow_up(lambda answers: _here(_locations(answers[0])), lambda answers: _here(_some(_pages(answers[1:]))))
@depends_on("GET /sitemap-*", "GET /marketplace", "GET /marketplace/*", "GET /", "GET /login", "GET /register")
def test_every_address_of_the_sitemap_answers(answer: Answer, followed: list[Answer], target: Target) -> None:
    """Search engines drop listed pages that are gone, and visit another host when the sitemap names one."""
    maps = _locations(answer)
    assert maps != []
    pages = _pages(followed[: len(maps)])
    assert pages != []

    assert [address for address in (*maps, *pages) if urlsplit(address).netloc != target.host] == []
    assert [page for page in followed[len(maps) :] if page.status >= HTTPStatus.BAD_REQUEST] == []
