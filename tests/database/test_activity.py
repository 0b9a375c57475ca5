"""Checks of sessions: connections, transactions and locks."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks_database
from fixtures.database.rows import MedianOfThree, Rows


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-connection-issues")
@asks_database("SELECT pg_is_in_recovery()", min_rows=1)
def test_the_database_accepts_the_monitoring_role(refusals: list[str]) -> None:
    """A database that refuses the monitor refuses users too."""
    assert refusals == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="upkeep", runbook="database-connection-issues")
@asks_database(
    """
    SELECT count(*) AS examined,
           count(*) FILTER (WHERE backend_type = 'client backend') AS in_use,
           current_setting('max_connections')::int
             - current_setting('superuser_reserved_connections')::int
             - coalesce(current_setting('reserved_connections', true)::int, 0) AS allowed,
           (SELECT format('%s by %s as %s', count(*), coalesce(nullif(application_name, ''), 'no name'), usename)
              FROM pg_stat_activity WHERE backend_type = 'client backend'
             GROUP BY application_name, usename ORDER BY count(*) DESC LIMIT 1) AS most
      FROM pg_stat_activity
    """,
    min_rows=2,
    sees=("activity",),
)
def test_connections_leave_the_headroom_the_runbook_asks_for(
    median_of_three: MedianOfThree, rows: Rows, budgets: Budgets
) -> None:
    """At the limit nobody can connect, not even to find the cause. A short burst does not count."""
    share = median_of_three(_share, budgets.database_connections)
    *_, most = rows.one(int, int, int, str)

    assert share <= budgets.database_connections, f"most are held {most}"


def _share(rows: Rows) -> float:
    _, in_use, allowed, _ = rows.one(int, int, int, str)
    return float(100 * in_use / allowed)


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-connection-issues")
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
    """An old transaction keeps dead rows and locks: tables grow, migrations wait, and users wait for the migrations."""
    _, oldest = rows.one(int, float)

    assert oldest <= budgets.transaction_age


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-connection-issues")
@asks_database(
    """
    SELECT count(*) AS examined,
           (SELECT string_agg(format('pid %s, %s, as %s', pid, state, usename), '; ' ORDER BY pid)
              FROM pg_stat_activity
             WHERE cardinality(pg_blocking_pids(pid)) = 0
               AND pid IN (SELECT unnest(pg_blocking_pids(waits.pid)) FROM pg_locks AS waits WHERE NOT granted)
           ) AS roots,
           coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)) FILTER (WHERE NOT granted), 0) AS longest
      FROM pg_locks
    """,
    min_rows=1,
    sees=("activity",),
)
def test_nobody_waits_long_for_a_lock(rows: Rows, budgets: Budgets) -> None:
    """Requests wait one behind the other until the functions time out. The report names the session that blocks."""
    _, roots, longest = rows.one(int, object, float)

    assert longest <= budgets.lock_wait, f"blocked by {roots}"


@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure")
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()), 0) AS oldest
      FROM pg_stat_activity
    """,
    min_rows=2,
    sees=("activity",),
)
def test_no_transaction_would_hold_a_migration_up(rows: Rows, budgets: Budgets) -> None:
    """A migration waits for every open transaction, and every request waits for the migration."""
    _, oldest = rows.one(int, float)

    assert oldest <= budgets.transaction_age_before_migration


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-connection-issues")
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(extract(epoch FROM clock_timestamp() - state_change)) FILTER (
             WHERE state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()), 0) AS longest
      FROM pg_stat_activity
    """,
    min_rows=2,
    sees=("activity",),
)
def test_no_session_idles_in_a_transaction(rows: Rows, budgets: Budgets) -> None:
    """Code that waits for something else inside a transaction keeps its locks and its connection meanwhile."""
    _, longest = rows.one(int, float)

    assert longest <= budgets.idle_in_transaction


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-connection-issues")
@asks_database(
    """
    SELECT rolname, rolconnlimit, (SELECT count(*) FROM pg_stat_activity WHERE usesysid = r.oid) AS in_use
      FROM pg_roles r
     WHERE rolcanlogin
     UNION ALL
    SELECT datname, datconnlimit, (SELECT count(*) FROM pg_stat_activity WHERE datid = d.oid)
      FROM pg_database d
     WHERE datallowconn
    """,
    min_rows=2,
    sees=("activity",),
)
def test_no_role_or_database_is_near_its_own_connection_limit(rows: Rows, budgets: Budgets) -> None:
    """A role at its own limit is refused although the server has free connections."""
    shares = [100 * in_use / limit for _, limit, in_use in rows if limit > 0]

    assert max(shares, default=0) <= budgets.own_connections


@pytest.mark.postdeploy
@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - prepared)), 0) AS oldest FROM pg_prepared_xacts",
    min_rows=1,
)
def test_no_prepared_transaction_was_forgotten(rows: Rows, budgets: Budgets) -> None:
    """A prepared transaction survives restarts and keeps locks and dead rows until somebody commits it by name."""
    (oldest,) = rows.one(float)

    assert oldest <= budgets.prepared_transaction_age


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT 'session ' || pid AS holder, coalesce(age(backend_xmin), 0) AS transactions
      FROM pg_stat_activity
     UNION ALL
    SELECT 'slot ' || slot_name, coalesce(greatest(age(xmin), age(catalog_xmin)), 0) FROM pg_replication_slots
     UNION ALL
    SELECT 'prepared transaction ' || gid, age(transaction) FROM pg_prepared_xacts
    """,
    min_rows=2,
    sees=("activity",),
)
def test_no_session_keeps_dead_rows_from_being_removed(rows: Rows, budgets: Budgets) -> None:
    """Vacuum removes no row that the oldest session, slot or prepared transaction may still see."""
    oldest, holder = max((transactions, holder) for holder, transactions in rows)

    assert oldest <= budgets.snapshot_age, f"held by {holder}"


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="hardening", runbook="incident-security")
@asks_database(
    """
    SELECT usename, host(client_addr) AS address, ssl
           OR client_addr IS NULL
           OR client_addr <<= ANY ('{127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7}'::inet[])
             AS private
      FROM pg_stat_activity
      JOIN pg_stat_ssl USING (pid)
    """,
    min_rows=1,
    sees=("activity",),
)
def test_no_connection_crosses_a_public_network_in_the_clear(rows: Rows) -> None:
    """Anybody on the way could read the role's password and every row."""
    assert [f"{role} from {address}" for role, address, private in rows if not private] == []
