"""Wrong input: impossible queries, strange addresses, incomplete and wrong bodies."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks
from fixtures.model.routes import NOBODY

from .conftest import crashed

TORN = b'{"courseId": "'
WRONG = (
    TORN,
    b"[]",
    b"null",
    b'{"lesson_id": 7, "time_spent_minutes": 1}',
    b'{"lesson_id": "\\ud83c\\udf93", "time_spent_minutes": 1}',
    b'{"lessons": [{}]}',
    b"\xff\xfe",
    b"A" * 20_000,
)
TURKISH = "%C4%B0%F0%9F%8E%93"
IMPOSSIBLE = (
    "GET /api/courses?page=-1",
    "GET /api/courses?sortBy=password_hash",
    "GET /api/courses?price_min=NaN",
)
STRANGE = (
    "GET /api/courses/%27%3B%20DROP%20TABLE%20courses%3B--",
    f"GET /api/courses/{TURKISH}",
    f"GET /api/auth/verify-email?token={TURKISH}",
    "GET /api/auth/verify-email?token=%00",
    f"GET /marketplace/{TURKISH}",
    "GET /marketplace?page=999999999999999999999",
    f"GET /marketplace?search={'a' * 2000}",
)


class Refusal(msgspec.Struct):
    """An error, in any of the documented shapes."""

    success: bool = False
    message: str | None = None
    error: str | None = None


def _untidy(answer: Answer) -> bool:
    """Whether a refusal is anything but a clean JSON error with a 4xx status."""
    if not HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return True
    refusal = answer.read(Refusal)
    return refusal.success or not (refusal.message or refusal.error)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks(*IMPOSSIBLE)
def test_impossible_queries_are_refused(answers: list[Answer]) -> None:
    """One such address makes the API send the whole database, or fills the error log with crashes."""
    assert [answer for answer in answers if _untidy(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks(*STRANGE)
def test_strange_addresses_crash_nothing(answers: list[Answer]) -> None:
    """Crawlers and attackers send such addresses all day; none may end in the framework's error page."""
    assert [answer for answer in answers if crashed(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks(*("POST /api/webhooks/stripe", "POST /api/payments/create-checkout-session", "POST /api/courses"), bodies=(TORN,))
def test_incomplete_bodies_crash_nothing(answers: list[Answer]) -> None:
    """A mobile connection that breaks off must not look like an outage of the platform."""
    assert [answer for answer in answers if crashed(answer)] == []
    assert [answer for answer in answers if answer.read(Refusal).success] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading", needs=("accounts",))
@asks(f"POST /api/student/progress/lesson?course_id={NOBODY}", bodies=WRONG, account="student")
def test_wrong_bodies_from_a_student_are_refused(answers: list[Answer]) -> None:
    """Behind the guard the handlers read the body, and fail at values that nobody expected."""
    assert [answer for answer in answers if _untidy(answer)] == []
