"""The sandbox's PostgreSQL has the platform's seed, and nobody else can reach it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fixtures.sandbox.database.postgres import Postgres


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend one server to the tests that do not change it."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


def number(dsn: str, query: str) -> int:
    """Return the one number that a query yields."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_the_seed_is_there_over_tcp_on_loopback_only(postgres: Postgres) -> None:
    """The application finds these rows at its first connection."""
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
    assert number(postgres.superuser_dsn, "SELECT count(*) FROM public.users WHERE created_at > now()") == 0


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


def test_no_password_shows_in_processes_logs_or_statistics(postgres: Postgres) -> None:
    """Anyone on the machine may list processes, and the monitor reads every statement."""
    passwords = [psycopg.conninfo.conninfo_to_dict(postgres.dsn(role))["password"] for role in Postgres.login_roles]
    with psycopg.connect(postgres.superuser_dsn) as connection:
        statements = connection.execute("SELECT query FROM extensions.pg_stat_statements").fetchall()
    listed = subprocess.run(["ps", "-Aww", "-o", "args"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    seen = f"{listed} {postgres.server.log()} {statements} {postgres!r}"

    assert str(postgres.server.home) in listed
    assert len(set(passwords)) == len(Postgres.login_roles)
    assert [password for password in passwords if str(password) in seen] == []


def test_a_role_that_does_not_log_in_has_no_dsn(postgres: Postgres) -> None:
    """The browser's roles are reached through SET ROLE only."""
    with pytest.raises(KeyError):
        postgres.dsn("anon")
