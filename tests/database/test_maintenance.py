"""Checks of PostgreSQL's own maintenance: vacuum, statistics, checksums."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets, Reading
from fixtures.checks.declarations import asks_database
from fixtures.database.rows import Rows


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT datname, 100.0 * greatest(age(datfrozenxid), mxid_age(datminmxid)) / 2147483648 AS used
      FROM pg_database
    """,
    min_rows=1,
)
def test_transaction_ids_are_far_from_their_end(rows: Rows, budgets: Budgets) -> None:
    """Near the end of its transaction ids PostgreSQL refuses all writes until a vacuum of hours has ended."""
    assert max(used for _, used in rows) <= budgets.transaction_ids


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT datname, greatest(
             100.0 * age(datfrozenxid) / current_setting('autovacuum_freeze_max_age')::int,
             100.0 * mxid_age(datminmxid) / current_setting('autovacuum_multixact_freeze_max_age')::int) AS due
      FROM pg_database
    """,
    min_rows=1,
)
def test_freezing_keeps_up(rows: Rows, budgets: Budgets) -> None:
    """Beyond this age PostgreSQL freezes rows by force; an older age means that something prevents it."""
    due, database = max((due, database) for database, due in rows)

    assert due <= budgets.freeze_age, f"database {database}"


@pytest.mark.daily
@pytest.mark.check(severity="P0", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT count(checksum_failures) AS examined, coalesce(sum(checksum_failures), 0) AS failures
      FROM pg_stat_database
    """,
    min_rows=1,
)
def test_no_page_has_failed_its_checksum(rows: Rows) -> None:
    """Each new backup contains the damaged page, until no good backup is left. Blind where checksums are off."""
    _, failures = rows.one(int, float)

    assert failures == 0


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(100.0 * n_dead_tup / (n_live_tup + n_dead_tup)) FILTER (WHERE n_dead_tup > 10000), 0) AS dead
      FROM pg_stat_user_tables
    """,
    min_rows=5,
)
def test_dead_rows_are_cleaned_away(rows: Rows, budgets: Budgets) -> None:
    """Every scan reads dead rows too, so a table without vacuum becomes slower every day."""
    _, dead = rows.one(int, float)

    assert dead <= budgets.dead_rows


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT name, setting = 'on' AS tended FROM pg_settings WHERE name IN ('autovacuum', 'track_counts')
     UNION ALL
    -- The long values of a table lie in a table of their own, which has a switch of its own.
    SELECT t.relname, coalesce((SELECT bool_and(option_value::bool)
                                  FROM pg_options_to_table(t.reloptions || coalesce(long.reloptions, '{}'))
                                 WHERE option_name = 'autovacuum_enabled'), true)
      FROM (SELECT oid, relname, coalesce(reloptions, '{}') AS reloptions, reltoastrelid FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm')) AS t
      LEFT JOIN pg_class long ON long.oid = t.reltoastrelid
    """,
    min_rows=7,
)
def test_autovacuum_tends_every_table(rows: Rows) -> None:
    """Somebody who switches autovacuum off for a load and forgets it loses speed first and transaction ids later."""
    assert [name for name, tended in rows if not tended] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT relname, greatest(last_analyze, last_autoanalyze) IS NULL AND n_live_tup > 1000 AS unknown
      FROM pg_stat_user_tables
    """,
    min_rows=5,
)
def test_the_planner_knows_every_table(rows: Rows) -> None:
    """PostgreSQL plans a table that a migration filled and nobody analysed as if it were empty."""
    assert [table for table, unknown in rows if unknown] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(100.0 * n_mod_since_analyze / greatest(n_live_tup, 1)) FILTER (
             WHERE n_mod_since_analyze > 1000
               AND greatest(last_analyze, last_autoanalyze) < clock_timestamp() - interval '1 day'), 0) AS changed
      FROM pg_stat_user_tables
    """,
    min_rows=5,
)
def test_statistics_follow_the_rows(rows: Rows, budgets: Budgets) -> None:
    """With statistics from before many changes PostgreSQL chooses the wrong index."""
    _, changed = rows.one(int, float)

    assert changed <= budgets.rows_changed_since_analyze


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT s.relname, s.n_dead_tup > threshold.rows
             AND coalesce(greatest(s.last_vacuum, s.last_autovacuum), d.stats_reset, pg_postmaster_start_time())
               < clock_timestamp() - interval '1 day'
             AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.relid = s.relid) AS overdue
      FROM pg_stat_user_tables s
      JOIN pg_class c ON c.oid = s.relid
      JOIN pg_stat_database d ON d.datname = current_database()
     CROSS JOIN LATERAL (
       SELECT coalesce(max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold'),
                       current_setting('autovacuum_vacuum_threshold')::float8) AS base,
              coalesce(max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor'),
                       current_setting('autovacuum_vacuum_scale_factor')::float8) AS scale,
              coalesce(max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_vacuum_max_threshold'),
                       current_setting('autovacuum_vacuum_max_threshold', true)::float8) AS most
         FROM pg_options_to_table(c.reloptions)) AS option
     CROSS JOIN LATERAL (
       SELECT least(option.base + option.scale * greatest(c.reltuples, 0), nullif(option.most, -1))) AS threshold (rows)
    """,
    min_rows=5,
)
def test_autovacuum_comes_when_it_is_due(rows: Rows) -> None:
    """A table that has been due since yesterday: the workers are too few, too slow, or fail."""
    assert [table for table, overdue in rows if overdue] == []


@pytest.mark.daily
@pytest.mark.check(severity="P3", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT s.indexrelname,
           CASE WHEN s.idx_scan = 0 AND NOT i.indisunique
                THEN pg_relation_size(s.indexrelid) / 1048576.0 ELSE 0 END AS unused,
           extract(epoch FROM clock_timestamp() - coalesce(d.stats_reset, pg_postmaster_start_time())) / 86400 AS days
      FROM pg_stat_user_indexes s
      JOIN pg_index i ON i.indexrelid = s.indexrelid
      JOIN pg_stat_database d ON d.datname = current_database()
     WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = s.indexrelid)
    """,
    min_rows=5,
)
def test_no_large_index_goes_unused(rows: Rows, budgets: Budgets) -> None:
    """Every write and every backup pays for it. Young counters prove nothing."""
    unused, index, days = max((unused, index, days) for index, unused, days in rows)
    budget = budgets.index_unused
    counted = int(days) if unused > budget.terms.limit else budget.terms.samples

    assert Reading(unused, samples=counted) <= budget, index
