"""PG* variables of the machine change no connection, and an endless answer ends no run."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from fixtures.checks.declarations import Query
from fixtures.checks.evidence import NotMeasured
from fixtures.database import session
from fixtures.database.rows import Rows, exchange_of
from fixtures.database.session import Seen, ask, connect, take
from fixtures.database.snapshot import take_snapshot
from fixtures.sandbox.database.postgres import Postgres

# Nobody sets it: a byte now and then.
_PAUSE = threading.Event()
WHERE = "SELECT current_user::text, current_database()::text, current_setting('timezone'), inet_server_port()"
HOSTILE = {
    "PGHOST": "127.0.0.9",
    "PGHOSTADDR": "127.0.0.9",
    "PGPORT": "1",
    "PGDATABASE": "elsewhere",
    "PGUSER": "nobody",
    "PGPASSWORD": "of-nobody",
    "PGPASSFILE": "/nowhere",
    "PGSERVICE": "elsewhere",
    "PGSERVICEFILE": "/nowhere",
    "PGOPTIONS": "-c statement_timeout=1 -c search_path=elsewhere",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere",
    "PGREQUIREAUTH": "none",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "nonsense",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGCLIENTENCODING": "nonsense",
    "PGAPPNAME": "elsewhere",
    "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "nonsense",
    "PGMAXPROTOCOLVERSION": "nonsense",
}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start one server for all tests here; none writes to it."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.mark.parametrize("variables", [HOSTILE, *({name: value} for name, value in HOSTILE.items())])
def test_variables_of_the_machine_change_no_connection(
    postgres: Postgres, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite must not judge the database that somebody's shell points to."""
    dsn = postgres.dsn("synthetic_monitor")
    expected = take(dsn, [Query(WHERE, 1)], "test")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert take(dsn, [Query(WHERE, 1)], "test") == expected
    assert take_snapshot(dsn, "test").identity.database


def test_a_private_server_starts_whatever_the_machine_says(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restore drill starts a server inside the run."""
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)

    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        assert take(started.dsn("synthetic_monitor"), [Query(WHERE, 1)], "test").trouble is None


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize(
    ("statement", "bound"),
    [
        ("SELECT generate_series(1, 1000000) AS n", "more than 10,000 rows"),
        ("SELECT repeat('x', 20000000) AS value", "more than 16 MB"),
        ("SELECT n, repeat('x', 4000) FROM generate_series(1, 9000) AS n", "more than 16 MB"),
        ("WITH n AS (SELECT generate_series(1, 10001)) SELECT * FROM n -- all of them", "more than 10,000 rows"),
        ("TABLE pg_catalog.pg_class; ", ""),
        ("SELECT generate_series(1, 10000) AS n", ""),
        ("SELECT NULL::text AS nothing", ""),
        ("SELECT 1 AS one, 2 AS one", ""),
        ("SELECT pg_sleep(0), 'x' AS examined WHERE false", ""),
        ("EXPLAIN SELECT 1", ""),
    ],
)
def test_an_answer_is_bounded_by_the_server(postgres: Postgres, statement: str, bound: str, *, pipelined: bool) -> None:
    """A large answer never crosses the network; a small one is unchanged, and the next query is answered."""
    with connect(postgres.dsn("synthetic_monitor"), "test") as connection:
        direct = connection.execute(statement.encode()).fetchall() if not bound else []
        seen = ask(connection, [statement, "SELECT 1"], pipelined=pipelined)

    assert bound in (seen[statement].trouble or "")
    assert len(seen[statement].rows) == len(direct)
    assert seen["SELECT 1"] == Seen([[1]], 1)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT 'infinity'::timestamptz", None),
        ("SELECT '294276-01-01'::timestamptz", None),
        ("SELECT '10.0.0.1'::inet", "10.0.0.1"),
        ("SELECT ROW(1, 'x')", ("1", "x")),
        ("SELECT 'NaN'::numeric", None),
        ("SELECT E'a\\x1b[31m\\nb'", "a\x1b[31m\nb"),
    ],
)
def test_a_value_of_any_type_is_data(postgres: Postgres, statement: str, shown: object) -> None:
    """A value without a type in Python blinds its own query only."""
    taken = take(postgres.dsn("synthetic_monitor"), [Query(statement, 1), Query("SELECT 1", 1)], "test")

    seen = taken.seen[statement]
    assert bool(seen.trouble) or seen.rows[0][0] == shown or seen.rows[0][0] != seen.rows[0][0]
    assert taken.seen["SELECT 1"].rows == [[1]]


@pytest.mark.parametrize("rows", [[], [[1], [2]], [[None]], [["x"]], [[[1]]]])
def test_a_row_of_another_shape_is_not_measured(rows: list[list[object]]) -> None:
    """A view that PostgreSQL changed is no failure of the platform."""
    with pytest.raises(NotMeasured, match="the query returned"):
        Rows(rows).one(int)


def test_names_with_active_characters_are_shown_as_text(postgres: Postgres) -> None:
    """A table may have any name; a terminal would follow its control characters."""
    query = Query("SELECT E'a\\x1b[31m\\n\\u202Eb\\u0085::error::'", 1)
    taken = take(postgres.dsn("synthetic_monitor"), [query], "test")
    line = exchange_of(query, taken.seen[query.sql])

    assert taken.seen[query.sql].rows == [["a\x1b[31m\n\u202eb\x85::error::"]]
    assert line.isprintable()


@contextmanager
def serving(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on a port and serve the first client with this function."""
    clients: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            clients.append(client)
            with client, suppress(OSError):
                behave(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            clients[0].shutdown(socket.SHUT_RDWR)
        thread.join(10)


def hang(client: socket.socket) -> None:
    """Accept, and never answer."""
    while client.recv(1024):
        pass


def drip(client: socket.socket) -> None:
    """Send a notice without end, one byte at a time."""
    client.sendall(b"N\x00\x10\x00\x00")
    while True:
        client.sendall(b"x")
        _PAUSE.wait(0.05)


@pytest.mark.parametrize("behave", [hang, drip])
def test_a_server_that_never_lets_us_in_is_left(
    behave: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment must not wait for a server that hangs."""
    monkeypatch.setattr(session, "_CONNECT_SECONDS", 2)
    began = time.monotonic()
    with serving(behave) as port:
        taken = take(f"postgresql://monitor:x@127.0.0.1:{port}/platform?sslmode=disable", [], "test")

        took = time.monotonic() - began

    assert (taken.trouble or "").startswith("cannot connect: ")
    assert took < 5


class Wedged:
    """Passes bytes to the server; after `stuck`, nothing comes back, or one byte at a time."""

    def __init__(self, port: int, *, dripping: bool) -> None:
        self._port = port
        self._dripping = dripping
        self.stuck = threading.Event()

    def __call__(self, client: socket.socket) -> None:
        """Serve one client."""
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            back = threading.Thread(target=self._back, args=(server, client), daemon=True)
            back.start()
            while content := client.recv(65536):
                if b"SELECT 1" in content:
                    self.stuck.set()
                server.sendall(content)
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while content := server.recv(65536):
                for byte in content if self.stuck.is_set() and self._dripping else ():
                    client.sendall(bytes([byte]))
                    _PAUSE.wait(0.2)
                if not self.stuck.is_set():
                    client.sendall(content)


@pytest.mark.parametrize("dripping", [False, True])
def test_a_server_that_stops_in_the_middle_is_left_and_named(
    postgres: Postgres, *, dripping: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's timeouts do not help where the network, a pooler or the process itself stops."""
    monkeypatch.setattr(session, "_ANSWER_SECONDS", 1)
    began = time.monotonic()
    with serving(Wedged(postgres.port, dripping=dripping)) as port:
        dsn = postgres.dsn("synthetic_monitor").replace(f":{postgres.port}/", f":{port}/")
        taken = take(dsn, [Query("SELECT 1", 1)], "test")

    assert taken.trouble == "the role's privileges cannot be read: no answer within 1 s"
    assert not taken.refused
    assert time.monotonic() - began < 5
