"""A private PostgreSQL starts from a template, is alone with its files, and ends with its launcher."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from fixtures.postgres import server, template
from fixtures.postgres.private import EmptyServer, PrivateServer
from fixtures.postgres.template import Template

PATIENCE_SECONDS = 20
LAUNCHER = """
import sys
from pathlib import Path
from fixtures.postgres.private import EmptyServer
postgres = EmptyServer.start(Path(sys.argv[1]))
print(postgres.pid, flush=True)
sys.stdin.read()
"""


def write_books(connection: psycopg.Connection) -> None:
    """Make one table with two rows."""
    connection.execute("CREATE TABLE books (title text)")
    connection.execute("INSERT INTO books VALUES ('Nutuk'), ('Kürk Mantolu Madonna')")


class Library(PrivateServer):
    """A server with contents of its own."""

    template = Template("library", (Path(__file__),), write_books)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test templates of its own; returns where they stand."""
    monkeypatch.setenv("SYNTHETIC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "postgres"


def templates(cache: Path) -> list[Path]:
    """Return the templates, unfinished ones included."""
    return sorted(path for path in cache.iterdir() if path.is_dir())


def alive(pid: int) -> bool:
    """Tell whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def number(dsn: str, query: str) -> int:
    """Return the one number that a query yields."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_stop_leaves_neither_process_nor_files(tmp_path: Path) -> None:
    """A run must not fill the machine; a second stop is harmless."""
    postgres = EmptyServer.start(tmp_path / "run")
    pid, home = postgres.pid, postgres.server.home
    postgres.stop()
    postgres.stop()

    assert not alive(pid)
    assert not home.exists()
    assert not (tmp_path / "run").exists()


def test_settings_are_the_servers(tmp_path: Path) -> None:
    """Faults need servers of other sizes, and ALTER SYSTEM must still have the last word."""
    with EmptyServer.start(tmp_path, settings={"max_connections": "40"}) as postgres:
        with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
            connection.execute("SELECT pg_reload_conf()")

        assert number(postgres.superuser_dsn, "SELECT current_setting('max_connections')") == 40
        deadline = time.monotonic() + PATIENCE_SECONDS
        query = "SELECT (current_setting('synchronous_commit') = 'off')::int"
        while not number(postgres.superuser_dsn, query):
            assert time.monotonic() < deadline


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    """The server's own words reach the reader."""
    with pytest.raises(RuntimeError, match=r'invalid value for parameter "max_connections"'):
        EmptyServer.start(tmp_path / "run", settings={"max_connections": "many"})

    assert not (tmp_path / "run").exists()


def test_a_port_that_someone_took_meanwhile_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may take the port after the kernel named it and before the server binds it."""
    free = server.free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr(server, "free_port", lambda: next(ports))
        with EmptyServer.start(tmp_path) as postgres:
            assert postgres.port == free


def test_a_warm_start_builds_nothing(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the template takes a second; copying it a tenth."""
    with Library.start(tmp_path / "cold"):
        first = templates(cache)
    monkeypatch.setattr(template, "_build", lambda *_: pytest.fail("built again"))
    with Library.start(tmp_path / "warm") as postgres:
        assert number(postgres.superuser_dsn, "SELECT count(*) FROM books WHERE title = 'Nutuk'") == 1

    assert len(first) == 1
    assert templates(cache) == first


def test_a_template_serves_for_a_day(cache: Path, tmp_path: Path) -> None:
    """Rows hold times relative to the moment they were made: minutes must not become weeks."""
    with Library.start(tmp_path / "first"):
        (kept,) = templates(cache)
    old = time.time() - 25 * 3600
    (kept / "seeded").write_text(str(old))
    other = cache / "other-contents"
    other.mkdir()
    os.utime(other, (old, old))
    with Library.start(tmp_path / "second"):
        pass

    assert templates(cache) == [kept]
    assert float((kept / "seeded").read_text()) > old


@pytest.mark.parametrize("ahead", [60, 400 * 24 * 3600], ids=["a minute", "a year"])
def test_a_template_of_another_clock_is_not_used(cache: Path, tmp_path: Path, ahead: int) -> None:
    """Rows from the future give a backup, a session or a visit a negative age."""
    with Library.start(tmp_path / "first"):
        (kept,) = templates(cache)
    (kept / "seeded").write_text(str(time.time() + ahead))
    with Library.start(tmp_path / "second"):
        pass

    assert float((kept / "seeded").read_text()) <= time.time()


def test_the_seed_time_is_the_servers_own(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with a wrong clock can start a server with the right one: the rows have the server's time."""
    monkeypatch.setattr(time, "time", lambda clock=time.time: clock() + 3600)
    with Library.start(tmp_path / "first"):
        (kept,) = templates(cache)
    monkeypatch.undo()

    assert float((cache / kept.name / "seeded").read_text()) <= time.time()


def test_an_unreadable_seed_time_is_no_seed_time(cache: Path, tmp_path: Path) -> None:
    """Nobody knows the age of such a template, so it is built again."""
    with Library.start(tmp_path / "first"):
        (kept,) = templates(cache)
    (kept / "seeded").write_text("nan")
    with Library.start(tmp_path / "second"):
        pass

    assert float((kept / "seeded").read_text()) <= time.time()


def test_other_contents_are_another_template(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that was changed must be seen at the next start, and not a day later."""
    source = tmp_path / "schema.sql"
    source.write_text("CREATE TABLE one ()")

    def fill(connection: psycopg.Connection) -> None:
        connection.execute(source.read_bytes())

    monkeypatch.setattr(Library, "template", Template("library", (source,), fill))
    with Library.start(tmp_path / "first"):
        pass
    source.write_text("CREATE TABLE two ()")
    with Library.start(tmp_path / "second") as postgres:
        assert number(postgres.superuser_dsn, "SELECT count(*) FROM two") == 0

    assert len(templates(cache)) == 2


def test_an_empty_server_has_no_schema_and_a_password_of_its_own(tmp_path: Path) -> None:
    """A dump creates its own schemas, and no other server's DSN may read the customers' rows in it."""
    own = "SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    with EmptyServer.start(tmp_path / "one") as one, EmptyServer.start(tmp_path / "two") as two:
        assert number(one.superuser_dsn, own) == 0
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(two.superuser_dsn.replace(str(two.port), str(one.port)))


def test_two_cold_starts_at_once_build_one_template(cache: Path, tmp_path: Path) -> None:
    """Neither uses a template that the other has not finished."""
    with ThreadPoolExecutor(2) as threads:
        started = list(threads.map(Library.start, (tmp_path / "one", tmp_path / "two")))
    try:
        counts = [number(one.superuser_dsn, "SELECT count(*) FROM books") for one in started]
    finally:
        for one in started:
            one.stop()

    assert counts == [2, 2]
    assert len(templates(cache)) == 1


def test_an_interrupted_build_leaves_no_template(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every later run would copy an unfinished template."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(template, "_fill", interrupt)
    with pytest.raises(KeyboardInterrupt):
        EmptyServer.start(tmp_path / "run")

    assert templates(cache) == []
    assert not (tmp_path / "run").exists()


def test_a_killed_launcher_takes_the_server_along(tmp_path: Path) -> None:
    """After kill -9 nobody is left to clean up."""
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        pid = int(launcher.stdout.readline())
        data = Path(f"/proc/{pid}/cwd").readlink() if sys.platform == "linux" else None
        assert alive(pid)
        launcher.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while alive(pid) or (data is not None and data.exists()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
