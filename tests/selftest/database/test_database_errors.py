"""A failed connection is explained from libpq's and the poolers' words, without the password."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from fixtures.checks.declarations import Query
from fixtures.database import errors
from fixtures.database.session import take
from fixtures.postgres.server import free_port
from fixtures.sandbox.database.postgres import Postgres

PASSWORD = "s3cret-of-nobody"  # noqa: S105  (a made-up one)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start a small server, which few connections fill."""
    with Postgres.start(tmp_path_factory.mktemp("postgres"), settings={"max_connections": "6"}) as started:
        yield started


def trouble(dsn: str) -> tuple[str, bool]:
    """Return why a connection fails, and whether the database itself refused it."""
    taken = take(dsn, [Query("SELECT 1", 1)], "test")
    assert taken.trouble is not None
    assert PASSWORD not in taken.trouble
    return taken.trouble, taken.refused


def test_a_full_server_is_saturated(postgres: Postgres) -> None:
    """PostgreSQL keeps the last connections for superusers; all others are refused first."""
    held = [psycopg.connect(postgres.superuser_dsn) for _ in range(3)]
    try:
        text, refused = trouble(postgres.dsn("synthetic_monitor"))
    finally:
        for connection in held:
            connection.close()

    assert text.startswith("cannot connect: saturated: every connection is taken (remaining connection slots")
    assert refused


def test_a_wrong_password_or_database_is_a_wrong_dsn(postgres: Postgres) -> None:
    """A mistake in our configuration is not a failure of the database."""
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
    """A DSN with sslmode=require must not look like a server that is down."""
    text, refused = trouble(postgres.dsn("synthetic_monitor") + "?sslmode=require")

    assert text.startswith("cannot connect: TLS: ")
    assert not refused


def test_a_dsn_without_a_host_is_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In that case libpq looks for a socket on this machine."""
    monkeypatch.setenv("PGHOST", "/nowhere")
    text, refused = trouble("postgresql:///platform")

    assert text.startswith("cannot connect: wrong DSN: it names no host")
    assert not refused


def test_a_role_that_has_used_up_its_own_connections_is_saturated(postgres: Postgres) -> None:
    """The server has free connections and refuses this role."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE busy LOGIN PASSWORD 'unguessed' CONNECTION LIMIT 0")
        text, refused = trouble(postgres.dsn("busy", "unguessed"))

    assert text.startswith("cannot connect: saturated: every connection is taken (too many connections for role")
    assert refused


def test_what_is_no_dsn_is_not_repeated() -> None:
    """The message of libpq contains the whole DSN with its password."""
    for dsn in (f"postgresql//timeout:{PASSWORD}@host/platform", f"postgresql://refused:{PASSWORD}@host/x?timeout=1"):
        text, _ = trouble(dsn)

        assert text.startswith("cannot connect: wrong DSN: it is not one")


@pytest.mark.parametrize(
    ("said", "named", "refused"),
    [
        ("connection failed: FATAL: sorry, too many clients already", "saturated", True),
        ("connection failed: FATAL: Max client connections reached", "saturated", True),
        ("connection failed: FATAL: MaxClientsInSessionMode: max clients reached", "saturated", True),
        ("connection failed: FATAL: (EMAXCONNSESSION) max clients reached in session mode", "saturated", True),
        ('connection failed: FATAL: too many connections for role "synthetic_monitor"', "saturated", True),
        ("connection failed: FATAL: the database system is starting up", "starting up", True),
        (
            "connection failed: FATAL: (ENOTFOUND) tenant/user postgres.abc not found",
            "wrong DSN, or the Supabase",
            False,
        ),
        ('connection failed: root certificate file "/nowhere/.postgresql/root.crt" does not exist', "TLS", False),
        ("connection failed: SSL error: certificate verify failed", "TLS", False),
        ('connection failed: server certificate for "a" does not match host name "b"', "TLS", False),
        ("connection failed: FATAL: SSL connection is required", "TLS", False),
        ('connection failed: FATAL: no pg_hba.conf entry for host "::1", user "x", SSL off', "wrong DSN", False),
        ("connection failed: server closed the connection unexpectedly", "the connection was closed", False),
        ("consuming input failed: server closed the connection unexpectedly", "the connection was closed", False),
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
    """Only their text shows the cause."""
    found = errors.name(psycopg.OperationalError(said))

    assert found.text.startswith(named)
    assert found.refused is refused
