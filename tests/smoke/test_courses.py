"""The catalogue, as the API tells it."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

import msgspec
import pytest

from fixtures.answers import Answer
from fixtures.declarations import asks, touches
from fixtures.evidence import NotMeasured
from fixtures.site import Site


class Course(msgspec.Struct):
    """An item of the list."""

    id: UUID
    title: str
    price: float
    published: bool


class Listing(msgspec.Struct):
    """One page of the list."""

    courses: list[Course]
    total: int
    page: int
    limit: int


class Courses(msgspec.Struct):
    """GET /api/courses."""

    success: bool
    data: Listing


class Module(msgspec.Struct):
    """A module with its lessons."""

    id: UUID
    title: str
    order_index: int
    lessons: list[dict[str, object]]


class Detail(msgspec.Struct):
    """A course with its modules."""

    id: UUID
    title: str
    modules: list[Module]


class CourseDetail(msgspec.Struct):
    """GET /api/courses/{id}."""

    success: bool
    data: Detail


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", runbook="application-not-loading")
@asks("GET /api/courses")
def test_course_list_holds_published_courses_only(answer: Answer) -> None:
    """The shop and the dashboard live on this route; a draft in it is content nobody has paid an author for."""
    listing = answer.read(Courses)

    assert answer.status == HTTPStatus.OK
    assert listing.success is True
    assert [course.title for course in listing.data.courses if not course.published] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading")
@asks("GET /api/courses")
@touches("GET /api/courses/*")
def test_course_detail_carries_its_modules(answer: Answer, site: Site) -> None:
    """Without modules a buyer sees an empty course, and a student cannot open a lesson."""
    courses = answer.read(Courses).data.courses
    if not courses:
        reason = "the catalogue is empty, so no course could be opened"
        raise NotMeasured(reason)

    detail = site.ask(f"GET /api/courses/{courses[0].id}")
    course = detail.read(CourseDetail).data
    assert course.title == courses[0].title
    assert [module.title for module in course.modules if not module.lessons] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="application-not-loading")
@asks(
    "GET /api/courses/not-a-uuid", "GET /api/courses/00000000-0000-4000-8000-000000000000", "GET /api/courses?limit=0"
)
def test_bad_course_requests_are_refused_and_not_crashed(answers: list[Answer]) -> None:
    """An id that crashes the route fills the error log and hides the real errors."""
    assert [answer.status for answer in answers] == [
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.BAD_REQUEST,
    ]
