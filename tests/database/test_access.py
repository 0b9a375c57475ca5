"""Row level security: who may read whose rows."""

from __future__ import annotations

import pytest

from fixtures.database import Rows
from fixtures.declarations import asks_database


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", runbook="incident-security", rollback_eligible=False)
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
    """The browser holds a key to the database; without row level security it opens everyone's records."""
    assert [table for table, guarded in rows if not guarded] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="incident-security", rollback_eligible=False)
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
    """A new table is open to the browser's key until someone remembers; without a policy nobody gets in at all."""
    assert [table for table, guarded, policies in rows if not guarded or not policies] == []
