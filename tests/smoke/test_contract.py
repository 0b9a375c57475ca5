"""The promises of every API route: JSON, and every promised key. Other keys are free to come and go."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks
from fixtures.inspection.authorship import json_of
from fixtures.model.routes import guarded, is_page, probe, routes

from .test_access import BODY_FIRST, OF_NOBODY, WRITES

# A redirect has no body that matters; other checks ask the routes that need a query.
READS = [probe(route) for route in routes() if route.startswith("GET /api/") and not is_page(route)]
REDIRECTS = ("GET /api/auth/signin", "GET /api/auth/signout", "GET /api/auth/error")
# A client follows a redirect, and its body does not matter.
ELSEWHERE = range(300, 400)
_JSON = re.compile(r"(?:application|text)/(?:[\w.-]+\+)?json").fullmatch


def _is_data(answer: Answer) -> bool:
    """Whether a client can read the answer; a refusal needs no body."""
    return not answer.is_html and (json_of(answer) is not ... or not answer.content or answer.code in ELSEWHERE)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks(*(route for route in READS if route not in REDIRECTS))
@asks(*WRITES, "POST /api/webhooks/stripe", json={})
@asks(*BODY_FIRST, json=OF_NOBODY)
def test_every_api_route_answers_in_json(answers: list[Answer]) -> None:
    """No client can read an HTML page in place of data, whatever its status: the feature is down."""
    assert [answer for answer in answers if answer.status and not _is_data(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(*guarded("GET"), account="student")
def test_every_api_route_answers_students_in_json(answers: list[Answer]) -> None:
    """Signed-in students reach other code than anonymous visitors do, and it fails on its own."""
    assert [answer for answer in answers if answer.status and not _is_data(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks(*(route for route in READS if route not in REDIRECTS))
@asks(*WRITES, "POST /api/webhooks/stripe", json={})
@asks(*BODY_FIRST, json=OF_NOBODY)
def test_every_api_answer_declares_json(answers: list[Answer]) -> None:
    """A client that trusts the content type shows the JSON as text."""
    answered = [answer for answer in answers if answer.content and json_of(answer) is not ...]
    assert [f"{answer.exchange()} as {answer.kind or 'nothing'}" for answer in answered if not _JSON(answer.kind)] == []


class Health(msgspec.Struct, rename="camel"):
    """GET /api/health."""

    status: str
    timestamp: datetime
    environment: str
    version: str
    payments_mode: str
    free_enrollment_enabled: bool
    checks: dict[str, object]
    metrics: dict[str, float]


class Search(msgspec.Struct):
    """The counters of a search."""

    courses: list[dict[str, object]]
    total: int
    query: str
    filters: dict[str, object]


class Enrolments(msgspec.Struct):
    """Everything that a student is enrolled in."""

    enrollments: list[dict[str, object]]
    total: int


def _data(shape: object) -> type:
    """Return the shape of a data route's answer whose `data` has the given shape."""
    return msgspec.defstruct("Data", [("success", bool), ("data", shape)])


class Refusal(msgspec.Struct):
    """A refusal: each route has its own key for the reason, and some say nothing of success."""

    success: bool = False
    message: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        if self.success or not (self.message or self.error):
            reason = "a refusal without `message` and without `error`, or with success"
            raise ValueError(reason)


def _lacking(answer: Answer, shape: type) -> list[str]:
    """Return the keys that are missing or of another type, with the exchange."""
    try:
        answer.read(shape)
    except AssertionError as error:
        return [str(error)]
    return []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Health, id="health", marks=asks("GET /api/health")),
        pytest.param(_data(Search), id="search", marks=asks("GET /api/courses/search?q=pazarlama")),
        pytest.param(Refusal, id="course refused", marks=asks("GET /api/courses/not-a-uuid")),
        pytest.param(Refusal, id="progress refused", marks=asks("GET /api/student/progress")),
        pytest.param(Refusal, id="enrolments refused", marks=asks("GET /api/enrollments")),
    ],
)
def test_an_answer_carries_every_key_that_was_promised(answer: Answer, shape: type) -> None:
    """Pages read a missing key as undefined and show nothing in its place."""
    assert _lacking(answer, shape) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading", needs=("accounts",))
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(_data(Enrolments), id="enrolments", marks=asks("GET /api/enrollments", account="student")),
        pytest.param(_data(list), id="progress", marks=asks("GET /api/student/progress", account="student")),
    ],
)
def test_a_students_answer_carries_every_key_that_was_promised(answer: Answer, shape: type) -> None:
    """Pages of signed-in students read a missing key as undefined and show nothing in its place."""
    assert _lacking(answer, shape) == []
