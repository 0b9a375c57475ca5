"""All queries of a run share one connection, do not affect each other, and leave nothing in the session."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from fixtures.checks.declarations import Query
from fixtures.database.rows import median_when_over, take_once
from fixtures.database.session import ask, connect, take
from fixtures.run.current_run import Run
from fixtures.sandbox.database.postgres import Postgres
from fixtures.target.target import Target
from tests.selftest.conftest import ROOT
from tests.selftest.database.database_checks import declared

SETTINGS = "SELECT name, setting FROM pg_settings WHERE name ~ 'timeout|search_path|read_only' ORDER BY name"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start a small server, which few connections fill."""
    with Postgres.start(tmp_path_factory.mktemp("postgres"), settings={"max_connections": "6"}) as started:
        yield started


@pytest.mark.parametrize("pipelined", [True, False])
def test_a_query_that_fails_takes_no_other_along(postgres: Postgres, *, pipelined: bool) -> None:
    """A renamed table must not stop forty other checks, with a pipeline or without."""
    statements = ["SELECT 1", "SELECT no_such_column", "SELECT 2", "SELECT 1/0", "SELECT 3"]
    with connect(postgres.dsn("synthetic_monitor"), "test") as connection:
        seen = ask(connection, statements, pipelined=pipelined)

    assert [seen[statement].rows for statement in statements] == [[[1]], [], [[2]], [], [[3]]]
    assert [bool(seen[statement].trouble) for statement in statements] == [False, True, False, True, False]
    assert "no_such_column" in str(seen[statements[1]].trouble)
    assert "division by zero" in str(seen[statements[3]].trouble)


def test_a_slow_query_ends_and_is_named(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each transaction sets its own timeouts."""
    shorter = ("SELECT set_config('statement_timeout', '50ms', true)",)
    monkeypatch.setattr("fixtures.database.session._SETTINGS", shorter)
    with connect(postgres.dsn("synthetic_monitor"), "test") as connection:
        seen = ask(connection, ["SELECT pg_sleep(60)", "SELECT 1"])

    assert "statement timeout" in str(seen["SELECT pg_sleep(60)"].trouble)
    assert seen["SELECT 1"].rows == [[1]]


def test_a_query_waits_for_no_lock(postgres: Postgres) -> None:
    """A query that waits for a migration would block the statements behind it."""
    size = "SELECT pg_total_relation_size('public.lesson_progress')"
    with psycopg.connect(postgres.superuser_dsn) as migration, connect(postgres.superuser_dsn, "test") as connection:
        migration.execute("LOCK TABLE public.lesson_progress")
        seen = ask(connection, [size, "SELECT 1"])
        migration.rollback()

    assert seen[size].trouble == "canceling statement due to lock timeout"
    assert seen["SELECT 1"].rows == [[1]]


def test_the_server_shows_whose_session_it_is(postgres: Postgres) -> None:
    """A person who sees the session at night finds the run, and the checks do not count it."""
    own = "SELECT application_name, current_setting('statement_timeout'), current_setting('lock_timeout')"
    own += " FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    taken = take(postgres.dsn("synthetic_monitor"), [Query(own, 1)], "a-run")

    assert taken.seen[own].rows == [["7p-synthetic/a-run", "5s", "1s"]]


def test_nothing_that_runs_on_production_heals() -> None:
    """A person decides whether to end a session or build an index again."""
    heals = re.compile(r"pg_(terminate|cancel)_backend|REINDEX|VACUUM|pg_stat\w*_reset\(|pg_switch_wal|pg_drop_repl")
    folders = ("fixtures", "ci", "ci/sql", "tests/database")
    files = [path for folder in folders for path in (ROOT / folder).glob("*.*") if path.suffix in {".py", ".sql"}]

    assert len(files) > len(declared()) / 2
    assert [path.name for path in files if heals.search(path.read_text(encoding="utf-8"))] == []


def test_nothing_stays_behind_in_the_session(postgres: Postgres) -> None:
    """A transaction pooler gives the session to its next client."""
    with psycopg.connect(postgres.dsn("platform_app"), autocommit=True) as connection:
        before = connection.execute(SETTINGS).fetchall()
        ask(connection, ["SELECT 1", "SELECT 1/0", "SELECT pg_advisory_xact_lock(1)"])
        after = connection.execute(SETTINGS).fetchall()
        prepared = connection.execute("SELECT name FROM pg_prepared_statements").fetchall()
        locks = connection.execute("SELECT objid FROM pg_locks WHERE locktype = 'advisory'").fetchall()

    assert after == before
    assert (prepared, locks) == ([], [])


def test_no_statement_can_write_by_accident(postgres: Postgres) -> None:
    """The application's role cannot write here either."""
    with connect(postgres.dsn("platform_app"), "test") as connection:
        seen = ask(connection, ["DELETE FROM public.lesson_progress RETURNING id"])

    assert [str(one.trouble) for one in seen.values()] == ["cannot execute DELETE in a read-only transaction"]


class Relay:
    """
    Passes bytes to the server and counts how often the client waits for it.

    carries_pipelines: False closes the connection of a client that sends its next statement without waiting.
    """

    def __init__(self, port: int, *, carries_pipelines: bool = True) -> None:
        self.clients, self.flights, self.dropped = 0, 0, 0
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
                self.clients += 1
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
        """Accept no further client, and wait for the last one."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


def test_all_checks_cost_a_dozen_round_trips_at_most(postgres: Postgres) -> None:
    """With 80 ms for each round trip, single queries would take 15 s."""
    relay = Relay(postgres.port)
    dsn = postgres.dsn("synthetic_monitor").replace(str(postgres.port), str(relay.port))
    taken = take(dsn, declared().values(), "test")
    relay.close()

    assert taken.trouble is None
    assert [seen.trouble for seen in taken.seen.values() if seen.trouble] == []
    assert 1 <= relay.flights <= 12


def test_a_run_takes_one_connection(postgres: Postgres, tmp_path: Path) -> None:
    """A connection for each worker could take the last ones of a busy database."""
    relay = Relay(postgres.port)
    dsn = postgres.dsn("synthetic_monitor").replace(str(postgres.port), str(relay.port))
    target = Target(name="sandbox", url="http://127.0.0.1", mode="act", database_dsn=dsn)
    run = Run(id="r", stage="daily", started="now", reports=tmp_path, directory=tmp_path)
    workers = [take_once(target, declared().values(), run, "session") for _ in range(3)]
    relay.close()

    assert relay.clients == 1
    assert workers[0].seen == workers[1].seen == workers[2].seen
    # Several checks may judge the same rows.
    assert len(workers[0].seen) >= len({query.sql for query in declared().values()}) - 1


def test_a_pooler_that_carries_no_pipeline_is_asked_one_by_one(postgres: Postgres) -> None:
    """The answers are complete, only slower."""
    relay = Relay(postgres.port, carries_pipelines=False)
    dsn = postgres.dsn("synthetic_monitor").replace(str(postgres.port), str(relay.port))
    taken = take(dsn, declared().values(), "test")
    relay.close()

    assert relay.dropped == 1
    assert taken.trouble is None
    assert [seen.trouble for seen in taken.seen.values() if seen.trouble] == []


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
    """Serverless functions come in bursts; a burst is over at the second or third reading."""
    monkeypatch.setattr("fixtures.database.rows._APART_SECONDS", 0)
    readings = iter(later)
    found = median_when_over(first, lambda: next(readings), limit=80)

    assert (found, found.samples, list(readings)) == (settled, samples, [])
