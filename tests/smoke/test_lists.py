"""Lists of the same things in different answers agree: what one of them leaves out, the other shows."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.checks.evidence import NotMeasured
from fixtures.inspection.authorship import json_of
from fixtures.site.catalogue import empty
from fixtures.target.target import Target

from .test_student import Data

Rows = list[dict[str, Any]]


class Course(msgspec.Struct):
    """A course with its modules, and the same lessons without them."""

    modules: Rows
    lessons: Rows = []


class Detail(msgspec.Struct):
    """GET /api/courses/{id}."""

    data: Course


class Progress(msgspec.Struct):
    """The progress in a course, module by module."""

    modules: Rows


class OfCourse(msgspec.Struct):
    """GET /api/student/progress/course/{id}."""

    data: Progress


def _values(rows: Iterable[dict[str, Any]], *keys: str) -> set[str]:
    """Return the ids in the rows, under the first of these keys that a row has."""
    return {str(next((row[key] for key in keys if key in row), "")) for row in rows} - {""}


def _own_course(answers: list[Answer]) -> list[str]:
    rows = answers[0].read(Data).data.enrollments
    active = [row.course_id for row in rows if row.cancelled_at is None]
    ways = ("GET /api/courses/{}", "GET /api/student/progress/course/{}")
    return [way.format(course) for course in active[:1] for way in ways]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/enrollments", account="student")
@follow_up(_own_course, account="student")
@depends_on("GET /api/courses/*", "GET /api/student/progress/course/*")
def test_a_course_shows_every_module_and_lesson(answer: Answer, followed: list[Answer], target: Target) -> None:
    """A student never finds the lesson that the course leaves out, and never completes the course."""
    if not followed:
        raise empty(target, f"no course of the student is known: {answer.exchange()}")

    course, progress = followed[0].read(Detail).data, followed[1].read(OfCourse).data
    shown = _values((lesson for module in course.modules for lesson in module.get("lessons", [])), "id")
    modules = _values(course.modules, "id")
    # An answer without the second list says nothing about the first.
    assert (_values(course.lessons, "id") or shown) == shown
    assert (_values(progress.modules, "module_id", "id") or modules) == modules


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/enrollments", "GET /api/student/enroll", account="student")
def test_both_lists_of_enrolments_agree(answers: list[Answer]) -> None:
    """A student sees a course on one page, and not on the next one."""
    listed, other = answers
    content = json_of(other)
    rows = content.get("enrollments") if isinstance(content, dict) and other.code == HTTPStatus.OK else None
    first = listed.read(Data).data
    if not isinstance(rows, list) or len(first.enrollments) < first.total:
        reason = f"there are no two complete lists: {other.exchange()}, and {first.total} enrolments"
        raise NotMeasured(reason)

    active = {str(row.course_id) for row in first.enrollments if row.cancelled_at is None}
    assert _values((row for row in rows if not row.get("cancelled_at")), "course_id") ^ active == set()
