"""
Ages of real sessions, read by the checks' own queries and compared with the runbook.

The faults of the catalogue move a time back; here all times are real and short.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import LiteralString

import psycopg
import pytest

from fixtures.database.rows import Rows
from fixtures.database.session import take
from fixtures.model.runbook import runbook
from fixtures.model.verdict import Severity
from fixtures.sandbox.database.postgres import Postgres
from tests.selftest.database.database_checks import declared

CHECKS = declared()
REAL_SECONDS = 0.4
SLEEP: LiteralString = "SELECT pg_sleep(0.4)"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start a server that allows prepared transactions."""
    settings = {"max_prepared_transactions": "2"}
    with Postgres.start(tmp_path_factory.mktemp("postgres"), settings=settings) as started:
        yield started


@pytest.fixture
def session(postgres: Postgres) -> Iterator[psycopg.Connection]:
    """Open a session of the application, outside a transaction."""
    with psycopg.connect(postgres.dsn("platform_app"), autocommit=True) as connection:
        yield connection


def age(postgres: Postgres, check: str) -> float:
    """Return the seconds that a check reads, its last column."""
    taken = take(postgres.dsn("synthetic_monitor"), [CHECKS[check]], "test")
    seen = taken.seen[CHECKS[check].sql]
    assert seen.trouble is None
    assert seen.examined >= CHECKS[check].min_rows
    return float(next(iter(Rows(seen.rows)))[-1])


def text(postgres: Postgres, check: str, column: int) -> str:
    """Return a column of a check's only row."""
    taken = take(postgres.dsn("synthetic_monitor"), [CHECKS[check]], "test")
    (row,) = taken.seen[CHECKS[check].sql].rows
    return str(row[column])


def test_nothing_is_old_on_a_quiet_server(postgres: Postgres) -> None:
    """The suite's own session and transaction do not count."""
    assert age(postgres, "test_no_transaction_stays_open_for_long") == 0
    assert age(postgres, "test_no_session_idles_in_a_transaction") == 0
    assert age(postgres, "test_nobody_waits_long_for_a_lock") == 0
    assert age(postgres, "test_no_prepared_transaction_was_forgotten") == 0


def test_idling_is_counted_from_the_last_statement(postgres: Postgres, session: psycopg.Connection) -> None:
    """A transaction that works for an hour is old, but it has not idled for an hour."""
    session.execute("BEGIN")
    session.execute(SLEEP)
    idle = age(postgres, "test_no_session_idles_in_a_transaction")
    transaction = age(postgres, "test_no_transaction_stays_open_for_long")
    session.execute("ROLLBACK")

    assert idle > 0
    assert transaction >= idle + REAL_SECONDS
    assert age(postgres, "test_no_session_idles_in_a_transaction") == 0


def test_a_session_without_a_transaction_may_idle(postgres: Postgres, session: psycopg.Connection) -> None:
    """Pools keep their connections open."""
    session.execute(SLEEP)

    assert age(postgres, "test_no_session_idles_in_a_transaction") == 0
    assert age(postgres, "test_no_transaction_stays_open_for_long") == 0


def test_a_failed_transaction_idles_too(postgres: Postgres, session: psycopg.Connection) -> None:
    """A session that is `idle in transaction (aborted)` holds its locks too."""
    session.execute("BEGIN")
    with pytest.raises(psycopg.errors.DivisionByZero):
        session.execute("SELECT 1/0")

    assert age(postgres, "test_no_session_idles_in_a_transaction") > 0
    session.execute("ROLLBACK")


def test_a_dump_may_take_its_time_but_not_before_a_migration(postgres: Postgres) -> None:
    """pg_dump reads in one long transaction, and a migration would wait for it."""
    with psycopg.connect(postgres.dsn("platform_app"), application_name="pg_dump") as dump:
        dump.execute("SELECT 1")

        assert age(postgres, "test_no_transaction_stays_open_for_long") == 0
        assert age(postgres, "test_no_transaction_would_hold_a_migration_up") > 0


def test_a_wait_for_a_lock_is_counted_from_its_beginning(postgres: Postgres, session: psycopg.Connection) -> None:
    """A lock that is held does not count; a wait does."""
    session.execute("SELECT pg_advisory_lock(7)")
    held = age(postgres, "test_nobody_waits_long_for_a_lock")
    with closing(psycopg.connect(postgres.dsn("platform_app"))) as waiter:
        waiter.pgconn.send_query(b"SELECT pg_advisory_lock(7)")
        waiter.pgconn.flush()
        session.execute(SLEEP)
        waited = age(postgres, "test_nobody_waits_long_for_a_lock")

    assert held == 0
    assert waited > REAL_SECONDS / 2


def test_the_root_of_a_queue_is_named(postgres: Postgres, session: psycopg.Connection) -> None:
    """A session in the middle of the queue blocks others too, but ending it would not help."""
    session.execute("SELECT pg_advisory_lock(8)")
    with closing(psycopg.connect(postgres.dsn("platform_app"))) as second:
        second.pgconn.send_query(b"SELECT pg_advisory_lock(8)")
        second.pgconn.flush()
        session.execute(SLEEP)
        roots = text(postgres, "test_nobody_waits_long_for_a_lock", 1)
    session.execute("SELECT pg_advisory_unlock(8)")

    assert roots == f"pid {session.pgconn.backend_pid}, idle, as platform_app"


def test_a_prepared_transaction_is_old_without_a_session(postgres: Postgres) -> None:
    """The session that prepared it has ended."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("BEGIN; UPDATE public.courses SET title = title; PREPARE TRANSACTION 'forgotten'")
        found = age(postgres, "test_no_prepared_transaction_was_forgotten")
        connection.execute("ROLLBACK PREPARED 'forgotten'")

    assert found > 0


@pytest.mark.parametrize(
    ("budget", "value", "severity"),
    [
        ("transaction_age", 301, Severity.P2),
        ("transaction_age", 1801, Severity.P1),
        ("idle_in_transaction", 61, Severity.P2),
        ("idle_in_transaction", 301, Severity.P1),
        ("lock_wait", 11, Severity.P2),
        ("lock_wait", 61, Severity.P1),
        ("prepared_transaction_age", 61, Severity.P2),
        ("transaction_age_before_migration", 31, Severity.P1),
        ("database_connections", 81, Severity.P1),
        ("database_connections", 96, Severity.P0),
        ("sequence_used", 81, Severity.P2),
        ("sequence_used", 96, Severity.P0),
        ("transaction_ids", 51, Severity.P1),
        ("transaction_ids", 81, Severity.P0),
        ("replication_lag", 17, Severity.P2),
        ("replication_lag", 257, Severity.P1),
        ("slot_retained", 65, Severity.P2),
        ("slot_idle", 901, Severity.P2),
        ("freeze_age", 151, Severity.P2),
        ("own_connections", 81, Severity.P2),
        ("dead_rows", 21, Severity.P2),
        ("rows_changed_since_analyze", 21, Severity.P2),
        ("statement_time", 501, Severity.P2),
        ("index_unused", 11, Severity.P3),
        ("backup_age", 27, Severity.P1),
        ("backup_age", 51, Severity.P0),
    ],
)
def test_the_steps_are_the_runbooks(budget: str, value: float, severity: Severity) -> None:
    """A value just over each step has the step's severity."""
    terms = runbook().budgets[budget]

    assert terms.limit < value
    assert terms.severity(value) is severity
