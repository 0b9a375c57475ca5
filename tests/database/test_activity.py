"""What sessions do to each other: connections, transactions, locks."""

from __future__ import annotations

import pytest

from fixtures.budgets import Budgets
from fixtures.database import Rows
from fixtures.declarations import asks_database


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", runbook="database-connection-issues", rollback_eligible=False)
@asks_database(
    """
    SELECT count(*) AS examined,
           count(*) FILTER (WHERE backend_type = 'client backend') AS in_use,
           current_setting('max_connections')::int
             - current_setting('superuser_reserved_connections')::int
             - coalesce(current_setting('reserved_connections', true)::int, 0) AS allowed
      FROM pg_stat_activity
    """,
    min_rows=2,
    sees=("activity",),
)
def test_connections_leave_the_headroom_the_runbook_asks_for(rows: Rows, budgets: Budgets) -> None:
    """Past the limit the pool refuses logins before anyone can log in to find out why."""
    _, in_use, allowed = rows.one(int, int, int)

    assert 100 * in_use / allowed <= budgets.database_connections


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="database-connection-issues", rollback_eligible=False)
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (
             WHERE backend_type = 'client backend'
               AND pid <> pg_backend_pid()
               AND application_name <> 'pg_dump'), 0) AS oldest
      FROM pg_stat_activity
    """,
    min_rows=2,
    sees=("activity",),
)
def test_no_transaction_stays_open_for_long(rows: Rows, budgets: Budgets) -> None:
    """An old transaction keeps every row it could see: tables bloat, migrations wait, and users wait behind those."""
    _, oldest = rows.one(int, float)

    assert oldest <= budgets.transaction_age


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="database-connection-issues", rollback_eligible=False)
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)) FILTER (WHERE NOT granted), 0) AS longest
      FROM pg_locks
    """,
    min_rows=1,
    sees=("activity",),
)
def test_nobody_waits_long_for_a_lock(rows: Rows, budgets: Budgets) -> None:
    """Requests queue behind a lock one by one until the functions time out."""
    _, longest = rows.one(int, float)

    assert longest <= budgets.lock_wait
