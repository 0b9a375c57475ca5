"""The catalogue: paging, sorting, filters and search."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, follow_up
from fixtures.site.catalogue import Data, FullPage, Listed, empty
from fixtures.target.target import Target


class Course(msgspec.Struct):
    """The fields of a course that queries are about."""

    id: str
    title: str | None
    price: float | None
    difficulty: str | None


Listing = Data[FullPage[Course]]


class Hit(msgspec.Struct):
    """A course that was found."""

    title: str | None


class Found(Listed[Hit]):
    """GET /api/courses/search."""


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading")
@asks("GET /api/courses?limit=2", "GET /api/courses?page=2&limit=2")
def test_pages_of_the_course_list_follow_one_another(answers: list[Answer]) -> None:
    """Pages that overlap or stop early hide courses from everyone who scrolls."""
    first, second = (answer.read(Listing).data for answer in answers)

    assert (first.limit, second.limit, first.page, second.page) == (2, 2, 1, 2)
    assert first.total == second.total
    assert first.total_pages == -(-first.total // 2)
    assert (first.has_prev, first.has_next, second.has_prev) == (False, first.total > 2, True)
    assert {course.id for course in first.courses} & {course.id for course in second.courses} == set()
    assert len(first.courses) + len(second.courses) == min(first.total, 4)


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading")
@asks("GET /api/courses?difficulty=beginner&sortBy=price&sortOrder=asc&limit=100")
def test_course_list_sorts_and_filters_as_asked(answer: Answer) -> None:
    """Buyers who ask for cheap and easy courses see others, and leave."""
    courses = answer.read(Listing).data.courses
    prices = [course.price for course in courses if course.price is not None]

    assert [course.title for course in courses if course.difficulty != "beginner"] == []
    assert prices == sorted(prices)


def _by_its_title(answers: list[Answer]) -> list[str]:
    courses = answers[0].read(Listing).data.courses
    return [f"GET /api/courses/search?q={quote(course.title)}" for course in courses if course.title][:1]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", spends={"searches": 2})
@asks("GET /api/courses?limit=2", "GET /api/courses/search")
@follow_up(_by_its_title)
def test_search_finds_a_course_by_its_title(answers: list[Answer], followed: list[Answer], target: Target) -> None:
    """A shop whose search finds nothing looks empty."""
    listing, without_text = answers
    titles = [course.title for course in listing.read(Listing).data.courses if course.title]
    if not titles:
        raise empty(target, "there is nothing to search for")

    # Several courses may have this title, and the answer holds some of them.
    assert titles[0] in [course.title for course in followed[0].read(Data[Found]).data.courses]
    assert HTTPStatus.BAD_REQUEST <= without_text.status < HTTPStatus.INTERNAL_SERVER_ERROR
