"""
Every body and every query of the sandbox's API against what nobody should send.

Nothing of it may crash the application, and a refusal must be clean JSON or nothing: what the checks hold a live
target to with a handful of requests is tried here with all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from urllib.parse import quote

import httpx
import pytest

from fixtures.model.routes import NOBODY, is_page, probe, routes
from fixtures.sandbox.faults.contract.inputs import torn_bodies_500
from tests.selftest.sandbox.running_app import RunningApp, run_app

# What a value can be that is not what it should be.
VALUES: list[object] = [
    None,
    True,
    0,
    -1,
    2**63,
    10**400,
    1e308,
    "",
    " ",
    "A" * 100_000,
    "\u0000",
    "\ud83c",
    "İĞŞ 🎓 ﷽ \u202e",
    "'; DROP TABLE public.users; --",
    "${7*7} {{7*7}} <script>alert(1)</script>",
    "../../etc/passwd",
    "%00%0a%0d",
    NOBODY,
    f"{NOBODY} ",
    "00000000-0000-0000-0000-00000000000g",
    [],
    [[[]]],
    {},
    {"$ne": None},
]
TORN = [
    b"",
    b" ",
    b"{",
    b'{"a"',
    b"[",
    b"]",
    b"nul",
    b"NaN",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"{}" * 2,
    b"[" * 50_000,
]
FIELDS = {name: route.fields for name, route in routes().items() if not name.startswith(("GET ", "HEAD ", "DELETE "))}
QUERIES = {name: route.fields for name, route in routes().items() if name.startswith("GET ") and route.takes}
LEAKS = re.compile(rb"Traceback|File \"|psycopg|SELECT |INSERT |line \d+, in|/fixtures/|whsec_|sk_test_")


@dataclass
class Failing:
    """Stands in for every answer that is not what it should be, short enough to be read in a list of them."""

    asked: str
    sent: object
    got: str


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Run a healthy build whose rate limits do not end the trial."""
    with run_app(tmp_path_factory.mktemp("app")) as running:
        running.deploy()
        kept = dict(running.platform.limits.rules)
        running.platform.limits.rules.clear()
        yield running
        running.platform.limits.rules.update(kept)


@pytest.fixture(scope="module", params=["other_student", "admin"])
def client(app: RunningApp, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Lend a client that no guard lets in, and one that every guard does."""
    with app.client(None if request.param == "other_student" else request.param) as client:
        yield client


def _failing(asked: str, sent: object, answer: httpx.Response) -> list[Failing]:
    """Return what is wrong with an answer: a crash, a leak, or a refusal that is neither clean JSON nor empty."""
    body = answer.content[:200]
    wrong = answer.status_code >= 500 or LEAKS.search(answer.content) is not None
    if 400 <= answer.status_code < 500 and asked.partition(" ")[2].startswith("/api/"):
        kind = answer.headers.get("content-type", "")
        refused = answer.json() if kind == "application/json" else {}
        wrong = wrong or bool(answer.content and not {"message", "error", "url"} & refused.keys())
    return [Failing(asked, str(sent)[:80], f"{answer.status_code} {body!r}")] if wrong else []


@pytest.mark.parametrize("route", FIELDS)
def test_wrong_values_crash_no_route(client: httpx.Client, route: str) -> None:
    """Each value in each field, the others left out and filled in."""
    method, _, path = probe(route).partition(" ")
    bodies: list[object] = [*VALUES, *({name: value} for name, value in product(FIELDS[route], VALUES))]
    bodies += [dict.fromkeys(FIELDS[route], value) for value in VALUES]
    sent = [json.dumps(body).encode() for body in bodies]
    headers = {"content-type": "application/json"}

    assert [
        failing
        for body in sent
        for failing in _failing(route, body, client.request(method, path, content=body, headers=headers))
    ] == []


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
@pytest.mark.parametrize("route", FIELDS)
def test_torn_bodies_crash_no_route(client: httpx.Client, route: str, kind: str) -> None:
    """Cut off, of another encoding, nested without end, or of another kind than they say."""
    method, _, path = probe(route).partition(" ")

    assert [
        failing
        for body in TORN
        for failing in _failing(route, body, client.request(method, path, content=body, headers={"content-type": kind}))
    ] == []


@pytest.mark.parametrize("route", QUERIES)
def test_wrong_queries_crash_no_route(client: httpx.Client, route: str) -> None:
    """Each value in each parameter, alone, twice, and as bytes that are no UTF-8."""
    path = probe(route).partition(" ")[2]
    texts = [quote(str(value)[:4000], errors="surrogatepass") for value in VALUES] + ["%FF%FE", "1&page=2", ""]
    queries = [f"{name}={text}" for name, text in product(QUERIES[route], texts)]

    assert [failing for query in queries for failing in _failing(route, query, client.get(f"{path}?{query}"))] == []


NAMED = [
    route for route in routes() if "{" in route and not is_page(route) and route.startswith(("GET /api", "DELETE"))
]


@pytest.mark.parametrize(
    "route", [*NAMED, "GET /marketplace/{slug}", "GET /courses/{slug}", "GET /courses/{id}/purchase"]
)
def test_wrong_names_crash_no_route(client: httpx.Client, route: str) -> None:
    """Ids of another form, other alphabets, and what looks like a path or a statement."""
    method, _, path = route.partition(" ")
    # With a slash in it, it is another address.
    names = [str(value)[:2000] or " " for value in VALUES if "/" not in str(value)]
    texts = [quote(name, safe="", errors="surrogatepass") for name in names]
    paths = [re.sub(r"\{\w+\}", lambda _, text=text: text, path) for text in texts]  # type: ignore[misc]  # bound now

    assert [failing for asked in paths for failing in _failing(route, asked, client.request(method, asked))] == []


def test_a_crash_is_named(app: RunningApp) -> None:
    """The trial above would not pass over it."""
    assert torn_bodies_500.build is not None
    torn_bodies_500.build(app.build)
    with app.client() as client:
        answer = client.post("/api/courses", content=b"{", headers={"content-type": "application/json"})
    app.deploy()

    (named,) = _failing("POST /api/courses", b"{", answer)
    assert named.got.startswith("500 ")
