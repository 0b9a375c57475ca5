"""Checks the table of the health of the database: its rows, and when it is printed."""

from __future__ import annotations

import msgspec
import pytest

from fixtures.model.verdict import CheckResult, Measurement, Outcome, Severity
from fixtures.report.summary import health_table
from tests.selftest.conftest import Suite


def a_check(title: str, outcome: Outcome, kind: str = "database", **told: object) -> CheckResult:
    """Return a judged check."""
    entry = {"node_id": f"tests/x.py::{title}", "severity": Severity.P1, "section": "s", "first_action": "look"}
    return CheckResult(**entry, title=title, kind=kind, outcome=outcome, judges="upkeep", **told)  # type: ignore[arg-type]


def test_a_row_says_what_was_measured_against_what_from_how_many_rows() -> None:
    """A reader of the table does not need the verdict."""
    measured = [
        Measurement(name="examined", value=12, unit="rows"),
        Measurement(name="transaction_age", value=1250.456, unit="s", limit=300),
    ]
    check = a_check(
        "no transaction stays open",
        Outcome.FAILED,
        measurements=measured,
        reason="expected: x\ngot: 1250 s, 317 % over: P1",
    )

    _, line = health_table([check])

    assert line.split("  ") == [
        "no transaction stays open",
        "1,250.46 s",
        "300 s",
        "",
        "12",
        "failed P1: 1250 s, 317 % over: P1",
    ]


def test_a_check_without_a_number_counts_its_offenders() -> None:
    """Such a check counts offenders: none found, none allowed."""
    passed = a_check("a", Outcome.PASSED)
    failed = a_check("b", Outcome.FAILED, reason="expected: b\ngot: 3 problems, the first: public.x\npublic.y")

    _, red, green = health_table([passed, failed])

    assert " ".join(red.split()) == "b 3 found 0 failed P1: 3 problems, the first: public.x"
    assert green.split() == ["a", "0", "found", "0", "passed"]


def test_parameters_share_a_line_while_all_of_them_are_well() -> None:
    """Ten statements of the runbook would fill a sixth of the page; a failed one has its own line."""
    rows = [Measurement(name="examined", value=2, unit="rows")]
    checks = [
        msgspec.structs.replace(
            a_check(f"sql still runs ({name})", outcome, measurements=rows), node_id=f"tests/x.py::test_sql[{name}]"
        )
        for name, outcome in (("a", Outcome.PASSED), ("b", Outcome.FAILED), ("c", Outcome.PASSED))
    ]

    _, red, green = health_table(checks)

    assert red.startswith("sql still runs (b)")
    assert green.split() == [*["sql", "still", "runs", "(2", "of", "them)", "0", "found", "0", "4", "passed"]]


def test_what_is_wrong_stands_first() -> None:
    """A reader begins at the top."""
    checks = [
        a_check("a", Outcome.PASSED),
        a_check("b", Outcome.NOT_APPLICABLE, reason="the target lacks: supabase"),
        a_check("c", Outcome.NOT_MEASURED, reason="blind"),
        a_check("d", Outcome.FAILED, reason="red"),
    ]

    assert [line[0] for line in health_table(checks)[1:]] == ["d", "c", "a", "b"]


@pytest.mark.parametrize("kinds", [(), ("smoke",), ("smoke", "database")])
def test_other_runs_have_no_such_page(kinds: tuple[str, ...]) -> None:
    """A stage has its own summary, and the table would hide it."""
    checks = [a_check(f"check {kind}", Outcome.PASSED, kind) for kind in kinds]

    assert health_table(checks) == []


def test_it_is_printed_at_the_end_of_a_run_of_the_database(suite: Suite) -> None:
    """An engineer runs `pytest -m database` when the database is slow."""
    suite.write(
        """
@post
@P1
@asks_database("SELECT n FROM generate_series(1, 7) AS n", min_rows=1)
def test_seven_rows(rows):
    assert len(rows) == 7
""",
        "tests/database/test_small.py",
    )

    ran = suite.run("-m", "database")

    assert ran.code == 0, ran.out + ran.err
    assert "database health" in ran.out
    (line,) = [line for line in ran.out.splitlines() if line.startswith("seven rows")]
    assert line.split() == ["seven", "rows", "0", "found", "0", "7", "passed"]
