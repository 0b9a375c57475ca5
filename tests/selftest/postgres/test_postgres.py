"""The sandbox's PostgreSQL: it starts from a template, is alone with its files, and ends with its launcher."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from fixtures.postgres import binaries, server
from fixtures.postgres.binaries import PostgresMissing, locate
from fixtures.postgres.unprivileged import User
from fixtures.sandbox.database import template as postgres_template
from fixtures.sandbox.database.postgres import LOGIN_ROLES, Postgres

PATIENCE_SECONDS = 20
LAUNCHER = """
import sys
from pathlib import Path
from fixtures.sandbox.database.postgres import Postgres
postgres = Postgres.start(Path(sys.argv[1]))
print(postgres.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend one server to the tests that do not change it."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test templates of its own; returns where they stand."""
    monkeypatch.setenv("SYNTHETIC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "postgres"


def templates(cache: Path) -> list[Path]:
    """Return what would be copied, half-written ones included."""
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


def test_the_seed_is_there_over_tcp_on_loopback_only(postgres: Postgres) -> None:
    """What the application finds when it connects the first time."""
    dsn = postgres.dsn("platform_app")

    assert f"@127.0.0.1:{postgres.port}/platform" in dsn
    assert number(dsn, "SELECT count(*) FROM public.courses WHERE published") == 24
    assert (
        number(
            postgres.superuser_dsn,
            "SELECT count(*) FROM pg_settings WHERE name = 'listen_addresses' AND setting = '127.0.0.1'",
        )
        == 1
    )


def test_stop_leaves_neither_process_nor_files(tmp_path: Path) -> None:
    """A run must not fill the machine; a second stop is harmless."""
    postgres = Postgres.start(tmp_path / "run")
    pid, home = postgres.pid, postgres.server.home
    postgres.stop()
    postgres.stop()

    assert not alive(pid)
    assert not home.exists()
    assert not (tmp_path / "run").exists()


def test_two_servers_at_once_do_not_meet(postgres: Postgres, tmp_path: Path) -> None:
    """Ports and rows are private, though both began with the same template."""
    with Postgres.start(tmp_path) as second:
        with psycopg.connect(second.superuser_dsn) as connection:
            connection.execute("DELETE FROM public.lesson_progress")

        assert second.port != postgres.port
        assert number(second.superuser_dsn, "SELECT count(*) FROM public.lesson_progress") == 0
        assert number(postgres.superuser_dsn, "SELECT count(*) FROM public.lesson_progress") > 1000
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(second.superuser_dsn.replace(str(second.port), str(postgres.port)))


def test_settings_are_the_servers(tmp_path: Path) -> None:
    """Faults need servers of other sizes, and ALTER SYSTEM must still have the last word."""
    with Postgres.start(tmp_path, settings={"max_connections": "40"}) as postgres:
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
        Postgres.start(tmp_path / "run", settings={"max_connections": "many"})

    assert not (tmp_path / "run").exists()


def test_a_port_that_someone_took_meanwhile_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the kernel's answer and the server's bind another process may be faster."""
    free = server.free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr(server, "free_port", lambda: next(ports))
        with Postgres.start(tmp_path) as postgres:
            assert postgres.port == free


def test_a_warm_start_builds_nothing(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the template takes a second; copying it a tenth."""
    with Postgres.start(tmp_path / "cold"):
        first = templates(cache)
    monkeypatch.setattr(postgres_template, "_build", lambda *_: pytest.fail("built again"))
    with Postgres.start(tmp_path / "warm") as postgres:
        assert number(postgres.superuser_dsn, "SELECT count(*) FROM public.payments WHERE status = 'pending'") == 4

    assert len(first) == 1
    assert templates(cache) == first


def test_a_template_serves_for_a_day(cache: Path, tmp_path: Path) -> None:
    """The seed's times count from its sowing: what is minutes old must not grow to weeks."""
    with Postgres.start(tmp_path / "first"):
        (template,) = templates(cache)
    old = time.time() - 25 * 3600
    os.utime(template, (old, old))
    other = cache / "another-schema"
    other.mkdir()
    os.utime(other, (old, old))
    with Postgres.start(tmp_path / "second") as postgres:
        assert number(postgres.superuser_dsn, "SELECT count(*) FROM public.users WHERE created_at > now()") == 0

    assert templates(cache) == [template]
    assert template.stat().st_mtime > old


def test_two_cold_starts_at_once_build_one_template(cache: Path, tmp_path: Path) -> None:
    """Neither uses what the other has half written."""
    with ThreadPoolExecutor(2) as threads:
        started = list(threads.map(Postgres.start, (tmp_path / "one", tmp_path / "two")))
    try:
        counts = [number(one.superuser_dsn, "SELECT count(*) FROM public.courses") for one in started]
    finally:
        for one in started:
            one.stop()

    assert counts == [26, 26]
    assert len(templates(cache)) == 1


def test_an_interrupted_build_leaves_no_template(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a template would be every later run's database."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(postgres_template, "_fill", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Postgres.start(tmp_path / "run")

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


def test_no_password_shows_in_processes_logs_or_statistics(postgres: Postgres) -> None:
    """Anyone on the machine may list processes, and the monitor reads every statement."""
    passwords = [psycopg.conninfo.conninfo_to_dict(postgres.dsn(role))["password"] for role in LOGIN_ROLES]
    with psycopg.connect(postgres.superuser_dsn) as connection:
        statements = connection.execute("SELECT query FROM extensions.pg_stat_statements").fetchall()
    listed = subprocess.run(["ps", "-Aww", "-o", "args"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    seen = f"{listed} {postgres.server.log()} {statements} {postgres!r}"

    assert str(postgres.server.home) in listed
    assert len(set(passwords)) == len(LOGIN_ROLES)
    assert [password for password in passwords if str(password) in seen] == []


def test_a_role_that_does_not_log_in_has_no_dsn(postgres: Postgres) -> None:
    """The browser's roles are reached through SET ROLE only."""
    with pytest.raises(KeyError):
        postgres.dsn("anon")


def test_another_user_is_stopped_by_a_closed_directory(tmp_path: Path) -> None:
    """Root's own directories are closed to the server's user, and stay so."""
    (tmp_path / "closed").mkdir(mode=0o700)
    stranger = User(os.geteuid() + 12345, os.getegid() + 12345)

    assert not stranger.reaches(tmp_path / "closed")
    assert stranger.reaches(Path("/bin/sh"))
    assert User(os.geteuid(), os.getegid()).reaches(tmp_path / "closed")


@pytest.fixture
def open_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the machine's PostgreSQL, and let the server's user in wherever the test puts its own."""
    monkeypatch.setattr(User, "reaches", lambda *_: True)
    monkeypatch.setattr(binaries, "SYSTEM", (f"{tmp_path}/*/bin",))
    monkeypatch.setattr(binaries, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "/no/such/directory")
    monkeypatch.delenv("SYNTHETIC_POSTGRES", raising=False)
    return tmp_path


def install(root: Path, version: str, *, extension: bool = True) -> Path:
    """Write programs that state a version and a share directory."""
    bindir, share = root / version / "bin", root / version / "share"
    bindir.mkdir(parents=True)
    (share / "extension").mkdir(parents=True)
    if extension:
        (share / "extension" / "pg_stat_statements.control").touch()
    for name, answer in (("postgres", f"postgres (PostgreSQL) {version}"), ("pg_config", str(share)), ("initdb", "")):
        (bindir / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
        (bindir / name).chmod(0o755)
    return bindir


def test_the_newest_usable_system_postgres_is_taken(open_directory: Path) -> None:
    """One too old, one without the extension, and two that would do."""
    install(open_directory, "9.6.24")
    install(open_directory, "18.1", extension=False)
    install(open_directory, "16.4 (Debian 16.4-1)")
    newest = install(open_directory, "17.10")

    found = locate()
    assert (found.bindir, found.version, found.major, found.source) == (newest, 170010, 17, "system")


def test_no_postgres_is_one_line_that_says_what_to_do(open_directory: Path) -> None:
    """What a person reads on a machine without PostgreSQL."""
    bindir = install(open_directory, "15.2", extension=False)
    with pytest.raises(PostgresMissing) as raised:
        locate()

    message = str(raised.value)
    assert f"{bindir} has no pg_stat_statements" in message
    assert "fix: apt-get install -y postgresql" in message
    assert "\n" not in message


def test_the_variable_is_believed_alone(open_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names a server does not want another one behind their back."""
    install(open_directory, "17.10")
    chosen = install(open_directory, "14.0")
    monkeypatch.setenv("SYNTHETIC_POSTGRES", str(chosen))
    assert (locate().bindir, locate().source) == (chosen, "variable")

    monkeypatch.setenv("SYNTHETIC_POSTGRES", str(open_directory / "nowhere"))
    with pytest.raises(PostgresMissing, match=r"^SYNTHETIC_POSTGRES=.*nowhere: no postgres in .*; fix: "):
        locate()
