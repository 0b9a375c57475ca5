"""Checks of standbys and slots. A server without any is healthy, so the queries need no least number of rows."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks_database
from fixtures.database.rows import Rows


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT application_name, pg_wal_lsn_diff(
             CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, replay_lsn)
             / 1048576 AS behind
      FROM pg_stat_replication
     WHERE replay_lsn IS NOT NULL
    """,
    min_rows=0,
    sees=("activity",),
)
def test_standbys_keep_up(rows: Rows, budgets: Budgets) -> None:
    """A lagging standby returns old rows: a student pays, and the next page offers the course again."""
    assert max((behind for _, behind in rows), default=0) <= budgets.replication_lag


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-maintenance")
@asks_database("SELECT slot_name, wal_status FROM pg_replication_slots", min_rows=0)
def test_every_slot_still_has_its_wal(rows: Rows) -> None:
    """A slot without its WAL never catches up: its standby or subscriber must be built again."""
    assert [slot for slot, status in rows if status in {"unreserved", "lost"}] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT slot_name, pg_wal_lsn_diff(
             CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)
             / 1048576 AS retained,
           coalesce(extract(epoch FROM clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz), 0) AS idle
      FROM pg_replication_slots s
     WHERE NOT active AND restart_lsn IS NOT NULL
    """,
    min_rows=0,
)
def test_no_slot_was_left_behind(rows: Rows, budgets: Budgets) -> None:
    """The server keeps WAL for a reader that is gone until the disk is full. PostgreSQL 17 and later say since when."""
    assert max((retained for _, retained, _ in rows), default=0) <= budgets.slot_retained
    assert max((idle for _, _, idle in rows), default=0) <= budgets.slot_idle
