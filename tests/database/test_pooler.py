"""Checks of the pooler, through which the platform reaches the database."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import asks_database, depends_on
from fixtures.database.rows import Pooled, Rows


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-connection-issues", needs=("pooler",))
@asks_database(
    # Two servers restored from one backup share their identifier; when they were started tells them apart.
    """
    SELECT system_identifier::text, current_database(), extract(epoch FROM pg_postmaster_start_time())::text AS since
      FROM pg_control_system()
    """,
    min_rows=1,
)
@depends_on("pooler")
def test_the_pooler_leads_to_the_same_database(pooled: Pooled, rows: Rows) -> None:
    """All functions connect through the pooler; where it is full or leads elsewhere, the platform is down."""
    assert pooled.refusals == []
    assert list(pooled.rows) == list(rows)
