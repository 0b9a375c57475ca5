"""Checks of access: nobody reads or writes the rows of others, whoever gave the right and however it is spelled."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import asks_database, depends_on
from fixtures.database.access import (
    drafts_read,
    looks,
    others_rows_read,
    others_rows_written,
    own_rows_invented,
    rows_missed,
    secrets_read,
    unlisted_rows_read,
)
from fixtures.database.rows import Rows

# Each relation of the exposed schemas, as nobody, a stranger and a student meet it. Only counts leave the database.
ACCESS = asks_database(
    """
    SELECT relation, root, visitor, names_people, owned, kind, examined, seen, own_seen, drafts_seen, guarded, writes,
           columns, secrets, policies, refusal
      FROM synthetic.access()
    """,
    min_rows=5,
    sees=("counters",),
)
PERSONAL = depends_on(
    *(f"table {name}" for name in ("users", "user_profiles", "enrollments", "lesson_progress", "payment_transactions")),
    *("table review_helpfulness", "table course_reviews", "table courses", "table pg_class", "table pg_policies"),
)


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@PERSONAL
@ACCESS
def test_nobody_reads_the_rows_of_others(rows: Rows) -> None:
    """Every browser holds a key to the database; people's names, payments and progress are for themselves only."""
    assert others_rows_read(looks(rows)) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@PERSONAL
@ACCESS
def test_nobody_reads_what_nobody_released(rows: Rows) -> None:
    """A view with its owner's rights, a materialised view, a copy or a partition shows what policies hide elsewhere."""
    assert unlisted_rows_read(looks(rows)) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@PERSONAL
@ACCESS
def test_drafts_are_hidden_from_visitors(rows: Rows) -> None:
    """A course that is not published is not for sale, and its lessons are not for free."""
    assert drafts_read(looks(rows)) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="hardening", runbook="incident-security")
@PERSONAL
@ACCESS
def test_no_secret_column_is_readable(rows: Rows) -> None:
    """A stolen session, or a script in a page, takes the hash of the user's password away."""
    assert secrets_read(looks(rows)) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@PERSONAL
@ACCESS
def test_nobody_writes_the_rows_of_others(rows: Rows) -> None:
    """With the key of every browser anybody could change a payment, or make themselves administrator."""
    assert others_rows_written(looks(rows)) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@PERSONAL
@ACCESS
def test_users_invent_no_rows_that_only_the_platform_makes(rows: Rows) -> None:
    """A user who may insert an own payment or enrolment need not pay."""
    assert own_rows_invented(looks(rows)) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="incident-security")
@PERSONAL
@ACCESS
def test_policies_show_users_their_own_rows(rows: Rows) -> None:
    """
    A policy that fails, or hides own rows, leaves users without their receipts and courses.

    A table without a policy for users is closed: the platform reads it with the service key.
    """
    assert rows_missed(looks(rows)) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT relname, relrowsecurity
      FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND relname IN ('users', 'user_profiles', 'payments', 'payment_transactions',
                       'course_enrollments', 'enrollments', 'lesson_progress')
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
    SELECT c.oid::regclass::text, c.relrowsecurity
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    """,
    min_rows=5,
)
def test_every_exposed_table_has_row_level_security(rows: Rows) -> None:
    """A new table is open to the browser's key until it gets row level security. Without a policy it is closed."""
    assert [table for table, guarded in rows if not guarded] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT visitor.rolname, other.rolname, other.rolsuper OR other.rolbypassrls OR other.rolcreaterole
             OR other.rolreplication OR other.rolname ~ '^pg_(read|write|execute)_' OR other.rolname = 'service_role'
             OR EXISTS (SELECT FROM pg_class WHERE relowner = other.oid AND relkind IN ('r', 'p', 'v', 'm', 'f')
                           AND relnamespace = 'public'::regnamespace) AS above
      FROM pg_roles visitor
      JOIN pg_roles other ON other.oid = visitor.oid OR other.oid IN (
           WITH RECURSIVE holds AS (
             SELECT roleid FROM pg_auth_members WHERE member = visitor.oid
              UNION SELECT m.roleid FROM pg_auth_members m JOIN holds ON m.member = holds.roleid)
           SELECT roleid FROM holds)
     WHERE visitor.rolname IN ('anon', 'authenticated')
    """,
    min_rows=2,
)
def test_no_role_of_the_browser_is_above_the_policies(rows: Rows) -> None:
    """A superuser, an owner of tables, or a role with BYPASSRLS reads and writes every row; so do its members."""
    assert [f"{visitor} has the rights of {other}" for visitor, other, above in rows if above] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@asks_database(
    """
    SELECT (SELECT count(*) FROM pg_proc) AS examined, array_agg(proname::text ORDER BY proname) AS open
      FROM pg_proc p
      JOIN pg_type t ON t.oid = p.prorettype
     WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
       AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
       AND (has_function_privilege(to_regrole('anon'), p.oid, 'EXECUTE')
         -- Signed-in users have functions of their own; none returns a whole personal table.
         OR has_function_privilege(to_regrole('authenticated'), p.oid, 'EXECUTE') AND p.proretset
            AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0
                           AND a.attname IN ('user_id', 'email', 'password_hash')))
    """,
    min_rows=1,
)
def test_anonymous_users_call_no_function_with_its_owners_rights(rows: Rows) -> None:
    """PostgREST offers every function of `public`; a SECURITY DEFINER one acts with its owner's rights for anybody."""
    _, functions = rows.one(int, object)

    assert (functions or []) == []
