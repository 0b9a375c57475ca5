"""Checks that the indexes on the disk are sound, also where checksums see no damage."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import asks_database, queries_of
from fixtures.database.rows import TAKEN, damage


@pytest.mark.daily
@pytest.mark.check(severity="P0", judges="upkeep", runbook="database-maintenance", needs=("amcheck",))
@asks_database(
    # Up to 100 MB each: larger ones outlast the time allowed.
    """
    SELECT c.relname, bt_index_check(c.oid)
      FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indisprimary AND c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace AND c.relpages < 12800
    """,
    min_rows=5,
)
def test_no_primary_key_is_corrupt(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> None:
    """An index in the wrong order finds only some rows, and accepts the same key twice."""
    (query,) = queries_of(request.node)

    assert damage(pytestconfig.stash[TAKEN].result(), query) == []
