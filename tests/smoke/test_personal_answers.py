"""Answers that belong to one student: nobody else gets them, neither from the platform nor from a cache before it."""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.inspection.persons import is_about, may_be_shared, person_of, rows_of, signed_in_as, traces
from fixtures.model.routes import routes
from fixtures.site.accounts import Session
from fixtures.site.client import Site
from fixtures.site.places import known_courses

from .conftest import AtOnce

SESSION, ENROLMENTS = "GET /api/auth/session", "GET /api/enrollments"
COURSES = "GET /api/courses?limit=100"
# The script of a page asks the page's own address for its content, with this header.
CONTENT: dict[str, str] = {"rsc": "1"}
# Courses on another page may be an example or an offer, which everybody gets.
EXAMPLES = frozenset({"/dashboard", "/settings", "/student/materials", "/student/questions"})
PAGES = ("GET /dashboard", "GET /courses", "GET /settings", "GET /student/materials", "GET /student/questions")
# The steps of a sign-in are left out: one of them may send a mail.
ROUTES = tuple(
    name
    for name, route in routes().items()
    if re.match(r"GET /api/(?!auth/)[^{]+$", name) and route.guard == "student" and not route.query
)


# As applications name the user whose rows are wanted.
WHOSE = ("userId", "user_id", "studentId", "student_id", "user")
LISTS = (*ROUTES, "GET /api/auth/profile")


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", needs=("accounts", "second-student"))
@asks(COURSES)
@depends_on(SESSION, ENROLMENTS, *PAGES, *ROUTES)
def test_two_students_at_once_get_nothing_of_each_other(
    answer: Answer, site: Site, at_once: AtOnce, signed_in: Session, other_student: Session
) -> None:
    """A cache, or a variable that outlives its request, gives one student the page and the data of another."""
    asked = [(request, dict[str, str]()) for request in (SESSION, *ROUTES)] + [(request, CONTENT) for request in PAGES]
    # Both ask the same at the same moment; the first student, who has courses, is the last to ask.
    got = at_once.do(
        *(
            partial(site.ask, request, headers=headers, cookies=who.cookies)
            for request, headers in asked
            for who in (other_student, signed_in)
        )
    )
    listed = known_courses(answer)
    catalogue = {course.slug for course in listed}
    # Another check of this run may have bought a course in the meantime.
    one, other = (
        person_of(site.ask(SESSION, cookies=who.cookies), site.ask(ENROLMENTS, cookies=who.cookies), listed)
        for who in (signed_in, other_student)
    )

    theirs, own = got[::2], got[1::2]
    pairs = [(one, other, answer) for answer in theirs] + [(other, one, answer) for answer in own]
    given = [
        (answer, traces(owner, reader, answer.text, set() if urlsplit(answer.url).path in EXAMPLES else catalogue))
        for owner, reader, answer in pairs
    ]
    assert [f"{answer.exchange()} shows another student's {', '.join(what)}" for answer, what in given if what] == []
    # Somebody without courses leaves no trace in the answer of another; that one has lost all of the own courses.
    courses = own[[request for request, _ in asked].index(ENROLMENTS)]
    has_lost = courses.status == HTTPStatus.OK and not any(row in courses.text for row in one.enrolments)
    assert not (one.enrolments and has_lost), f"{courses.exchange()} lacks every enrolment of the student who asks"


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", needs=("accounts", "second-student"))
@asks(SESSION, *LISTS, account="student")
def test_no_parameter_gives_a_student_the_rows_of_another(
    answers: list[Answer], at_once: AtOnce, other_student: Session
) -> None:
    """A route that believes the address line gives everybody's rows to each student who writes another's id there."""
    session, *own = answers
    whose = "&".join(f"{name}={signed_in_as(session)}" for name in WHOSE)
    # Another check may enrol this student in a course of the other one meanwhile, or end it.
    before = at_once.ask(LISTS, cookies=other_student.cookies)
    given = at_once.ask([f"{request}?{whose}" for request in LISTS], cookies=other_student.cookies)
    after = at_once.ask(LISTS, cookies=other_student.cookies)

    theirs = [rows_of(one) | rows_of(two) for one, two in zip(before, after, strict=True)]
    secrets = [rows_of(mine) - plain for mine, plain in zip(own, theirs, strict=True)]
    shown = [answer for answer, secret in zip(given, secrets, strict=True) if secret & rows_of(answer)]
    assert [f"{answer.exchange()} shows rows of another student" for answer in shown] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="hardening", runbook="incident-security", needs=("accounts",))
@asks(SESSION, ENROLMENTS, account="student")
@asks(*ROUTES, *PAGES, account="student")
@asks(*PAGES, headers=CONTENT, account="student")
@asks(COURSES)
def test_no_shared_cache_may_keep_personal_answers(answers: list[Answer]) -> None:
    """A cache gives the next visitor what belongs to this one. A page without any data may be kept."""
    *personal, courses = answers
    owner = person_of(answers[0], answers[1], known_courses(courses))

    kept = [
        (answer, may_be_shared(answer.headers))
        for answer in personal
        if answer.status == HTTPStatus.OK and is_about(owner, answer.text)
    ]
    assert [f"{answer.exchange()}: {header}" for answer, header in kept if header] == []
