"""The doctor names each missing part and its remedy, and never the value of a secret."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from ci import doctor
from ci.doctor import Finding, examine, look
from ci.gate import EXIT_USAGE
from fixtures.database.privileges import views
from fixtures.model.toml_tables import UsageError
from fixtures.sandbox.database.postgres import Postgres
from fixtures.sandbox.vendors.sinks import Sinks
from tests.selftest.sandbox.running_edge import run_edge

TOKEN = "token-of-somebody-7f3a"  # noqa: S105  (a made-up one)


class _Vercel(BaseHTTPRequestHandler):
    """Answers like a site at /, and like Vercel's API at /v2/user."""

    def do_GET(self) -> None:
        known = self.path != "/v2/user" or self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(200 if known else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    """Serve a site and an API on loopback."""
    with HTTPServer(("127.0.0.1", 0), _Vercel) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def targets(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a target whose secrets are not set, on a machine that lacks nothing."""
    monkeypatch.setattr(doctor, "_machine", lambda: iter([Finding("python", "3.11")]))
    for variable in ("TEST_TOKEN", "TEST_DSN"):
        monkeypatch.delenv(variable, raising=False)
    file = tmp_path / "targets.toml"
    file.write_text(
        f"""
        [staging]
        url = "{address}"
        mode = "shadow"
        capabilities = ["database", "vercel"]
        control_addresses = ["http://127.0.0.1:9"]
        vercel = {{ api = "{address}", project = "7p" }}
        variables = {{ vercel_token = "TEST_TOKEN", database_dsn = "TEST_DSN" }}
        """,
        encoding="utf-8",
    )
    return file


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_missing_variables_are_named_and_the_rest_is_examined_all_the_same(
    targets: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person who sets up a pipeline needs the whole list, not one error for each try."""
    code = examine("staging", file=targets)
    lines = _lines(capsys.readouterr().out)

    assert code == EXIT_USAGE
    assert "capabilities database, environment, vercel" in lines
    assert "MISSING TEST_TOKEN vercel_token, not set" in lines
    assert "MISSING TEST_DSN database_dsn, not set" in lines
    assert f"ok site {address}: answers 200" in lines
    assert "FAILED control address http://127.0.0.1:9: no answer (ConnectError)" in lines
    assert [line for line in lines if "vercel token" in line] == []


@pytest.mark.parametrize(("token", "sign", "status"), [(TOKEN, "ok", 200), ("an-old-token-5b1c", "FAILED", 403)])
def test_token_is_tried_and_not_shown(
    token: str,
    sign: str,
    status: int,
    targets: Path,
    address: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token that has expired looks set until the rollback."""
    monkeypatch.setenv("TEST_TOKEN", token)
    examine("staging", file=targets)
    out = capsys.readouterr().out

    assert f"{sign} vercel token {address}/v2/user answers {status}" in _lines(out)
    assert token not in out


def test_a_variable_that_holds_no_dsn_is_set_anew(
    targets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is set, so nothing is missing; no client can connect with its value."""
    monkeypatch.setenv("TEST_TOKEN", TOKEN)
    monkeypatch.setenv("TEST_DSN", "nonsense")
    code = examine("staging", file=targets)
    lines = _lines(capsys.readouterr().out)

    assert code == EXIT_USAGE
    assert [line for line in lines if line.startswith("FAILED database")] == [
        "FAILED database no connection: wrong DSN: it is not one (postgresql://…, with role and password)"
    ]
    assert "fix: export TEST_DSN=postgresql://…, the DSN of the role that ci/sql/monitor_role.sql makes" in lines
    assert [line for line in lines if "MISSING" in line] == []


def test_each_services_token_is_tried_on_its_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A service is asked only where a capability needs it."""
    with run_edge() as running:
        sinks = Sinks()
        running.do(sinks.open(running.edge.listeners))
        github, sentry = sinks.github, sinks.sentry
        file = tmp_path / "targets.toml"
        file.write_text(
            f"""
            [staging]
            url = "{sinks.control_address.rpartition("/")[0]}"
            mode = "shadow"
            capabilities = ["commit-status", "stripe-config", "sentry"]
            github = {{ api = "{sinks.github_listener.url}", repository = "{github.repository}" }}
            stripe = {{ api = "{sinks.stripe_listener.url}" }}
            sentry = {{ api = "{sinks.sentry_listener.url}", organization = "{sentry.organization}" }}
            variables = {{ github_token = "G", stripe_restricted_key = "S", sentry_token = "Y" }}
            """,
            encoding="utf-8",
        )
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(doctor, "_machine", lambda: iter([Finding("python", "3.11")]))
            patched.setenv("G", github.token)
            patched.setenv("S", sinks.service_keys["stripe_restricted_key"])
            patched.delenv("Y", raising=False)
            examine("staging", file=file)
    lines = _lines(capsys.readouterr().out)

    assert "MISSING Y sentry_token, not set" in lines
    assert f"ok github token {sinks.github_listener.url}/repos/{github.repository} answers 200" in lines
    assert f"ok stripe key {sinks.stripe_listener.url}/v1/balance answers 200" in lines
    assert [line for line in lines if "sentry token" in line] == []


def test_a_site_that_drips_holds_nobody_up(
    targets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time-out for each read never ends for a server that sends one byte a second."""
    monkeypatch.setattr(doctor, "_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=_drip, args=[server], daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        assert examine(url, file=targets) == EXIT_USAGE

    assert time.monotonic() - began < 5
    assert f"FAILED site {url}: no answer (ReadTimeout)" in _lines(capsys.readouterr().out)


def _drip(server: socket.socket) -> None:
    with server.accept()[0] as client, suppress(OSError):
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b"a")
            threading.Event().wait(0.1)


def test_a_url_is_examined_without_a_word_in_the_table(
    targets: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 when nothing is missing."""
    assert examine(address, file=targets) == 0
    assert f"ok site {address}: answers 200" in _lines(capsys.readouterr().out)


def test_unknown_target_is_wrong_usage(targets: Path) -> None:
    """The doctor prints one line and sends no request."""
    with pytest.raises(UsageError, match=rf"^doctor nowhere: not in {targets}; use a URL or one of staging$"):
        examine("nowhere", file=targets)


def test_each_missing_privilege_comes_with_its_grant(tmp_path: Path) -> None:
    """A role without rights reads zero rows of a full table, and everything looks well."""
    with Postgres.start(tmp_path / "postgres") as server:
        with psycopg.connect(server.superuser_dsn, autocommit=True) as connection:
            connection.execute("""CREATE ROLE "blind-7p" LOGIN PASSWORD 'made-up'""")
            before = [*look(server.dsn("blind-7p", "made-up"))]
            for seen in before:
                if not seen.good and seen.remedy.startswith("GRANT"):
                    connection.execute(seen.remedy.encode())
        after = [*look(server.dsn("blind-7p", "made-up"))]
        own = [*look(server.dsn("synthetic_monitor"))]

    assert [seen.good for seen in before].count(False) == len(views())
    (counters,) = [seen for seen in after if not seen.good]
    assert "run ci/sql/monitor_role.sql again" in counters.remedy
    assert [seen.text for seen in own if not seen.good] == []


def test_a_role_that_reads_customers_rows_is_told_off(tmp_path: Path) -> None:
    """The checks need no row, and each row that they can read can leak."""
    with Postgres.start(tmp_path / "postgres") as server:
        with psycopg.connect(server.superuser_dsn, autocommit=True) as connection:
            connection.execute("GRANT SELECT (email) ON public.users TO synthetic_monitor")
        told = [seen.text for seen in look(server.dsn("synthetic_monitor")) if not seen.good]

    assert told == ["can read public.users"]


def test_a_role_that_cannot_copy_is_found_before_the_drill(tmp_path: Path) -> None:
    """Row level security would make such a role dump empty tables."""
    with Postgres.start(tmp_path / "postgres") as server:
        told = {role: [*look(server.dsn(role), about="copying")] for role in ("synthetic_dump", "synthetic_monitor")}

    assert [(seen.text, seen.good) for seen in told["synthetic_dump"]] == [
        ("can copy every row of public as synthetic_dump", True)
    ]
    assert [(seen.good, seen.remedy) for seen in told["synthetic_monitor"]] == [
        (False, "run ci/sql/dump_role.sql as the owner of the tables")
    ]


def test_the_connection_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a pooler, on a standby, or without statistics the same numbers mean something else."""
    with Postgres.start(tmp_path / "postgres") as server:
        lines = [seen.text for seen in look(server.dsn("synthetic_monitor"))]
        # A pooler tells its clients a process of its own.
        monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", 1)
        (pooled, *_) = look(server.dsn("synthetic_monitor"))

    assert pooled.text.endswith("as synthetic_monitor, through a pooler")

    assert re.fullmatch(r"PostgreSQL \d+\.\d+.*, primary, as synthetic_monitor, direct", lines[0])
    assert re.match(r"statistics counted since \d{4}-", lines[1])
    assert re.fullmatch(r"pg_stat_statements 1\.\d+ in schema extensions", lines[2])
    assert "can read no table of the platform" in lines


def test_database_that_cannot_be_reached_is_said_in_the_words_of_the_checks_and_without_its_password() -> None:
    """One cause must have one name."""
    (seen,) = look("postgresql://monitor:hunter2secret@127.0.0.1:9/platform")

    assert not seen.good
    assert seen.text.startswith("no connection: refused: nothing listens there")
    assert "hunter2secret" not in seen.text + seen.remedy
    assert seen.remedy == 'psql "$DSN" from this machine says the same until host, port and network are right'


def test_a_database_that_keeps_silent_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver waits for an answer for ever, and a lock on the catalogue is enough for none to come."""
    monkeypatch.setattr("fixtures.database.session._ANSWER_SECONDS", 0.5)
    with Postgres.start(tmp_path / "postgres") as server, psycopg.connect(server.superuser_dsn) as connection:
        connection.execute("LOCK TABLE pg_extension IN ACCESS EXCLUSIVE MODE")
        seen = [*look(server.dsn("synthetic_monitor"))]

    assert [(one.good, one.text) for one in seen] == [(False, "no answer within 0.5 s")]
