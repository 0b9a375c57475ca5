"""Access to data that belongs to another student."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotApplicable, NotMeasured
from fixtures.inspection.guards import answered, data_of, reached
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Data, empty
from fixtures.site.client import Site
from fixtures.target.target import Target

from .conftest import AtOnce

# The check tries this many of a student's courses.
_MOST = 4
_SAME_COURSES = "both students are in the same courses; enrol the first one in another course"


class _Row(msgspec.Struct):
    id: str
    course_id: str
    progress_percentage: float = 0


class _Rows(msgspec.Struct):
    enrollments: list[_Row]


class _User(msgspec.Struct):
    id: str


class _SignedIn(msgspec.Struct):
    """GET /api/auth/session."""

    user: _User


class _Total(msgspec.Struct):
    total: int


def _nothing(site: Site, target: Target, why: str) -> NotApplicable | NotMeasured:
    """Return the exception for a target without data to test with; an empty shop is not a failure."""
    sold = data_of(site.ask("GET /api/courses?limit=1"), Data[_Total]).data.total
    return NotMeasured(why) if sold else empty(target, "nobody is enrolled")


def _rows(enrolments: Answer) -> list[_Row]:
    return data_of(enrolments, Data[_Rows]).data.enrollments


# P1: the proof of a rollback repeats every P0, and the platform limits the sign-ins of the second student.
@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P1", judges="exposure", runbook="incident-security", needs=("accounts", "second-student", "writes")
)
@asks("GET /api/enrollments", account="student")
@depends_on("GET /api/courses", "PATCH /api/enrollments/*")
def test_nobody_reaches_another_students_enrolment(
    answer: Answer, site: Site, at_once: AtOnce, other_student: Session, target: Target
) -> None:
    """With nothing but its id, another student would read, change or cancel a paid enrolment."""
    own = _rows(answer)
    if not own:
        raise _nothing(site, target, "the synthetic student has no enrolment that another student could try to reach")

    ask = partial(site.ask, cookies=other_student.cookies)
    # The enrolment has this progress already, so that a successful change changes nothing.
    progress = {"progress_percentage": own[0].progress_percentage}
    theirs, changed = at_once.do(
        lambda: ask("GET /api/enrollments"),
        lambda: ask(f"PATCH /api/enrollments/{own[0].id}", json=progress),
    )
    assert [row for row in _rows(theirs) if row.id in {mine.id for mine in own}] == []
    assert reached([changed]) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security", needs=("accounts", "second-student"))
@asks("GET /api/auth/session", "GET /api/enrollments", account="student")
@depends_on("GET /api/courses", "GET /api/student/progress/course/*")
def test_nobody_reads_another_students_progress(
    answers: list[Answer], site: Site, at_once: AtOnce, other_student: Session, target: Target
) -> None:
    """Progress is personal data; the law protects it."""
    session, enrolments = answers
    user, own = data_of(session, _SignedIn).user.id, _rows(enrolments)
    courses = [row.course_id for row in own[:_MOST]]
    asked = ["GET /api/enrollments", *(f"GET /api/student/progress/course/{course}" for course in courses)]
    theirs, *given = at_once.ask(asked, cookies=other_student.cookies)
    progress = dict(zip(courses, given, strict=True))
    private = [course for course in courses if course not in {row.course_id for row in _rows(theirs)}]
    if not private:
        raise _nothing(site, target, _SAME_COURSES)

    secret = [user, *(row.id for row in own)]
    # Without an enrolment the progress of a course is refused, or all zeros; it names the course in any case.
    shown = [progress[course] for course in private]
    assert [(answer, identity) for answer in shown for identity in secret if identity in answer.text] == []
    assert [answer for answer in shown if answer.status < HTTPStatus.BAD_REQUEST and _completed(answer)] == []
    answered(shown)


class _Completion(msgspec.Struct):
    overall_completion: float = 0


def _completed(answer: Answer) -> bool:
    return bool(data_of(answer, Data[_Completion]).data.overall_completion)
