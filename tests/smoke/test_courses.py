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
from fixtures.checks.evidence import NotMeasured
from fixtures.inspection.authorship import json_of
from fixtures.inspection.guards import data_of
from fixtures.site.catalogue import Data, Listed, empty
from fixtures.target.target import Target

Row = dict[str, object]
# Detail is asked of this many courses: one that an editor has just begun may be empty.
_SAMPLED = 3


class Module(msgspec.Struct):
    """A module with its lessons."""

    id: str
    title: str | None
    order_index: int | None
    lessons: list[Row]


class Detail(msgspec.Struct):
    """A course with its modules."""

    id: str
    modules: list[Module]


def _rows(answer: Answer) -> list[Row]:
    return answer.read(Data[Listed[Row]]).data.courses


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="application-not-loading")
@asks("GET /api/courses")
def test_course_list_answers_with_courses(answer: Answer) -> None:
    """The shop and the dashboard show this list; without it nobody finds or buys a course."""
    assert answer.status == HTTPStatus.OK
    assert [row for row in _rows(answer) if "id" not in row] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="application-not-loading")
@asks("GET /api/courses")
def test_course_list_holds_published_courses_only(answer: Answer) -> None:
    """A draft in the list is content that is not for sale yet."""
    assert [
        row.get("title") or row.get("id")
        for row in data_of(answer, Data[Listed[Row]]).data.courses
        if row.get("published") is False
    ] == []


def _the_first(answers: list[Answer]) -> list[str]:
    return [
        f"GET /api/courses/{row['id']}"
        for row in data_of(answers[0], Data[Listed[Row]]).data.courses[:_SAMPLED]
        if "id" in row
    ]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /api/courses")
@follow_up(_the_first)
@depends_on("GET /api/courses/*")
def test_course_detail_carries_its_modules(answer: Answer, followed: list[Answer], target: Target) -> None:
    """Without modules a buyer sees an empty course, and a student cannot open a lesson."""
    asked = [row["id"] for row in _rows(answer)[:_SAMPLED] if "id" in row]
    if not asked:
        raise empty(target, "no course could be opened")

    courses = [detail.read(Data[Detail]).data for detail in followed]
    assert [course.id for course in courses] == asked
    lessons = [lesson for course in courses for module in course.modules for lesson in module.lessons]
    assert lessons or len(courses) == 1, followed


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks(
    "GET /api/courses/not-a-uuid", "GET /api/courses/00000000-0000-4000-8000-000000000000", "GET /api/courses?limit=0"
)
def test_bad_course_requests_are_refused_without_a_crash(answers: list[Answer]) -> None:
    """An id that crashes the route fills the error log and hides the real errors."""
    assert [answer for answer in answers if answer.status not in range(400, 500)] == []


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


def _lacks(row: Row) -> set[str]:
    """Return the promised fields that are missing in a course, or have another type."""
    return {field.name for field in msgspec.structs.fields(Card) if not _fits(row.get(field.name, ...), field.type)}


def _fits(value: object, promised: object) -> bool:
    try:
        msgspec.convert(value, promised)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /api/courses")
def test_course_list_has_every_field_that_the_shop_shows(answer: Answer) -> None:
    """Cards that lack a field crash in the browser, although the answer is 200."""
    rows = _rows(answer)
    # Of a single course only an absent key says that the list has changed, and not the course.
    lacking = [_lacks(row) if len(rows) > 1 else _lacks(row) - row.keys() for row in rows]

    assert sorted(set.intersection(*lacking) if lacking else ()) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks("GET /api/courses")
def test_every_course_of_the_list_is_complete(answer: Answer) -> None:
    """One course without a title is an unreadable card among others that work."""
    assert [f"{row.get('id')} without {name}" for row in _rows(answer) for name in sorted(_lacks(row))] == []


# Fields of a user's own row that no answer about a course may have. An instructor's e-mail address and role are public.
PRIVATE = {"password", "password_hash", "stripe_customer_id", "failed_login_attempts"}
# A course may have these, too: the phone number and the place of a seminar.
OF_A_USER = {"phone", "address", "email_verified"}
USERS = {"instructor", "user", "users", "student", "students", "author", "owner"}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks("GET /api/courses")
@follow_up(_the_first)
@depends_on("GET /api/courses/*")
def test_course_answers_hold_no_personal_data_of_users(answer: Answer, followed: list[Answer]) -> None:
    """One join too many puts the rows of all instructors into the shop."""
    contents = [json_of(given) for given in (answer, *followed) if given.code == HTTPStatus.OK]
    if not contents:
        reason = f"there is no course to look at: {answer.exchange()}"
        raise NotMeasured(reason)

    assert sorted({key for content in contents for key in _private(content)}) == []


def _private(value: object, of: str = "") -> Iterator[str]:
    """Yield the private keys that have a value. of: the key below which this value stands."""
    if isinstance(value, list):
        for inner in value:
            yield from _private(inner, of)
    elif isinstance(value, dict):
        private = PRIVATE | OF_A_USER if of in USERS else PRIVATE
        yield from (key for key, inner in value.items() if key in private and inner is not None)
        for key, inner in value.items():
            yield from _private(inner, key)
