"""The own pages of a student as the browser renders them: they show nobody else's data, and the own courses only."""

from __future__ import annotations

import pytest

from fixtures.browser.views import Look, View
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.inspection.persons import Person, person_of, strange_courses, traces
from fixtures.site.accounts import Session
from fixtures.site.client import Site
from fixtures.site.places import Known, known_courses

OWN = ("/dashboard", "/courses", "/settings", "/student/materials")
SESSION, ENROLMENTS, COURSES = "GET /api/auth/session", "GET /api/enrollments", "GET /api/courses?limit=100"


def _all_of(view: View) -> str:
    return "\n".join([view.text, *(path for _, path in view.links)])


def _who(site: Site, session: Session, listed: list[Known]) -> Person:
    """Ask who somebody is, after the pages: an enrolment of this run is then in the list, too."""
    told = [site.ask(request, cookies=session.cookies) for request in (SESSION, ENROLMENTS)]
    return person_of(told[0], told[1], listed)


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", needs=("accounts", "second-student"))
@asks(COURSES)
@depends_on(*(f"GET {path}" for path in OWN), "GET /_next/*", SESSION, ENROLMENTS)
def test_own_pages_show_nothing_of_another_student(
    answer: Answer, look_as_student: Look, site: Site, signed_in: Session, browsing_student: Session
) -> None:
    """
    The script of a page may ask for another's data, whatever the guard of the server says.

    The courses on a page prove nothing here: they may be an example or an offer, and everybody may know them.
    """
    views, listed = look_as_student(*OWN), known_courses(answer)
    other, reader = _who(site, signed_in, listed), _who(site, browsing_student, listed)

    found = [(view, traces(other, reader, _all_of(view), catalogue=())) for view in views]
    assert [f"{view.asked} shows another student's {', '.join(what)}" for view, what in found if what] == []


def _strange(views: list[View], reader: Person, listed: list[Known]) -> list[str]:
    """Return the pages that lead into a course as its student, and into which course, where the reader is in none."""
    catalogue = {course.slug for course in listed}
    found = [(view, strange_courses(reader, _all_of(view), catalogue)) for view in views]
    return [f"{view.asked} leads into {', '.join(slugs)}" for view, slugs in found if slugs]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(COURSES)
@depends_on("GET /courses", "GET /_next/*", SESSION, ENROLMENTS)
def test_students_find_their_own_courses(
    answer: Answer, look_as_student: Look, site: Site, browsing_student: Session
) -> None:
    """Students see the courses of somebody else in place of theirs."""
    views, listed = look_as_student("/courses"), known_courses(answer)

    assert _strange(views, _who(site, browsing_student, listed), listed) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(COURSES)
@depends_on(*(f"GET {path}" for path in OWN), "GET /_next/*", SESSION, ENROLMENTS)
def test_own_pages_lead_to_the_own_courses(
    answer: Answer, look_as_student: Look, site: Site, browsing_student: Session
) -> None:
    """The same for parts of other pages; there a link may also be one of a new recommendation."""
    views, listed = look_as_student(*OWN), known_courses(answer)

    assert _strange(views, _who(site, browsing_student, listed), listed) == []
