"""
Queries run through a real PgBouncer in transaction mode, with one server connection for all clients.

Supabase's pooler works alike: a setting that one client leaves in the session reaches the next one.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from ci.machine import find_pgbouncer
from fixtures.checks.declarations import Query
from fixtures.database.session import ask, connect, take
from fixtures.postgres.binaries import server_user
from fixtures.postgres.server import free_port
from fixtures.sandbox.database.postgres import Postgres
from tests.selftest.database.database_checks import declared

PGBOUNCER = find_pgbouncer()
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="needs pgbouncer: `ci/verify selftest` installs it as root")
ROLES = ("synthetic_monitor", "platform_app")
CLIENTS = 5
SESSION = """
SELECT name, setting FROM pg_settings WHERE name ~ 'timeout|search_path|read_only|isolation' ORDER BY name
"""
CONFIGURATION = """
[databases]
platform = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = 1
max_client_conn = {clients}
auth_type = scram-sha-256
auth_file = {home}/users
logfile = {home}/log
"""


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start the server behind the pooler."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture(scope="module")
def pooler(postgres: Postgres) -> Iterator[int]:
    """Run a pooler; returns its port."""
    user, port = server_user(), free_port()
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as folder:
        home = user.own(Path(folder))
        users = home / "users"
        users.touch(mode=0o600)
        passwords = {role: psycopg.conninfo.conninfo_to_dict(postgres.dsn(role))["password"] for role in ROLES}
        users.write_text("".join(f'"{role}" "{password}"\n' for role, password in passwords.items()))
        user.own(users)
        configuration = home / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(server=postgres.port, port=port, clients=CLIENTS, home=home), encoding="utf-8"
        )
        process = subprocess.Popen(
            [str(PGBOUNCER), "-q", str(configuration)],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **user.switch,
        )
        try:
            _wait_for(postgres, port, process)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(postgres: Postgres, port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            psycopg.connect(through(postgres, port, "synthetic_monitor"), connect_timeout=2).close()
        except psycopg.OperationalError:
            continue
        return
    msg = f"pgbouncer ended with {process.returncode}"
    raise RuntimeError(msg)


def through(postgres: Postgres, port: int, role: str) -> str:
    """Return a role's DSN through the pooler."""
    return postgres.dsn(role).replace(f":{postgres.port}/", f":{port}/")


def test_every_query_is_answered_as_it_is_directly(postgres: Postgres, pooler: int) -> None:
    """A run may use the pooler's address, by choice or because the direct one has IPv6 only."""
    checks = {name: query for name, query in declared().items() if query.min_rows}
    directly = take(postgres.dsn("synthetic_monitor"), checks.values(), "test")
    pooled = take(through(postgres, pooler, "synthetic_monitor"), checks.values(), "test")

    assert (pooled.trouble, pooled.privileges) == (None, directly.privileges)
    assert {name: pooled.seen[query.sql].trouble for name, query in checks.items()} == {
        name: directly.seen[query.sql].trouble for name, query in checks.items()
    }


def test_statements_in_one_flight_are_isolated_through_it(postgres: Postgres, pooler: int) -> None:
    """A pipeline makes no difference."""
    statements = ["SELECT 1", "SELECT no_such_column", "SELECT 2"]
    with connect(through(postgres, pooler, "synthetic_monitor"), "test") as connection:
        pipelined = ask(connection, statements)
        one_by_one = ask(connection, statements, pipelined=False)

    assert [seen.rows for seen in pipelined.values()] == [[[1]], [], [[2]]]
    assert pipelined == one_by_one


def test_the_next_client_finds_the_session_as_it_was(postgres: Postgres, pooler: int) -> None:
    """A timeout or a read-only mode that stays would break the platform long after the run."""
    dsn = through(postgres, pooler, "platform_app")
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as client:
        before = client.execute(SESSION).fetchall()
        take(dsn, [Query("SELECT 1", 1), Query("SELECT 1/0", 1), Query("SELECT pg_advisory_xact_lock(7)", 1)], "test")
        after = client.execute(SESSION).fetchall()
        prepared = client.execute("SELECT name FROM pg_prepared_statements").fetchall()
        locks = client.execute("SELECT objid FROM pg_locks WHERE locktype = 'advisory'").fetchall()

    assert after == before
    assert (prepared, locks) == ([], [])


def test_nothing_is_written_through_it(postgres: Postgres, pooler: int) -> None:
    """Each transaction sets read-only itself."""
    taken = take(through(postgres, pooler, "platform_app"), [Query("DELETE FROM public.lesson_progress", 0)], "test")

    (seen,) = taken.seen.values()
    assert seen.trouble == "cannot execute DELETE in a read-only transaction"


def test_the_server_shows_whose_statements_they_are(postgres: Postgres, pooler: int) -> None:
    """A person who sees the session at night finds the run."""
    own = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    taken = take(through(postgres, pooler, "synthetic_monitor"), [Query(own, 1)], "a-run")

    assert taken.seen[own].rows == [["7p-synthetic/a-run"]]


def test_a_full_pooler_is_saturated(postgres: Postgres, pooler: int) -> None:
    """PgBouncer refuses with its own words and without a code."""
    dsn = through(postgres, pooler, "platform_app")
    with ExitStack() as held:
        for _ in range(CLIENTS):
            held.enter_context(psycopg.connect(dsn))
        taken = take(dsn, [Query("SELECT 1", 1)], "test")

    assert taken.refused
    assert str(taken.trouble).startswith("cannot connect: saturated: every connection is taken (no more connections")
