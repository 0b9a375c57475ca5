"""The API and the pages of a signed-in student, with the session that the run shares."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.model.routes import NOBODY
from fixtures.site.accounts import Session, who_is_signed_in
from fixtures.target.target import Target

from .conftest import AtOnce

QUESTIONS = "GET /api/student/questions"
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class User(msgspec.Struct):
    """The signed-in user."""

    id: UUID
    name: str | None
    email: str
    image: str | None
    role: str
    emailVerified: object  # noqa: N815  (the platform's word)


class SignedIn(msgspec.Struct):
    """GET /api/auth/session."""

    user: User
    expires: datetime


class Enrolment(msgspec.Struct):
    """One of the student's courses; a cancelled one stays in the list."""

    course_id: UUID
    progress_percentage: Percent
    cancelled_at: datetime | None = None


class Enrolments(msgspec.Struct):
    """All of them."""

    enrollments: list[Enrolment]
    total: int


class Data(msgspec.Struct):
    """GET /api/enrollments."""

    success: bool
    data: Enrolments


class Answered(msgspec.Struct):
    """A data route; the check does not look into its `data`."""

    success: bool
    data: dict[str, object] | list[object]


class Asked(msgspec.Struct):
    """The student's questions."""

    questions: list[dict[str, object]]
    total: int


class Questions(msgspec.Struct):
    """GET /api/student/questions."""

    success: bool
    data: Asked


class Eligibility(msgspec.Struct):
    """Whether a student may enrol in a course."""

    eligible: bool


class MayEnrol(msgspec.Struct):
    """GET /api/courses/{id}/enroll."""

    data: Eligibility


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="authentication-issues", needs=("accounts",))
@asks("GET /api/auth/session", account="student")
def test_session_says_who_is_signed_in(answer: Answer, target: Target) -> None:
    """Every page reads the session: without role and id the platform treats the student as an anonymous visitor."""
    session = answer.read(SignedIn)

    assert session.user.email.casefold() == target.accounts["student"].email.casefold()
    assert session.user.role == "student"
    assert session.expires > datetime.now(session.expires.tzinfo)


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues", needs=("accounts",), last=True)
@depends_on("GET /api/auth/session")
def test_a_session_lasts(at_once: AtOnce, signed_in: Session) -> None:
    """A session that ends within a run, or counts once only, signs students out while they work."""
    answers = at_once.ask(["GET /api/auth/session"] * 3, cookies=signed_in.cookies)

    assert [answer for answer in answers if who_is_signed_in(answer) is None] == []


def _every_course(answers: list[Answer]) -> list[str]:
    rows = answers[0].read(Data).data.enrollments
    return [f"GET /api/student/progress/course/{row.course_id}" for row in rows]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/enrollments", "GET /api/student/progress", account="student")
@follow_up(_every_course, account="student")
@depends_on("GET /api/student/progress/course/*")
def test_progress_is_shown_for_every_enrolment(answers: list[Answer], followed: list[Answer]) -> None:
    """Students who find their courses gone, or at zero, write to support the same day."""
    rows, overall = answers
    enrolments = rows.read(Data).data

    assert len(followed) == enrolments.total
    assert [answer for answer in (overall, *followed) if not answer.read(Answered).success] == []
    active = [str(row.course_id) for row in enrolments.enrollments if row.cancelled_at is None]
    assert [course for course in active if course not in overall.text] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/auth/session", account="student")
@follow_up(lambda answers: [f"{QUESTIONS}?studentId={answers[0].read(SignedIn).user.id}"], account="student")
@depends_on(QUESTIONS)
def test_student_questions_are_listed(followed: list[Answer]) -> None:
    """Without the list, students never read the answers of their teachers."""
    (questions,) = followed

    assert questions.status == HTTPStatus.OK
    assert questions.read(Questions).success


def _the_first_course(answers: list[Answer]) -> list[str]:
    return [f"GET /api/courses/{row.course_id}/enroll" for row in answers[0].read(Data).data.enrollments[:1]]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/enrollments", f"GET /api/courses/{NOBODY}/enroll", account="student")
@follow_up(_the_first_course, account="student")
@depends_on("GET /api/courses/*/enroll")
def test_enrolled_students_are_not_offered_their_course_again(answers: list[Answer], followed: list[Answer]) -> None:
    """A student who is offered an owned course buys it twice."""
    rows, unknown = answers

    assert len(followed) == min(len(rows.read(Data).data.enrollments), 1)
    assert [answer for answer in followed if answer.read(MayEnrol).data.eligible] == []
    # An unknown course is either a 404, or a 200 that says no.
    assert unknown.status == HTTPStatus.NOT_FOUND or not unknown.read(MayEnrol).data.eligible


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="exposure", runbook="authentication-issues")
@asks("GET /api/auth/verify-email", "GET /api/auth/verify-email?token=7p-verify")
def test_email_addresses_are_verified_only_by_their_own_token(answers: list[Answer]) -> None:
    """If any text is a valid token, anyone can claim any e-mail address."""
    missing, wrong = answers

    assert HTTPStatus.BAD_REQUEST <= missing.status < HTTPStatus.INTERNAL_SERVER_ERROR
    # A refusal is a redirect to the page that says so, or a 4xx; a redirect elsewhere has verified the address.
    led = urlsplit(wrong.headers.get("location", "")).path == "/auth/verification-error"
    assert led or HTTPStatus.BAD_REQUEST <= wrong.status < HTTPStatus.INTERNAL_SERVER_ERROR
