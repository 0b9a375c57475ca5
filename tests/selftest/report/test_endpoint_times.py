"""Checks the table of response times: the samples behind each value, and when it is printed."""

from __future__ import annotations

from fixtures.inspection.inspected import Inspection
from fixtures.report.summary import NEEDED, times_table
from tests.selftest.conftest import Stub, Suite


def taken(request: str, *seconds: float, code: int | None = 200) -> list[Inspection]:
    """Return an observation for each time."""
    return [Inspection(request=request, code=code, seconds=value) for value in seconds]


def test_a_row_says_on_how_many_readings_it_stands() -> None:
    """Three samples have a median and a maximum, and no percentile."""
    _, line = times_table(taken("GET /api/courses?page=2", 0.031, 0.02, 0.088))

    assert line.split() == [
        *("GET", "/api/courses", "3", "31", "ms", "88", "ms"),
        *("3", "of", "59", "samples", "2000", "ms"),
    ]


def test_enough_readings_have_a_percentile() -> None:
    """With 59 samples, "95 % are faster" is wrong in at most one of twenty cases."""
    enough = [(index + 1) / 1000 for index in range(NEEDED)]

    assert "57 ms" in times_table(taken("GET /", *enough))[1]
    assert "58 of 59 samples" in times_table(taken("GET /", *enough[1:]))[1]


def test_what_the_runbook_monitors_stands_first_and_the_slowest_next() -> None:
    """A reader begins at the top."""
    seen = [*taken("GET /", 0.5), *taken("GET /login", 0.9), *taken("GET /api/health", 0.1)]

    assert [line.split()[1] for line in times_table(seen)[1:]] == ["/api/health", "/login", "/"]


def test_a_median_over_the_limit_is_marked() -> None:
    """A reader need not know the limit."""
    assert times_table(taken("GET /api/ping", 2.5))[1].endswith("2000 ms  OVER")
    assert times_table(taken("GET /marketplace", 2.5))[1].endswith("1 of 59 samples")


def test_what_did_not_answer_took_no_time() -> None:
    """A refused connection is fast, and is no response."""
    assert times_table(taken("GET /", 0.001, code=None)) == []


SMALL = """
@post
@P1
@asks("GET /api/health", "GET /api/courses?page=2")
def test_one(answers):
    assert [answer.status for answer in answers] == [HTTPStatus.OK, HTTPStatus.OK]

@post
@P2
@asks("GET /api/health")
def test_shares(answer):
    assert answer.status == HTTPStatus.OK
"""


def test_a_smoke_run_prints_each_answer_once(suite: Suite, stub: Stub) -> None:
    """Two checks that share an answer are one sample."""
    for route in ("GET /api/health", "GET /api/courses"):
        stub.json(route, "{}")
    suite.write(SMALL)

    out = suite.run("-m", "smoke", "--target", stub.url).out

    rows = [line.split()[1:3] for line in out.splitlines() if line.startswith("GET /")]
    assert sorted(rows) == [["/api/courses", "1"], ["/api/health", "1"]]
