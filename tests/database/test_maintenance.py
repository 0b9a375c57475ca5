"""What PostgreSQL must be able to do for itself: clean up, keep statistics, notice corruption."""

from __future__ import annotations

from typing import Final

import pytest

from fixtures.budgets import Budgets
from fixtures.database import Rows
from fixtures.declarations import asks_database
from fixtures.evidence import NotMeasured

_WEEK: Final = 7


@pytest.mark.daily
@pytest.mark.check(severity="P0", runbook="database-maintenance", rollback_eligible=False)
@asks_database(
    """
    SELECT datname, 100.0 * greatest(age(datfrozenxid), mxid_age(datminmxid)) / 2147483648 AS used
      FROM pg_database
    """,
    min_rows=1,
)
def test_transaction_ids_are_far_from_their_end(rows: Rows, budgets: Budgets) -> None:
    """Near the end of its transaction ids PostgreSQL refuses every write until a vacuum of hours is through."""
    assert max(used for _, used in rows) <= budgets.transaction_ids


@pytest.mark.daily
@pytest.mark.check(severity="P0", runbook="database-maintenance", rollback_eligible=False)
@asks_database(
    """
    SELECT count(checksum_failures) AS examined, coalesce(sum(checksum_failures), 0) AS failures
      FROM pg_stat_database
    """,
    min_rows=1,
)
def test_no_page_has_failed_its_checksum(rows: Rows) -> None:
    """A damaged page is copied into every backup until the last good backup is gone. Blind where checksums are off."""
    _, failures = rows.one(int, float)

    assert failures == 0


@pytest.mark.daily
@pytest.mark.check(severity="P2", runbook="database-maintenance", rollback_eligible=False)
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(100.0 * n_dead_tup / (n_live_tup + n_dead_tup)) FILTER (WHERE n_dead_tup > 10000), 0) AS dead
      FROM pg_stat_user_tables
    """,
    min_rows=5,
)
def test_dead_rows_are_cleaned_away(rows: Rows, budgets: Budgets) -> None:
    """Every scan reads the dead rows too; a table that nobody vacuums gets slower by the day."""
    _, dead = rows.one(int, float)

    assert dead <= budgets.dead_rows


@pytest.mark.predeploy
@pytest.mark.daily
@pytest.mark.check(severity="P1", runbook="database-maintenance", rollback_eligible=False)
@asks_database(
    """
    SELECT name, setting = 'on' AS tended FROM pg_settings WHERE name IN ('autovacuum', 'track_counts')
     UNION ALL
    SELECT relname, NOT coalesce(reloptions::text ~ 'autovacuum_enabled=(false|off|no|0)', false)
      FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    """,
    min_rows=7,
)
def test_autovacuum_tends_every_table(rows: Rows) -> None:
    """Switched off for one load and forgotten, it costs speed first and transaction ids last."""
    assert [name for name, tended in rows if not tended] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="database-maintenance", rollback_eligible=False)
@asks_database(
    """
    SELECT relname,
           CASE WHEN greatest(last_analyze, last_autoanalyze) IS NULL THEN n_live_tup > 1000
                ELSE n_mod_since_analyze > 1000 AND n_mod_since_analyze > 0.2 * n_live_tup
                 AND greatest(last_analyze, last_autoanalyze) < now() - interval '1 day' END AS stale
      FROM pg_stat_user_tables
    """,
    min_rows=5,
)
def test_the_planner_knows_every_table(rows: Rows) -> None:
    """A table filled by a migration and never analysed is planned as if it were empty."""
    assert [table for table, stale in rows if stale] == []


@pytest.mark.daily
@pytest.mark.check(severity="P3", runbook="database-maintenance", rollback_eligible=False)
@asks_database(
    """
    SELECT s.indexrelname, extract(epoch FROM now() - coalesce(
             (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
             pg_postmaster_start_time())) / 86400 AS days,
           s.idx_scan = 0 AND NOT i.indisunique AND pg_relation_size(s.indexrelid) > 10 * 1024 * 1024 AS idle
      FROM pg_stat_user_indexes s
      JOIN pg_index i ON i.indexrelid = s.indexrelid
    """,
    min_rows=10,
)
def test_no_large_index_goes_unused(rows: Rows) -> None:
    """It is paid for with every write and every backup."""
    idle = [index for index, _, unused in rows if unused]
    counted = min(days for _, days, _ in rows)
    if idle and counted < _WEEK:
        msg = f"cannot tell: {idle[0]} is unused, and counters have been kept for {counted:.1f} days only"
        raise NotMeasured(msg)

    assert idle == []
