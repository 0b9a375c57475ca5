"""The harmless rules of the API: each shows, and everybody reads the same as before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from fixtures.sandbox.mutants import Mutant, Rule
from fixtures.sandbox.mutants.harmless import api, refusals
from tests.selftest.sandbox.mutants.harmless_client import (
    UNKNOWN,
    Client,
    Shows,
    change,
    lost,
    own_rules,
    samples,
    signs_in,
    subject_of,
)
from tests.selftest.sandbox.running_app import TRUSTED, sign_in

RULES = own_rules(api, refusals)
FORMS = {
    "microseconds": r".*\.\d{6}[+-]\d\d:\d\d",
    "milliseconds-z": r".*\.\d{3}Z",
    "in-istanbul": r".*\.\d{3}\+03:00",
}
PRICES = {"four-decimals": r'"price":\d+\.\d{4}\b', "exponent": r'"price":\d\.\d+e\+?\d+'}
WRONG_INPUT: dict[str, tuple[str, object]] = {
    "GET /api/courses": ("/api/courses?page=0", None),
    "GET /api/courses/search": ("/api/courses/search", None),
    "GET /api/courses/{id}": ("/api/courses/x", None),
    "POST /api/courses/{id}/enroll": ("/api/courses/x/enroll", {}),
    "PATCH /api/enrollments/{id}": (f"/api/enrollments/{UNKNOWN}", {"progress_percentage": "x"}),
}


def _wrong_input(client: Client, route: str) -> httpx.Response:
    method, _, path = route.partition(" ")
    address, body = WRONG_INPUT.get(route, (path, {}))
    return client.ask(method, address, student=True, **({"json": body} if body is not None else {}))


def _missing(client: Client, route: str) -> httpx.Response:
    if route == "POST /api/enroll/free":
        return client.route(route, json={"courseId": UNKNOWN, "code": client.app.enrolment_code})
    method, _, path = route.partition(" ")
    body: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
    return client.ask(method, path.replace("{id}", UNKNOWN), student=True, **body)


def _enrolled_twice(client: Client) -> httpx.Response:
    wanted = {"courseId": client.app.course(free=True)["id"], "code": client.app.enrolment_code}
    try:
        client.route("POST /api/enroll/free", json=wanted)
        return client.route("POST /api/enroll/free", json=wanted)
    finally:
        client.app.rows("DELETE FROM public.enrollments WHERE user_id = %s", client.user_id)


def _wrong_password(client: Client) -> int:
    with httpx.Client(base_url=client.app.url, trust_env=False, timeout=10, verify=TRUSTED) as own:
        return sign_in(own, "kimse@example.org", "wrong").status_code


def _courses(client: Client, route: str) -> list[dict[str, Any]]:
    data = client.route(route).json()["data"]
    return list(data["courses"]) if "courses" in data else [data]


def _moments(client: Client, route: str) -> list[str]:
    return ["".join(found) for found in re.findall(api.INSTANT, client.route(route).text)]


def _is(answer: httpx.Response, told: tuple[int, bytes, dict[str, str]]) -> bool:
    return (answer.status_code, answer.content) == told[:2] and told[2].items() <= dict(answer.headers).items()


def _keys(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield key
            yield from _keys(value)


SHOWS: dict[str, Shows] = {
    "key-added": lambda client, told: "requestId" in client.route(told.route).json(),
    "key-added-to-rows": lambda client, told: "legacy_id" in client.route(told.route).text,
    "meta-added": lambda client, told: "meta" in client.route(told.route).json(),
    "printed-over-many-lines": lambda client, told: client.route(told.route).text.count("\n") > 1,
    "letters-are-escaped": lambda client, told: re.search(r"\\u0[01]", client.route(told.route).text) is not None,
    "optional-is-null": lambda client, subject: all(
        course[subject.way] is None for course in _courses(client, subject.api.route)
    ),
    "moments-are-spelled-otherwise": lambda client, subject: all(
        re.fullmatch(FORMS[subject.way], found) for found in _moments(client, subject.api.route) or ["none"]
    ),
    "prices-are-spelled-otherwise": lambda client, subject: (
        re.search(PRICES[subject.way], client.route(subject.api.route).text) is not None
    ),
    "metric-is-more-precise": lambda client, metric: (
        len(str(client.get("/api/health").json()["metrics"][metric.name])) > len("118.6123")
    ),
    "health-says-more": lambda client, key: key.name in client.get("/api/health").json(),
    "version-is-another": lambda client, version: client.get("/api/health").json()["version"] == version.name,
    "page-has-another-size": lambda client, size: client.get("/api/courses").json()["data"]["limit"] == int(size.name),
    "limit-is-told": lambda client, subject: (
        set(api.LIMIT_HEADERS[subject.way]) <= set(client.route(subject.api.route).headers)
    ),
    "anonymous-refused-with": lambda client, refused: (
        client.route(refused.route, student=False, json={}).status_code == refused.now
    ),
    "role-refused-with": lambda client, refused: client.route(refused.route, json={}).status_code == refused.now,
    "refusal-says-how-to-sign-in": lambda client, refused: (
        "Bearer" in client.route(refused.route, student=False).headers.get("www-authenticate", "")
    ),
    "wrong-password-refused-with": lambda client, refused: _wrong_password(client) == refused.now,
    "wrong-input-refused-with": lambda client, refused: _wrong_input(client, refused.route).status_code == refused.now,
    "missing-object-refused-with": lambda client, refused: _missing(client, refused.route).status_code == refused.now,
    "second-enrolment-refused-with": lambda client, refused: _enrolled_twice(client).status_code == refused.now,
    "unpaid-enrolment-refused-with": lambda client, refused: (
        client.route(refused.route, json={}).status_code == refused.now
    ),
    "refusal-explains-more": lambda client, refused: (
        _wrong_input(client, refused.route).json().get("type") == "about:blank"
    ),
    "refusal-is-reworded": lambda client, refused: (
        _wrong_input(client, refused.route).json().get("message", "").startswith("Lütfen girdiğiniz")
    ),
    "wrong-method-refused-with": lambda client, way: _is(
        client.ask("PATCH", "/api/health"), refusals.WRONG_METHOD[way.name]
    ),
    "other-type-refused": lambda client, refused: (
        client.route(refused.route, content="{}", headers={"content-type": "text/plain"}).status_code == 415
    ),
    "large-body-refused": lambda client, size: (
        client.route("POST /api/student/questions", content=b" " * (int(size.name) + 1)).status_code == 413
    ),
}
# These write the same otherwise: the answer must differ from the healthy one.
DIFFERS: dict[str, Callable[[Client, Any], object]] = {
    "keys-in-another-order": lambda client, told: list(_keys(client.route(told.route).json())),
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
    if "auth" in mutant.name:
        assert signs_in(client) == []
