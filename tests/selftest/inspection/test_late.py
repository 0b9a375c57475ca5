"""A route is late when two answers of it are, and as severe as the runbook and its worth allow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.inspection.inspected import Inspected, Inspection, Looker, Watch
from fixtures.inspection.late import Late, late_routes
from fixtures.site.client import Site
from fixtures.target.target import Target

PROGRESS = "GET /api/student/progress/course/5f0c7a34-9a0b-4d7e-8a55-1b2c3d4e5f60"
ENROL = "POST /api/enroll/free"


def _judged(
    path: Path, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], again: dict[str, float]
) -> list[Late]:
    """Judge a record of such requests; asked once more they take the second times."""
    record = path / "inspected-own.jsonl"
    found = [
        Inspection(request=name, code=200, seconds=took, found={"late": ["late"]}) for name, took in seconds.items()
    ]
    record.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in found))

    def ask(_: Inspected, entry: Inspection) -> Answer:
        return Answer("GET", entry.request, 200, seconds=again[entry.request])

    monkeypatch.setattr(Inspected, "ask", ask)
    looker = Looker(Target(name="t", url="https://7peducation.test", mode="act"), frozenset())
    with ThreadPoolExecutor(2) as threads:
        return late_routes(Inspected(Watch(record), cast("Site", None), looker, 0), threads)


@pytest.mark.parametrize(
    ("request_", "first", "second", "severity"),
    [
        (PROGRESS, 9.0, 2.1, "P3"),
        (PROGRESS, 2.9, 2.9, "P2"),
        (PROGRESS, 5.0, 6.0, "P1"),
        ("GET /api/courses", 5.0, 6.0, "P1"),
        ("GET /api/progress/update?courseId=x", 5.0, 6.0, "P2"),
        ("GET /api/ping", 5.0, 6.0, "P2"),
    ],
)
def test_the_better_answer_and_the_worth_of_the_route_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: str, first: float, second: float, severity: str
) -> None:
    """Nobody undoes a deployment for a diagnosis that takes five seconds."""
    (late,) = _judged(tmp_path, monkeypatch, {request_: first}, {request_: second})

    assert late.severity == severity


def test_a_cold_start_is_no_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first visitor of a new deployment waits for its functions to start."""
    assert _judged(tmp_path, monkeypatch, {PROGRESS: 6.0}, {PROGRESS: 0.2}) == []


def test_what_uses_up_a_limit_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second enrolment would take one of the five that a minute has."""
    assert _judged(tmp_path, monkeypatch, {ENROL: 6.0}, {}) == []


def test_the_most_important_routes_are_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few routes prove that everything is late, and each is asked once."""
    others = [f"GET /api/{name}" for name in ("ping", "diag", "health/simple", "courses/stats")]
    slow = {**dict.fromkeys(others, 9.0), "GET /api/courses": 5.0, "GET /api/courses?page=2": 6.0}

    found = _judged(tmp_path, monkeypatch, slow, dict.fromkeys(slow, 5.0))

    assert (len(found), found[0].route, found[0].first) == (4, "GET /api/courses", 6.0)


def test_routes_that_are_hardly_late_do_not_hide_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every route of a slow database is late: an important one by a little, and one with three queries by far."""
    little = [f"GET /api/courses?page={number}" for number in range(3)] + ["GET /api/health", "GET /", "GET /login"]
    slow = {**dict.fromkeys(little, 2.05), PROGRESS: 6.0}

    found = _judged(tmp_path, monkeypatch, slow, slow)

    assert (found[0].route, found[0].severity) == ("GET /api/student/progress/course/{id}", "P1")
