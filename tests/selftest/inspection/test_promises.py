"""Answers are held against contract.toml by their path, their parameters and their visitor."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from fixtures.checks.answers import Answer, Sent
from fixtures.inspection.promises import broken_promises

URL = "https://7p.test"
COURSE = "3f1b0a52-1111-4111-8111-111111111111"
SIGNED_IN = {"next-auth.session-token": "a"}


def answer(request: str, body: object, *, status: int = 200, cookies: dict[str, str] | None = None) -> Answer:
    """Return an answer in JSON to a GET."""
    headers = httpx.Headers({"content-type": "application/json"})
    content = msgspec.json.encode(body)
    return Answer("GET", f"{URL}{request}", status, headers, content, sent=Sent(cookies=cookies or {}))


def row(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  (any value)
    """Return the progress in one course."""
    known = {"user_id": COURSE, "course_id": COURSE, "progress_percentage": 5, "lessons_completed": 1}
    numbers = {"total_lessons": 2, "modules_completed": 0, "total_modules": 1}
    return known | numbers | {"last_accessed": "2026-11-01T10:00:00Z"} | changed


def test_a_key_that_is_missing_null_or_of_another_type_is_found() -> None:
    """Each of them shows nothing on a page; further keys are free."""
    for changed, found in (
        ({}, False),
        ({"more": 1}, False),
        ({"progress_percentage": None}, True),
        ({"total_lessons": "2"}, True),
    ):
        body = {"success": True, "data": [row(), row(**changed)]}
        problems = broken_promises(answer("/api/student/progress", body, cookies=SIGNED_IN))
        assert any("progress_percentage" in line or "total_lessons" in line for line in problems) is found, changed


@pytest.mark.parametrize(
    "request_",
    ["/api/student/progress?course_id=3", "/api/student/progress?course_id=3&more=1"],
)
def test_an_answer_is_held_against_the_entry_of_its_parameters(request_: str) -> None:
    """With a course the route answers another shape."""
    problems = broken_promises(answer(request_, {"success": True, "data": []}, cookies=SIGNED_IN))

    assert any("overall_completion" in line for line in problems)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (answer("/api/student/progress", {"error": "no"}, status=401), "a refusal is worded in any way"),
        (answer("/api/student/progress", {"success": True}), "nothing is promised to a stranger"),
        (answer("/api/auth/session", {}, cookies=SIGNED_IN), "a session that has ended is nobody's"),
        (answer("/api/unknown", {"a": 1}), "nobody promised anything"),
        (Answer("GET", f"{URL}/api/courses", 200, httpx.Headers({"content-type": "text/html"}), b"<p>"), "no JSON"),
    ],
)
def test_what_is_promised_to_nobody_is_not_judged(given: Answer, why: str) -> None:
    """Other checks judge these answers."""
    assert broken_promises(given) == [], why
