"""What a signed-in student gets from the API and the pages, on the session that the run shares."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
import pytest

from fixtures.accounts import Session
from fixtures.answers import Answer
from fixtures.declarations import asks, touches
from fixtures.routes import NOBODY
from fixtures.site import Site
from fixtures.targets import Target

from .conftest import AtOnce

Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
SETTINGS = ("Kişisel Bilgiler", "Platform Ayarları", "Bildirimler", "Güvenlik", "Faturalandırma")
# What stands on a personal page, in any element.
PERSONAL = {
    "/courses": ("Kurslarım",),
    "/settings": SETTINGS,
    "/student": (),
    "/student/materials": (),
    "/student/questions": (),
}


class User(msgspec.Struct):
    """Who is signed in."""

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
    """One of the student's courses."""

    course_id: UUID
    progress: Percent


class Enrolments(msgspec.Struct):
    """All of them."""

    enrollments: list[Enrolment]
    total: int


class Data(msgspec.Struct):
    """GET /api/enrollments."""

    success: bool
    data: Enrolments


class Answered(msgspec.Struct):
    """A data route whose `data` is its own business."""

    success: bool
    data: dict[str, object]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", runbook="authentication-issues", needs=("accounts",))
@touches("GET /api/auth/session")
def test_session_says_who_is_signed_in(site: Site, signed_in: Session, target: Target) -> None:
    """Every page asks it: without role and id the student is a stranger in the own account."""
    told = site.ask("GET /api/auth/session", cookies=signed_in.cookies).read(SignedIn)

    assert told.user.email.casefold() == target.accounts["student"].email.casefold()
    assert told.user.role == "student"
    assert told.expires > datetime.now(told.expires.tzinfo)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading", needs=("accounts",))
@touches("GET /api/enrollments", "GET /api/student/progress", "GET /api/student/progress/course/*")
def test_progress_is_told_for_every_enrolment(at_once: AtOnce, signed_in: Session) -> None:
    """Students who find their courses gone, or at zero, write to support the same day."""
    routes = ("GET /api/enrollments", "GET /api/student/progress")
    rows, overall = at_once.ask(routes, cookies=signed_in.cookies)
    enrolled = rows.read(Data).data
    courses = [f"GET /api/student/progress/course/{enrolment.course_id}" for enrolment in enrolled.enrollments]
    single = at_once.ask(courses, cookies=signed_in.cookies)

    assert len(courses) == enrolled.total
    assert overall.read(Answered).success
    assert [answer for answer in single if not answer.read(Answered).success] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="application-not-loading", needs=("accounts",))
@touches("GET /api/student/questions")
def test_student_questions_are_listed(site: Site, signed_in: Session) -> None:
    """Answers that teachers wrote are never read."""
    answer = site.ask("GET /api/student/questions", cookies=signed_in.cookies)

    assert answer.read(Answered).success
    assert answer.status == HTTPStatus.OK


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="application-not-loading", needs=("accounts",))
@touches("GET /api/enrollments", "GET /api/courses/*/enroll")
def test_eligibility_knows_who_is_enrolled(at_once: AtOnce, site: Site, signed_in: Session) -> None:
    """Offered what one has already bought, one buys it twice."""
    rows = site.ask("GET /api/enrollments", cookies=signed_in.cookies).read(Data).data.enrollments
    courses = [NOBODY, *(row.course_id for row in rows[:1])]
    unknown, *told = at_once.ask([f"GET /api/courses/{course}/enroll" for course in courses], cookies=signed_in.cookies)

    assert [answer for answer in told if answer.read(Answered).data.get("eligible", False)] == []
    assert unknown.status == HTTPStatus.NOT_FOUND


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading", needs=("accounts",))
@touches(*(f"GET {path}" for path in PERSONAL))
def test_personal_pages_open_for_a_student(at_once: AtOnce, signed_in: Session) -> None:
    """Signed in, and still turned away or met by a page of someone else's texts."""
    answers = at_once.ask([f"GET {path}" for path in PERSONAL], cookies=signed_in.cookies)
    pages = dict(zip(PERSONAL, answers, strict=True))

    assert [answer for answer in pages.values() if answer.status != HTTPStatus.OK] == []
    shown = {path: answer.page.text for path, answer in pages.items()}
    missing = [(path, text) for path, texts in PERSONAL.items() for text in texts if text not in shown[path]]
    assert missing == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="authentication-issues")
@asks("GET /api/auth/verify-email", "GET /api/auth/verify-email?token=7p-verify")
def test_addresses_are_verified_by_their_own_token_only(answers: list[Answer]) -> None:
    """Any text as a token, and anyone owns any address."""
    missing, wrong = answers

    assert missing.status == HTTPStatus.BAD_REQUEST
    assert wrong.status == HTTPStatus.TEMPORARY_REDIRECT
    assert wrong.headers.get("location", "").endswith("/auth/verification-error")
