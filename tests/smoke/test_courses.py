"""The catalogue as the API shows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.site.catalogue import Data, FullPage, Page, empty
from fixtures.target.target import Target


class Course(msgspec.Struct):
    """An item of the list."""

    id: UUID
    title: str
    price: float
    published: bool


class Courses(Data[Page[Course]]):
    """GET /api/courses."""

    success: bool


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


class CourseDetail(Data[Detail]):
    """GET /api/courses/{id}."""

    success: bool


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="application-not-loading")
@asks("GET /api/courses")
def test_course_list_holds_published_courses_only(answer: Answer) -> None:
    """The shop and the dashboard show this list; a draft in it is content that is not for sale yet."""
    listing = answer.read(Courses)

    assert answer.status == HTTPStatus.OK
    assert listing.success is True
    assert [course.title for course in listing.data.courses if not course.published] == []


def _the_first(answers: list[Answer]) -> list[str]:
    return [f"GET /api/courses/{course.id}" for course in answers[0].read(Courses).data.courses[:1]]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /api/courses")
@follow_up(_the_first)
@depends_on("GET /api/courses/*")
def test_course_detail_carries_its_modules(answer: Answer, followed: list[Answer], target: Target) -> None:
    """Without modules a buyer sees an empty course, and a student cannot open a lesson."""
    courses = answer.read(Courses).data.courses
    if not courses:
        raise empty(target, "no course could be opened")

    course = followed[0].read(CourseDetail).data
    assert course.title == courses[0].title
    assert [module.title for module in course.modules if not module.lessons] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks(
    "GET /api/courses/not-a-uuid", "GET /api/courses/00000000-0000-4000-8000-000000000000", "GET /api/courses?limit=0"
)
def test_bad_course_requests_are_refused_without_a_crash(answers: list[Answer]) -> None:
    """An id that crashes the route fills the error log and hides the real errors."""
    refusals = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
    assert [answer for answer in answers if answer.status not in refusals] == []


class Instructor(msgspec.Struct):
    """The instructor, as far as a card shows one."""

    id: UUID
    full_name: str
    avatar_url: str | None


class Category(msgspec.Struct):
    """The category, by which the shop filters."""

    id: UUID
    name: str


class Card(msgspec.Struct):
    """An item of the list with everything that the contract promises."""

    id: UUID
    title: str
    description: str
    price: Annotated[float, msgspec.Meta(ge=0)]
    difficulty: str
    published: bool
    created_at: datetime
    instructor: Instructor | None
    category: Category | None
    enrollment_count: int
    average_rating: Annotated[float, msgspec.Meta(ge=0, le=5)]
    total_ratings: int


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /api/courses")
def test_course_list_has_every_field_that_the_shop_shows(answer: Answer) -> None:
    """A card without one of its fields crashes in the browser, although the answer is 200."""
    page = answer.read(Data[FullPage[Card]]).data

    assert len({card.id for card in page.courses}) == min(page.total, page.limit)
    assert (page.page, page.has_prev, page.has_next) == (1, False, page.total_pages > 1)


# Keys of a user's own row that no answer about a course may have. An instructor's e-mail address is public.
PRIVATE = {
    "password",
    "password_hash",
    "role",
    "phone",
    "address",
    "email_verified",
    "stripe_customer_id",
    "failed_login_attempts",
}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks("GET /api/courses")
@follow_up(_the_first)
@depends_on("GET /api/courses/*")
def test_course_answers_hold_no_personal_data_of_users(answer: Answer, followed: list[Answer]) -> None:
    """One join too many puts the e-mail addresses of all instructors into the shop."""
    keys = {key for given in (answer, *followed) for key in _keys(given.read(dict[str, object]))}
    assert sorted(keys & PRIVATE) == []


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
