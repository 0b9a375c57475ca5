"""The fuzzer generates input for a route, judges the answers, and never leaves the sandbox."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from fixtures.checks.answers import Answer
from fixtures.inspection.fuzz import EDGES, EXAMPLES, Fuzz, fuzzed, made_up, wrongs
from fixtures.model.routes import routes
from fixtures.model.toml_tables import UsageError
from fixtures.target.target import Target, load

JSON = "application/json"


def never() -> NoReturn:
    """Stand in for what must not be asked."""
    raise AssertionError


def answer(code: int | None, body: object = None, kind: str = JSON) -> Answer:
    """Return an answer of the API."""
    content = b"" if body is None else json.dumps(body).encode()
    headers = httpx.Headers({"content-type": kind})
    return Answer("POST", "http://127.0.0.1/api/x", code, headers, content, 0.1, "timeout" if code is None else None)


@pytest.mark.parametrize(
    ("got", "wrong"),
    [
        (answer(500, {"error": "x"}), "500"),
        (answer(None), "no answer, timeout"),
        (answer(400, "Bad Request", "text/html"), "a refusal that is not clean JSON"),
        (answer(400, {"success": True, "message": "x"}), "a refusal that is not clean JSON"),
        (answer(400, {"detail": "x"}), "a refusal that is not clean JSON"),
        (answer(400, ["x"]), "a refusal that is not clean JSON"),
        (answer(400, {"message": "syntax error at or near"}), "SQL"),
        (answer(200, {"message": "TypeError: x is not a function"}), "an exception's text"),
        (answer(200, {"user": {"password_hash": "x"}}), "field password_hash"),
        (answer(200, {"key": "the-enrolment-code"}), "a secret of this target's configuration"),
    ],
)
def test_what_is_wrong_is_named(got: Answer, wrong: str) -> None:
    """A crash, a leak, or a refusal that a client cannot read."""
    assert wrong in wrongs(got, api=True, secrets=["the-enrolment-code"])


@pytest.mark.parametrize(
    "got",
    [
        answer(201, {"success": True}),
        answer(400, {"success": False, "message": "Geçersiz istek"}),
        answer(401, {"url": "/api/auth/error?error=CredentialsSignin"}),
        answer(405),
        answer(501, {"error": "Ödemeler kapalı"}),
        answer(429, {"error": "Çok fazla istek"}),
    ],
)
def test_a_clean_refusal_is_fine(got: Answer) -> None:
    """Most of what is made up deserves one."""
    assert wrongs(got, api=True, secrets=[]) == []


def test_the_same_is_made_up_every_night(tmp_path: Path) -> None:
    """A result changes only with the platform, and a red request can be sent again."""
    route = "POST /api/student/questions"
    first, second = (list(made_up(route, tmp_path)) for _ in range(2))

    assert first == second
    assert len(first) == len(routes()[route].takes) * len(EDGES) + EXAMPLES
    names = sorted(routes()[route].takes)
    assert any(json.loads(body).keys() == set(names) and "\\ud800" in body.decode() for _, body in first)


def test_a_query_can_be_sent_as_it_is(tmp_path: Path) -> None:
    """Percent-encoded, half a letter as the bytes that nobody may send."""
    made = [query for query, body in made_up("GET /api/courses/search", tmp_path) if not body]

    assert {"?q=%ED%A0%80", "?q=%F0%9F%8E%93", "?q=-1"} <= set(made)
    assert [query for query in made if not query.isascii() or " " in query] == []


def test_every_route_that_takes_something_is_tried() -> None:
    """A new route is tried from its first night."""
    assert {"POST /api/webhooks/stripe", "PATCH /api/enrollments/{id}", "GET /api/courses"} <= set(fuzzed())


@pytest.mark.parametrize(
    "target",
    [
        Target(name="production", url="http://127.0.0.1:80", mode="off", capabilities=frozenset({"fuzz"})),
        Target(name="sandbox", url="https://7peducation.test", mode="off", capabilities=frozenset({"fuzz"})),
    ],
)
def test_fuzzing_never_leaves_the_sandbox(target: Target, tmp_path: Path) -> None:
    """It refuses another target on this machine and another machine that is called sandbox."""
    with pytest.raises(RuntimeError, match="is sent to the sandbox only"):
        Fuzz(target, never, tmp_path)


def test_no_other_target_can_ask_for_it(tmp_path: Path) -> None:
    """The capability on another target is one line of wrong usage before anything runs."""
    file = tmp_path / "targets.toml"
    file.write_text('[x]\nurl = "https://7p.test"\nmode = "off"\ncapabilities = ["fuzz"]\n')

    with pytest.raises(UsageError, match="fuzzing never leaves the sandbox, take it out"):
        load("x", environ=os.environ, file=file)
