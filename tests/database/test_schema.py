"""Checks of the schema that migrations leave."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks_database
from fixtures.database.rows import Rows


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@asks_database(
    """
    SELECT indexrelid::regclass::text, indisvalid AND indisready AND indislive AS usable
      FROM pg_index
      JOIN pg_class ON pg_class.oid = indexrelid
     WHERE relnamespace = 'public'::regnamespace
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)
       -- Nothing reports that an index is being dropped concurrently, but the session that drops it locks it.
       AND NOT EXISTS (SELECT FROM pg_locks WHERE relation = indexrelid AND mode = 'ShareUpdateExclusiveLock')
    """,
    min_rows=10,
)
def test_every_index_can_be_used(rows: Rows) -> None:
    """An index that failed to build slows every write, helps no read, and does not keep values unique."""
    assert [index for index, usable in rows if not usable] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@asks_database(
    """
    SELECT conrelid::regclass::text, conname,
           convalidated AND coalesce((to_jsonb(c) ->> 'conenforced')::bool, true) AS holds
      FROM pg_constraint c
     WHERE connamespace = 'public'::regnamespace AND contype IN ('f', 'c')
    """,
    min_rows=5,
)
def test_every_constraint_has_been_validated(rows: Rows) -> None:
    """A constraint that is NOT VALID does not check older rows; one that is NOT ENFORCED (18) checks none."""
    assert [f"{table}.{name}" for table, name, holds in rows if not holds] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@asks_database(
    """
    SELECT wanted.name, to_regclass('public.' || wanted.name) IS NOT NULL AS present
      FROM unnest(ARRAY['users', 'user_profiles', 'courses', 'course_categories', 'course_modules', 'course_lessons',
                        'enrollments', 'lesson_progress', 'payment_transactions', 'course_reviews',
                        'review_helpfulness']) AS wanted(name)
    """,
    min_rows=11,
)
def test_every_table_the_platform_asks_for_exists(rows: Rows) -> None:
    """Every request that needs a missing table fails."""
    assert [table for table, present in rows if not present] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@asks_database(
    """
    SELECT version, row_number() OVER (ORDER BY version) AS place, count(*) OVER (PARTITION BY version) AS times
      FROM supabase_migrations.schema_migrations
    """,
    min_rows=1,
    sees=("migrations",),
)
def test_migrations_are_recorded_once_each(rows: Rows) -> None:
    """A migration that is recorded twice, or with a version that is no timestamp, runs again or never."""
    assert [version for version, _, times in rows if times != 1 or not (version.isdigit() and len(version) == 14)] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(100.0 * s.last_value / least(s.max_value, CASE format_type(a.atttypid, NULL)
             WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647 ELSE 9223372036854775807 END)), 0) AS used
      FROM pg_sequences s
      LEFT JOIN pg_depend d ON d.objid = format('%I.%I', s.schemaname, s.sequencename)::regclass
                           AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE s.schemaname = 'public' AND NOT s.cycle
    """,
    min_rows=1,
    sees=("sequences",),
)
def test_no_sequence_is_about_to_run_out(rows: Rows, budgets: Budgets) -> None:
    """At the end of the sequence every insert fails. The type of the column may end much earlier."""
    _, used = rows.one(int, float)

    assert used <= budgets.sequence_used


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT conrelid::regclass::text, conname, EXISTS (
             SELECT FROM pg_index i
              WHERE i.indrelid = c.conrelid AND i.indpred IS NULL AND i.indisvalid
                AND (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(c.conkey)] @> c.conkey) AS indexed
      FROM pg_constraint c
     WHERE contype = 'f' AND connamespace = 'public'::regnamespace
    """,
    min_rows=5,
)
def test_every_foreign_key_has_an_index(rows: Rows) -> None:
    """Without an index every delete of a parent reads the whole child table under a lock."""
    assert [f"{table}.{name}" for table, name, indexed in rows if not indexed] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@asks_database(
    """
    -- "R" fires for a subscriber's replication only, so for no user.
    SELECT tgrelid::regclass::text, tgname, tgenabled NOT IN ('D', 'R') AS enabled
      FROM pg_trigger
      JOIN pg_class ON pg_class.oid = tgrelid
     WHERE relnamespace = 'public'::regnamespace
    """,
    min_rows=5,
)
def test_every_trigger_fires(rows: Rows) -> None:
    """An interrupted load can leave triggers disabled; foreign keys then check nothing."""
    assert sorted({table for table, _, enabled in rows if not enabled}) == []


@pytest.mark.daily
@pytest.mark.check(severity="P3", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT array_agg(indexrelid::regclass::text ORDER BY indexrelid), count(*) AS examined
      FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relnamespace = 'public'::regnamespace
     GROUP BY indrelid, relam, indkey::text, indclass::text, indcollation::text, indoption::text,
              pg_get_expr(indexprs, indrelid), pg_get_expr(indpred, indrelid)
    """,
    min_rows=10,
)
def test_no_index_is_there_twice(rows: Rows) -> None:
    """Every write updates the second index, and no query uses it."""
    assert [indexes for indexes, copies in rows if copies > 1] == []


@pytest.mark.daily
@pytest.mark.check(severity="P3", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT narrow.indexrelid::regclass::text, wide.indexrelid::regclass::text
      FROM pg_index narrow
      JOIN pg_class c ON c.oid = narrow.indexrelid
      JOIN pg_am ON pg_am.oid = c.relam AND amname = 'btree'
      LEFT JOIN pg_index wide
        ON wide.indrelid = narrow.indrelid AND wide.indisvalid AND wide.indnatts > narrow.indnatts
       AND wide.indpred IS NULL AND wide.indkey::text LIKE narrow.indkey::text || ' %'
       AND wide.indclass::text LIKE narrow.indclass::text || ' %'
       AND wide.indcollation::text LIKE narrow.indcollation::text || ' %'
       AND wide.indoption::text LIKE narrow.indoption::text || ' %'
       AND (SELECT relam FROM pg_class WHERE oid = wide.indexrelid) = c.relam
     WHERE c.relnamespace = 'public'::regnamespace AND NOT narrow.indisunique
       AND narrow.indexprs IS NULL AND narrow.indpred IS NULL
    """,
    min_rows=3,
)
def test_no_index_is_the_beginning_of_another(rows: Rows) -> None:
    """The longer index answers the same queries, and every write updates both."""
    assert [f"{narrow} begins {wide}" for narrow, wide in rows if wide] == []
