"""Checks of row level security: nobody reads or writes the rows of others."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import asks_database
from fixtures.database.rows import Rows


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT relname, relrowsecurity
      FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND relname IN ('users', 'user_profiles', 'payments', 'payment_transactions',
                       'course_enrollments', 'enrollments')
    """,
    min_rows=3,
)
def test_row_level_security_guards_personal_tables(rows: Rows) -> None:
    """Every browser holds a key to the database; without row level security it opens everyone's records."""
    assert [table for table, guarded in rows if not guarded] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT c.relname, c.relrowsecurity, count(p.polname) AS policies
      FROM pg_class c
      LEFT JOIN pg_policy p ON p.polrelid = c.oid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
     GROUP BY c.oid
    """,
    min_rows=5,
)
def test_every_exposed_table_has_row_level_security_and_a_policy(rows: Rows) -> None:
    """A new table is open to the browser's key until it gets row level security; without a policy nobody can use it."""
    assert [table for table, guarded, policies in rows if not guarded or not policies] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT c.relname, p.polname,
           p.polpermissive AND p.polcmd IN ('r', '*') AND pg_get_expr(p.polqual, p.polrelid) = 'true'
             AND p.polroles && ARRAY[0, to_regrole('anon')::oid, to_regrole('authenticated')::oid] AS open
      FROM pg_policy p
      JOIN pg_class c ON c.oid = p.polrelid
     WHERE c.relnamespace = 'public'::regnamespace
       AND c.relname IN ('users', 'user_profiles', 'payments', 'payment_transactions',
                         'course_enrollments', 'enrollments', 'lesson_progress')
    """,
    min_rows=3,
)
def test_no_policy_shows_personal_rows_to_everyone(rows: Rows) -> None:
    """A policy with `USING (true)` protects nothing: every visitor can read every customer."""
    assert [f"{table}: {policy}" for table, policy, everyone in rows if everyone] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT c.relname, p.polname,
           p.polpermissive AND p.polcmd <> 'r'
             AND coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'
             AND coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
             AND p.polroles && ARRAY[0, to_regrole('anon')::oid, to_regrole('authenticated')::oid] AS open
      FROM pg_policy p
      JOIN pg_class c ON c.oid = p.polrelid
     WHERE c.relnamespace = 'public'::regnamespace
    """,
    min_rows=5,
)
def test_no_policy_lets_everyone_write(rows: Rows) -> None:
    """With the key that every browser holds, anybody could change the rows of others."""
    assert [f"{table}: {policy}" for table, policy, everyone in rows if everyone] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT c.relname,
           c.relkind IN ('v', 'm')
             AND NOT coalesce(c.reloptions::text ~ 'security_invoker=(true|on|yes|1)', false)
             AND (has_table_privilege(to_regrole('anon'), c.oid, 'SELECT')
               OR has_table_privilege(to_regrole('authenticated'), c.oid, 'SELECT')) AS bypasses
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
       AND to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    """,
    min_rows=5,
)
def test_no_view_bypasses_row_level_security(rows: Rows) -> None:
    """A view reads with its owner's rights unless it is `security_invoker`; the policies of its tables do not apply."""
    assert [view for view, bypasses in rows if bypasses] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT count(*) AS examined,
           array_agg(proname::text ORDER BY proname) FILTER (
             WHERE prosecdef AND pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype
               AND has_function_privilege(to_regrole('anon'), oid, 'EXECUTE')) AS open
      FROM pg_proc
     WHERE to_regrole('anon') IS NOT NULL
    """,
    min_rows=1,
)
def test_anonymous_users_call_no_function_with_its_owners_rights(rows: Rows) -> None:
    """PostgREST offers every function of `public`; a SECURITY DEFINER one acts with its owner's rights for anybody."""
    _, functions = rows.one(int, object)

    assert (functions or []) == []
