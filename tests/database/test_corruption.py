"""Whether what is on the disk is what was written, beyond what a checksum can tell."""

from __future__ import annotations

import pytest

from fixtures.database import TAKEN, damage
from fixtures.declarations import asks_database, queries_of


@pytest.mark.daily
@pytest.mark.check(severity="P0", runbook="database-maintenance", rollback_eligible=False, needs=("amcheck",))
@asks_database(
    # One statement that works wherever the extension is; up to 100 MB each, for larger ones outlast the time allowed.
    """
    SELECT c.relname, query_to_xml(format('SELECT %s(%s)', p.oid::regproc, c.oid), true, false, '') IS NOT NULL AS sound
      FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_proc p ON p.proname = 'bt_index_check' AND p.pronargs = 1
     WHERE i.indisprimary AND c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace AND c.relpages < 12800
       AND has_schema_privilege(p.pronamespace, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
    """,
    min_rows=5,
)
def test_no_primary_key_is_corrupt(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> None:
    """An index that has lost its order finds half the rows, and lets the same key in twice."""
    (query,) = queries_of(request.node)

    assert damage(pytestconfig.stash[TAKEN].result(), query) == []
