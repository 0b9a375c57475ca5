"""Checks of the statements that pg_stat_statements has counted since its last reset."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks_database
from fixtures.database.rows import Rows


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="budget", runbook="performance-optimization")
@asks_database(
    """
    SELECT count(*) AS examined, coalesce(max(mean_exec_time) FILTER (WHERE calls >= 20), 0) AS slowest,
           (array_agg(queryid ORDER BY mean_exec_time DESC) FILTER (WHERE calls >= 20))[1] AS queryid
      FROM pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND userid <> current_user::regrole
       AND toplevel
    """,
    min_rows=1,
    sees=("activity",),
)
def test_no_frequent_statement_is_slow(rows: Rows, budgets: Budgets) -> None:
    """Half a second in the database is a quarter of the time that a page may take."""
    _, slowest, queryid = rows.one(int, float, object)

    assert slowest <= budgets.statement_time, f"pg_stat_statements.queryid {queryid}"
