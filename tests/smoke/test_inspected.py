"""
Content that no answer of the whole run may show: signed-in pages, refusals, POSTs, and wrong ids.

These checks run last, when all other smoke checks have their answers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.checks.evidence import Evidence
from fixtures.inspection.inspected import BROKEN, COUNTED, DELIVERY, INSIDE, PERSONAL, PROMISED, SECRETS, Inspected
from fixtures.inspection.late import late_routes
from fixtures.model.routes import readable
from fixtures.site.catalogue import empty
from fixtures.target.target import Target

from .conftest import crashed
from .test_student import Data

EVERYTHING = depends_on("* /*")
# With the id of a course in which the student is enrolled.
OF_A_COURSE = (
    "GET /api/courses/{}",
    "GET /api/courses/{}/enroll",
    "GET /api/courses/{}/progress",
    "GET /api/student/progress?course_id={}",
    "GET /api/student/progress/course/{}",
    "GET /api/progress/update?courseId={}",
    "GET /api/progress/course-stats?courseId={}",
    "GET /api/materials/upload?courseId={}",
)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(*readable(), account="student")
def test_every_page_and_route_of_a_student_answers_without_a_crash(answers: list[Answer]) -> None:
    """A signed-in student meets the crash at the first click; the checks below judge the content of these answers."""
    assert [answer for answer in answers if crashed(answer)] == []


def of_their_course(answers: list[Answer]) -> list[str]:
    """Return the requests of a student's own course. answers: the own enrolments."""
    rows = answers[0].read(Data).data.enrollments
    active = [row.course_id for row in rows if row.cancelled_at is None]
    return [request.format(course) for course in active[:1] for request in OF_A_COURSE]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/enrollments", account="student")
@follow_up(of_their_course, account="student")
@depends_on(*(request.partition("?")[0].format("*") for request in OF_A_COURSE))
def test_students_reach_every_route_of_their_own_course(answer: Answer, followed: list[Answer], target: Target) -> None:
    """The page of a course asks these routes; it stays empty where one refuses its own student."""
    if not followed:
        raise empty(target, f"no course of the student is known: {answer.exchange()}")

    assert [answer for answer in followed if answer.status != HTTPStatus.OK] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_a_secret(inspected: Inspected) -> None:
    """Answers behind the sign-in and refusals have many readers, and nobody tests them by name."""
    assert inspected.offenders(SECRETS) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security", last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_personal_data_of_others(inspected: Inspected) -> None:
    """An e-mail address, hash or token of somebody else is a data breach."""
    assert inspected.offenders(PERSONAL) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", last=True)
@EVERYTHING
def test_no_answer_of_the_run_is_an_error_page_with_a_healthy_status(inspected: Inspected) -> None:
    """The status is healthy, and users see an error page, a development build or links to staging."""
    assert inspected.offenders(BROKEN) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security", last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_internals(inspected: Inspected) -> None:
    """Stack traces and SQL show first in the answer to a refused POST."""
    assert inspected.offenders(INSIDE) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="performance-optimization", last=True)
@EVERYTHING
def test_every_answer_of_the_run_is_delivered_correctly(inspected: Inspected) -> None:
    """Users read wrong letters, wait, or leave the platform when one of the rules of delivery is broken."""
    assert inspected.offenders(DELIVERY) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", last=True)
@EVERYTHING
def test_every_list_holds_the_rows_that_it_promises(inspected: Inspected) -> None:
    """Rows that a list leaves out cannot be found by anybody; rows that it adds or repeats confuse everybody."""
    assert inspected.offenders(COUNTED) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading", last=True)
@EVERYTHING
def test_every_answer_of_the_run_keeps_its_promises(inspected: Inspected) -> None:
    """Pages read a key that is missing, null or of another type as undefined, and show nothing in its place."""
    assert inspected.offenders(PROMISED) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="budget", runbook="key-metrics-dashboard", last=True)
@EVERYTHING
def test_no_route_answers_late(inspected: Inspected, threads: ThreadPoolExecutor, evidence: Evidence) -> None:
    """The runbook calls two seconds slow; behind the sign-in nobody watches the time, and students leave."""
    late = late_routes(inspected, threads)
    for one in late:
        evidence.raise_severity(one.severity)

    assert [str(one) for one in late] == []
