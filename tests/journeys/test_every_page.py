"""Every page of routes.toml, opened once for each visitor who may see it."""

from __future__ import annotations

from collections import Counter

import pytest

from fixtures.browser.views import View
from fixtures.browser.visitors import (
    ADMIN,
    IN_ENGLISH,
    INSTRUCTOR,
    ON_A_PHONE,
    STRANGER,
    STUDENT,
    LookAs,
    Sort,
    moved,
)
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotApplicable
from fixtures.site.accounts import Session
from fixtures.site.catalogue import empty, sells
from fixtures.site.client import Site
from fixtures.site.places import Places, pages_of
from fixtures.target.target import Target

PURCHASE = "/courses/{id}/purchase"
# It leads to the dashboard.
LEAD_ON = {"/student"}
OF_STRANGERS = [page for page in pages_of(None) if page != PURCHASE]
# Only those who are in a course have these.
OF_A_COURSE = [page for page in pages_of("student") if page.startswith("/courses/{slug}")]
OF_STUDENTS = [page for page in pages_of("student") if page not in {*LEAD_ON, *OF_A_COURSE}]
OF_ADMINS = pages_of("admin")


def _sold(health: Answer) -> list[str]:
    """Return the page of a purchase; while payments are off it leads back."""
    return [PURCHASE] if sells(health) else []


def _broken(views: list[View]) -> list[str]:
    return [view.broken for view in views if view.broken]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /api/health")
@depends_on(*(f"GET {page}" for page in OF_STRANGERS), "GET /courses/*/purchase", "GET /api/courses", "GET /_next/*")
def test_every_public_page_opens_for_a_stranger(answer: Answer, look_as: LookAs, site: Site) -> None:
    """A page that no other check opens stays broken until somebody complains."""
    pages = Places(site, {}).some([*OF_STRANGERS, *_sold(answer)])

    assert _broken(look_as(STRANGER).look(*pages)) == []


@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/health")
@depends_on("GET /", *(f"GET {page}" for page in OF_STUDENTS), "GET /courses/*/purchase", "GET /_next/*")
@depends_on("GET /api/auth/session", "GET /api/courses", "GET /api/courses/*", "GET /api/enrollments")
def test_every_page_of_students_opens_for_a_student(
    answer: Answer, look_as: LookAs, site: Site, browsing_student: Session
) -> None:
    """The same for those who have paid."""
    pages = Places(site, browsing_student.cookies).some(["/", *OF_STUDENTS, *_sold(answer)])

    assert _broken(look_as(STUDENT).look(*pages)) == []


@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@depends_on(*(f"GET {page}" for page in OF_A_COURSE), "GET /_next/*", "GET /api/auth/session")
@depends_on("GET /api/courses/*", "GET /api/enrollments")
@pytest.mark.parametrize(
    "sort",
    [
        pytest.param(STUDENT, id="at a desk", marks=pytest.mark.daily),
        pytest.param(ON_A_PHONE, id="on a phone", marks=pytest.mark.daily),
        pytest.param(IN_ENGLISH, id="in English", marks=pytest.mark.daily),
    ],
)
def test_the_own_course_and_its_lessons_open(
    sort: Sort, look_as: LookAs, site: Site, browsing_student: Session, target: Target
) -> None:
    """Students have paid for these pages."""
    places = Places(site, browsing_student.cookies)
    pages = places.some(OF_A_COURSE)
    if not places.listed:
        raise empty(target, "no course can be opened")
    if not pages:
        reason = "the student of the form is in no course, so that no course can be opened; enrol that account in one"
        raise NotApplicable(reason)
    tour = look_as(sort)

    assert [why for page in pages if (why := tour.out_of_reach(page))] == []


@pytest.mark.daily
@pytest.mark.check(
    severity="P2", judges="function", runbook="application-not-loading", needs=("accounts", "instructor")
)
@depends_on(*(f"GET {page}" for page in OF_STUDENTS), "GET /_next/*", "GET /api/auth/session", "GET /api/courses")
@depends_on("POST /api/auth/callback/credentials", "GET /login", "vendor supabase identity")
def test_every_page_of_students_opens_for_an_instructor(look_as: LookAs, site: Site) -> None:
    """Instructors have no pages of their own: they work with those of the students."""
    tour = look_as(INSTRUCTOR)

    assert _broken(tour.look(*Places(site, tour.cookies).some(OF_STUDENTS))) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts", "admin"))
@depends_on("GET /admin/dashboard", "GET /_next/*", "GET /api/auth/session")
@depends_on("POST /api/auth/callback/credentials", "GET /login", "vendor supabase identity")
def test_the_dashboard_of_the_administration_opens(look_as: LookAs) -> None:
    """Staff cannot work: refunds, questions and new courses wait."""
    (dashboard,) = look_as(ADMIN).look("/admin/dashboard")

    assert moved(dashboard, "/admin/").broken == ""


@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts", "admin"))
@depends_on(*(f"GET {page}" for page in OF_ADMINS), "GET /_next/*", "GET /api/auth/session")
@depends_on("POST /api/auth/callback/credentials", "GET /login", "vendor supabase identity")
def test_every_page_of_the_administration_opens_for_an_administrator(look_as: LookAs) -> None:
    """The same for staff. A page may have become a part of another one, but not all of them of the same."""
    views = look_as(ADMIN).look(*OF_ADMINS)
    (crowded, count), *_ = Counter(view.path for view in views).most_common()

    assert _broken([moved(view, "/admin/") for view in views]) == []
    assert [view for view in views if view.path == crowded != view.asked and count > len(views) / 2] == []
