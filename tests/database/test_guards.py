"""Checks of the keys that keep money, enrolments and people's rows right, whatever their names are."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import asks_database
from fixtures.checks.evidence import Evidence
from fixtures.database.rows import Rows

# A key keeps these columns unique where its columns are among them. An index that is partial, deferred or invalid
# keeps nothing unique for an upsert.
KEYS = asks_database(
    """
    SELECT wanted.severity, wanted.relation, wanted.columns, EXISTS (
             SELECT FROM pg_index i
              WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
                AND i.indnkeyatts > 0 AND NOT 0 = ANY (i.indkey)
                AND ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid
                             AND attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) <@ wanted.columns) AS kept
      FROM (VALUES ('P0', 'payment_transactions', ARRAY['stripe_session_id']),
                   ('P0', 'enrollments', ARRAY['user_id', 'course_id']),
                   ('P1', 'lesson_progress', ARRAY['user_id', 'lesson_id']),
                   ('P1', 'users', ARRAY['id']),
                   ('P1', 'user_profiles', ARRAY['id']),
                   ('P1', 'courses', ARRAY['slug']),
                   ('P1', 'course_reviews', ARRAY['course_id', 'user_id']),
                   ('P1', 'review_helpfulness', ARRAY['review_id', 'user_id'])
           ) AS wanted (severity, relation, columns)
      JOIN pg_class c ON c.oid = to_regclass('public.' || wanted.relation)
     WHERE (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = ANY (wanted.columns)
               AND NOT a.attisdropped) = cardinality(wanted.columns)
    """,
    min_rows=3,
)


def _lost(rows: Rows, severity: str) -> list[str]:
    return [f"{table} ({', '.join(columns)})" for grade, table, columns, kept in rows if grade == severity and not kept]


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="upkeep", runbook="payment-system-down")
@KEYS
def test_a_payment_and_an_enrolment_are_booked_once(rows: Rows) -> None:
    """Stripe sends events twice: only a unique key refuses the second booking. An upsert without its key fails."""
    assert _lost(rows, "P0") == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@KEYS
def test_the_keys_of_people_and_courses_are_unique(rows: Rows) -> None:
    """Two courses under one address, two reviews of one student: pages show one of them, and averages count both."""
    assert _lost(rows, "P1") == []


# A relation belongs to the books where it has an amount, or a reference to Stripe, and names a person or a course.
_KEYS_OF_BOOKS = asks_database(
    """
    SELECT conrelid::regclass::text, pg_get_constraintdef(k.oid), k.confdeltype = 'c' AS deletes,
           EXISTS (SELECT FROM pg_attribute WHERE attrelid = conrelid AND NOT attisdropped
                      AND attname ~ '^(amount.*|total_amount|stripe_(session|payment|charge|invoice|subscription).*)$')
             AS books,
           k.confrelid <> ALL (ARRAY[to_regclass('public.users'), to_regclass('public.user_profiles')]::regclass[])
             AND k.conrelid = ANY (ARRAY[to_regclass('public.enrollments'),
                                         to_regclass('public.course_enrollments')]::regclass[]) AS learning
      FROM pg_constraint k
     WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND k.conparentid = 0
    """,
    min_rows=5,
)


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="payment-system-down")
@_KEYS_OF_BOOKS
def test_nothing_deletes_the_books(rows: Rows) -> None:
    """With ON DELETE CASCADE the clean-up of a user or a course deletes what was paid; the law keeps it for years."""
    assert [f"{table}: {key}" for table, key, deletes, books, _ in rows if books and deletes] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="migration-procedure")
@_KEYS_OF_BOOKS
def test_no_course_takes_its_enrolments_along(rows: Rows) -> None:
    """Students lose what they bought when somebody deletes the course. An account may take its own enrolments along."""
    assert [f"{table}: {key}" for table, key, deletes, _, learning in rows if learning and deletes] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@asks_database(
    """
    SELECT c.oid::regclass::text, count(r.oid) FILTER (WHERE r.is_instead) > 0 AS swallows
      FROM pg_class c
      LEFT JOIN pg_rewrite r ON r.ev_class = c.oid AND r.ev_type <> '1' AND r.ev_enabled <> 'D'
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
     GROUP BY c.oid
    """,
    min_rows=5,
)
def test_no_rule_swallows_what_is_written(rows: Rows) -> None:
    """A rule DO INSTEAD changes an insert into something else or nothing, and the application gets no error."""
    assert [table for table, swallows in rows if swallows] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="payment-system-down")
@asks_database(
    """
    SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod) AS kind,
           atttypid IN ('float4'::regtype, 'float8'::regtype, 'money'::regtype) AS inexact
      FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
       AND attname ~ '^(amount|price|total|fee|discount)(_.*)?$'
       AND atttypid <> ALL ('{text,bool,uuid,jsonb}'::regtype[])
    """,
    min_rows=1,
)
def test_money_is_exact(rows: Rows) -> None:
    """A floating-point number loses a kuruş here and there; the type `money` changes with the server's language."""
    assert [f"{table}.{column} is {kind}" for table, column, kind, inexact in rows if inexact] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@asks_database("SELECT examined, behind FROM synthetic.numbering()", min_rows=0, sees=("counters",))
def test_no_sequence_is_behind_its_column(rows: Rows, evidence: Evidence) -> None:
    """After a restore a sequence can hand out numbers that exist: inserts fail, or two payments share a receipt."""
    examined, behind = rows.one(int, object)
    if not examined:
        evidence.reason("no column of public takes its values from a sequence")

    assert (behind or []) == []
