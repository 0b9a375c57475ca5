"""How the rows are taken: together, isolated from each other's errors, leaving nothing behind; and failing in words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from fixtures import database_errors
from fixtures.database import settle
from fixtures.database_session import ask, connect, take
from fixtures.declarations import Query
from fixtures.sandbox.postgres import Postgres
from fixtures.sandbox.postgres_server import free_port

from .database_checks import declared

PASSWORD = "s3cret-of-nobody"  # noqa: S105  (a made-up one)
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name ~ 'timeout|search_path|read_only' ORDER BY name"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend a small server: few connections fill it."""
    with Postgres.start(tmp_path_factory.mktemp("postgres"), settings={"max_connections": "6"}) as started:
        yield started


@pytest.mark.parametrize("pipelined", [True, False])
def test_a_query_that_fails_takes_no_other_along(postgres: Postgres, *, pipelined: bool) -> None:
    """A table that a migration renamed must not blind forty checks; the fallback without a pipeline does the same."""
    statements = ["SELECT 1", "SELECT no_such_column", "SELECT 2", "SELECT 1/0", "SELECT 3"]
    with connect(postgres.dsn("synthetic_monitor"), "test") as connection:
        seen = ask(connection, statements, pipelined=pipelined)

    assert [seen[statement].rows for statement in statements] == [[[1]], [], [[2]], [], [[3]]]
    assert [bool(seen[statement].trouble) for statement in statements] == [False, True, False, True, False]
    assert "no_such_column" in str(seen[statements[1]].trouble)
    assert "division by zero" in str(seen[statements[3]].trouble)


def test_a_slow_query_ends_and_is_named(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeouts are the transaction's own."""
    shorter = ("SELECT set_config('statement_timeout', '50ms', true)",)
    monkeypatch.setattr("fixtures.database_session._SETTINGS", shorter)
    with connect(postgres.dsn("synthetic_monitor"), "test") as connection:
        seen = ask(connection, ["SELECT pg_sleep(60)", "SELECT 1"])

    assert "statement timeout" in str(seen["SELECT pg_sleep(60)"].trouble)
    assert seen["SELECT 1"].rows == [[1]]


def test_nothing_stays_behind_in_the_session(postgres: Postgres) -> None:
    """Behind a transaction pooler the session is the next client's."""
    with psycopg.connect(postgres.dsn("platform_app"), autocommit=True) as connection:
        before = connection.execute(SETTINGS).fetchall()
        ask(connection, ["SELECT 1", "SELECT 1/0", "SELECT pg_advisory_xact_lock(1)"])
        after = connection.execute(SETTINGS).fetchall()
        prepared = connection.execute("SELECT name FROM pg_prepared_statements").fetchall()
        locks = connection.execute("SELECT objid FROM pg_locks WHERE locktype = 'advisory'").fetchall()

    assert after == before
    assert (prepared, locks) == ([], [])


def test_no_statement_can_write_by_accident(postgres: Postgres) -> None:
    """Even where someone gives the suite the application's own role."""
    with connect(postgres.dsn("platform_app"), "test") as connection:
        seen = ask(connection, ["DELETE FROM public.lesson_progress RETURNING id"])

    assert [str(one.trouble) for one in seen.values()] == ["cannot execute DELETE in a read-only transaction"]


class Relay:
    """
    Passes bytes to the server and counts how often the client had to wait for it.

    carries_pipelines: where not, it drops a client that sends its next statement without waiting, as some poolers do.
    """

    def __init__(self, port: int, *, carries_pipelines: bool = True) -> None:
        self.flights, self.dropped = 0, 0
        self._to = ("127.0.0.1", port)
        self._carries_pipelines = carries_pipelines
        self._client_spoke_last = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._client_spoke_last = False
                with client, socket.create_connection(self._to) as server:
                    back = threading.Thread(target=self._answer, args=(server, client), daemon=True)
                    back.start()
                    self._ask(client, server)
                    back.join()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        while content := client.recv(65536):
            waited, self._client_spoke_last = not self._client_spoke_last, True
            self.flights += waited
            several = not waited or (b"READ ONLY" in content and b"set_config" in content)
            if several and not self._carries_pipelines:
                self.dropped += 1
                client.shutdown(socket.SHUT_RDWR)
                break
            server.sendall(content)
        server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while content := server.recv(65536):
                self._client_spoke_last = False
                client.sendall(content)

    def close(self) -> None:
        """Let nobody in any more, and wait for whoever is there."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


def test_all_checks_cost_a_dozen_round_trips_at_most(postgres: Postgres) -> None:
    """At 80 ms to the region of the database, one by one they would take a quarter of a minute."""
    relay = Relay(postgres.port)
    dsn = postgres.dsn("synthetic_monitor").replace(str(postgres.port), str(relay.port))
    taken = take(dsn, declared().values(), "test")
    relay.close()

    assert taken.trouble is None
    assert [seen.trouble for seen in taken.seen.values() if seen.trouble] == []
    assert 1 <= relay.flights <= 12


def test_a_pooler_that_carries_no_pipeline_is_asked_one_by_one(postgres: Postgres) -> None:
    """Slower, and complete."""
    relay = Relay(postgres.port, carries_pipelines=False)
    dsn = postgres.dsn("synthetic_monitor").replace(str(postgres.port), str(relay.port))
    taken = take(dsn, declared().values(), "test")
    relay.close()

    assert relay.dropped == 1
    assert taken.trouble is None
    assert [seen.trouble for seen in taken.seen.values() if seen.trouble] == []


def trouble(dsn: str) -> tuple[str, bool]:
    """Return how a connection fails, and whether the database itself turned us away."""
    taken = take(dsn, [Query("SELECT 1", 1)], "test")
    assert taken.trouble is not None
    assert PASSWORD not in taken.trouble
    return taken.trouble, taken.refused


def test_a_full_server_is_saturated(postgres: Postgres) -> None:
    """PostgreSQL keeps the last slots for superusers: everyone else hears of it first."""
    held = [psycopg.connect(postgres.superuser_dsn) for _ in range(3)]
    try:
        text, refused = trouble(postgres.dsn("synthetic_monitor"))
    finally:
        for connection in held:
            connection.close()

    assert text.startswith("cannot connect: saturated: every connection is taken (remaining connection slots")
    assert refused


def test_a_wrong_password_or_database_is_a_wrong_dsn(postgres: Postgres) -> None:
    """Our own configuration is no red database."""
    password, refused = trouble(postgres.dsn("synthetic_monitor", PASSWORD))
    database, _ = trouble(postgres.dsn("synthetic_monitor", database="nowhere"))

    assert password.startswith("cannot connect: wrong DSN: its host, role, password or database (password auth")
    assert 'database "nowhere" does not exist' in database
    assert not refused


def test_nothing_listening_is_refused() -> None:
    """The machine answers, the database does not."""
    text, refused = trouble(f"postgresql://monitor:{PASSWORD}@127.0.0.1:{free_port()}/platform")

    assert text.startswith("cannot connect: refused: nothing listens there")
    assert refused


def test_tls_that_the_server_does_not_speak_is_named(postgres: Postgres) -> None:
    """A production DSN with sslmode=require must not be confused with a dead server."""
    text, refused = trouble(postgres.dsn("synthetic_monitor") + "?sslmode=require")

    assert text.startswith("cannot connect: TLS: ")
    assert not refused


def test_what_is_no_dsn_is_not_repeated() -> None:
    """What libpq says of it is all of it, password included."""
    text, _ = trouble(f"postgresql//monitor:{PASSWORD}@host/platform")

    assert text.startswith("cannot connect: wrong DSN: it is not one")


@pytest.mark.parametrize(
    ("said", "named", "refused"),
    [
        ("connection failed: FATAL: sorry, too many clients already", "saturated", True),
        ("connection failed: FATAL: Max client connections reached", "saturated", True),
        ("connection failed: FATAL: MaxClientsInSessionMode: max clients reached", "saturated", True),
        ("connection failed: FATAL: the database system is starting up", "starting up", True),
        ("connection failed: FATAL: Tenant or user not found", "wrong DSN, or the Supabase project is paused", False),
        (
            "failed to resolve host 'db.abc.supabase.co': [Errno -2] Name or service not known",
            "wrong DSN, or the Supabase project is paused",
            False,
        ),
        ("failed to resolve host 'db.example.test': [Errno -2] Name or service not known", "wrong DSN", False),
        ("connection timeout expired", "no answer", False),
        ("connection failed: FATAL: something new", "something new", False),
    ],
)
def test_poolers_and_paused_projects_are_told_apart(said: str, named: str, *, refused: bool) -> None:
    """Their words stand in no code of libpq's."""
    found = database_errors.name(psycopg.OperationalError(said))

    assert found.text.startswith(named)
    assert found.refused is refused


@pytest.mark.parametrize(
    ("first", "later", "settled", "samples"),
    [
        (80.0, [], 80.0, 1),
        (99.0, [20.0, 30.0], 30.0, 3),
        (99.0, [20.0, 95.0], 95.0, 3),
    ],
)
def test_a_burst_does_not_count(
    first: float, later: list[float], settled: float, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Serverless functions come in bursts; what is still there in two of three looks is no burst."""
    monkeypatch.setattr("fixtures.database._APART_SECONDS", 0)
    readings = iter(later)
    found = settle(first, lambda: next(readings), limit=80)

    assert (found, found.samples, list(readings)) == (settled, samples, [])
