"""The harmless rules of the wire: each shows, and every client reads the same as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fixtures.sandbox.mutants import Mutant, Rule
from fixtures.sandbox.mutants.harmless import crawlers, headers, ways, wire
from tests.selftest.sandbox.mutants.harmless_client import (
    OF_AREA,
    Client,
    Shows,
    change,
    lost,
    own_rules,
    samples,
    subject_of,
)

RULES = own_rules(wire, ways, headers, crawlers)


def _in(client: Client, area: str, **given: Any) -> httpx.Response:  # noqa: ANN401
    return client.get(OF_AREA[area], **given)


def _names(client: Client, area: str) -> list[bytes]:
    return [name for name, _ in _in(client, area).headers.raw]


def _again(client: Client, area: str) -> int:
    tag = _in(client, area).headers.get("etag", "none")
    return _in(client, area, headers={"if-none-match": tag}).status_code


def _small(client: Client, area: str) -> httpx.Response:
    return client.get({"api": "/api/diag", "pages": "/bilinmeyen", "crawlers": "/robots.txt"}[area])


def _is_spelled(spelling: str, answer: httpx.Response) -> bool:
    to = answer.headers["location"]
    return {
        "absolute": to.startswith("http"),
        "hop": to.startswith(ways.HOP),
        "reason": to.endswith("&reason=session_required"),
        "no-store": "no-store" in answer.headers.get("cache-control", ""),
    }[spelling]


SHOWS: dict[str, Shows] = {
    "header-names-in-capitals": lambda client, area: b"Content-Length" in _names(client, area.name),
    "small-answers-are-compressed": lambda client, area: (
        len(_small(client, area.name).content) < 1024
        and _small(client, area.name).headers.get("content-encoding") == "gzip"
    ),
    "compressed-by-deflate": lambda client, area: _in(client, area.name).headers.get("content-encoding") == "deflate",
    "compression-is-off": lambda client, area: (
        "content-encoding"
        not in client.get({"files": f"/_next/static/{client.app.build.id}/app.css"}.get(area.name, "/login")).headers
    ),
    "length-is-not-told": lambda client, area: "content-length" not in _in(client, area.name).headers,
    "head-without-length": lambda client, area: "content-length" not in client.ask("HEAD", OF_AREA[area.name]).headers,
    "connection-is-closed": lambda client, area: _in(client, area.name).headers.get("connection") == "close",
    "etag-is-weak": lambda client, page: client.get(page.path).headers["etag"].startswith('W/"'),
    "etag-is-gone": lambda client, page: "etag" not in client.get(page.path).headers,
    "etag-and-not-modified": lambda client, area: _again(client, area.name) == 304,
    "charset-is-spelled-otherwise": lambda client, subject: (
        wire.SPELLINGS[subject.way]("") in _in(client, subject.area.name).headers["content-type"]
    ),
    "header-of-a-proxy": lambda client, header: all(
        header.header in _in(client, area).headers for area in ("api", "pages", "files")
    ),
    "header-is-stricter": lambda client, header: (
        _in(client, "pages").headers.get(header.header, "").endswith(header.value.removeprefix("{now}"))
    ),
    "cookie-beside": lambda client, cookie: client.cookie(cookie.header, "/login") != "",
    "cookie-beside-on-the-api": lambda client, cookie: client.cookie(cookie.header, "/api/courses") != "",
    "kept-for-another-time": lambda client, subject: (
        client.get(subject.page.path).headers["cache-control"] == subject.lifetime.value
    ),
    "cache-says-another-state": lambda client, subject: (
        _in(client, subject.area.name).headers.get("x-vercel-cache") == subject.way.upper()
    ),
    "map-is-split": lambda client, part: f"/sitemap-{part.name}-2.xml" in client.get("/sitemap.xml").text,
    "maps-say-more": lambda client, element: f"<{element.name}>" in client.get("/sitemap-main.xml").text,
    "robots-file-is-longer": lambda client, lines: crawlers.ROBOTS[lines.name] in client.get("/robots.txt").text,
    "map-is-kept-for": lambda client, seconds: (
        client.get("/robots.txt").headers["cache-control"] == f"public, max-age={seconds.name}"
    ),
    "guard-redirects-with": lambda client, way: client.get(way.path).status_code == int(way.spelling),
    "guard-redirects-in-another-way": lambda client, way: _is_spelled(way.spelling, client.get(way.path)),
    "slash-is-led-away-with": lambda client, slash: client.get(f"{slash.page.path}/").status_code == slash.code,
    "asset-has-a-hash-in-its-name": lambda client, asset: asset.name not in client.app.build.assets,
    "assets-have-moved": lambda client, folder: f"/_next/static/{folder.name}/" in client.get("/login").text,
    "asset-is-announced": lambda client, asset: asset.name in client.get("/login").headers.get("link", ""),
    "policy-has-a-nonce": lambda client, directive: (
        f"{directive.name} 'nonce-" in client.get("/login").headers["content-security-policy"]
    ),
    "another-language-has-its-own-address": lambda client, page: (
        client.get(f"/en{page.path}".rstrip("/")).status_code == 200
    ),
    "missing-page-is-worded-otherwise": lambda client, words: ways.WORDS[words.name] in client.get("/bilinmeyen").text,
    "unknown-parameter-is-led-away": lambda client, parameter: client.leads(f"/?{parameter.name}=x") == "/",
}
# These write the same otherwise: the answer must differ from the healthy one.
DIFFERS: dict[str, Callable[[Client, Any], object]] = {
    "headers-in-another-order": lambda client, area: [
        name for name in _names(client, area.name) if name not in {b"date", b"server"}
    ],
}


def test_every_rule_is_in_a_table() -> None:
    """A rule without a proof may hurt."""
    assert {*SHOWS, *DIFFERS} == set(RULES)


@pytest.mark.parametrize(("rule", "mutant"), samples(RULES.values()), ids=lambda part: part.name)
def test_a_harmless_change_shows_and_takes_nothing(client: Client, rule: Rule, mutant: Mutant) -> None:
    """A healthy build shows no such change; after it everybody does what they did before."""
    subject = subject_of(rule, mutant)
    look = SHOWS.get(rule.name) or DIFFERS[rule.name]
    healthy = look(client, subject)
    client.app.deploy()
    change(client.app, mutant)

    assert look(client, subject) != healthy
    assert healthy is False or rule.name in DIFFERS
    assert lost(client) == []
