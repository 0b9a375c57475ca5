"""The restore drill finds missing rows, leaves no files, and shows no row in a message."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fixtures.migrations.restore_drill import Contents, Drill, dump_with_fingerprint, private, restored
from fixtures.migrations.scratch_server import DumpScope, ProgramError, dump
from fixtures.model.verdict import Outcome, Verdict
from fixtures.run.current_run import Run
from fixtures.sandbox.database.postgres import Postgres
from tests.selftest.conftest import ROOT, environment_of_a_run

CUSTOMER = "canary-customer@example.com"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start one server for all tests here; each test undoes its changes."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def monitor(postgres: Postgres) -> str:
    """Return the DSN of the copying role, which may dump and change nothing."""
    return postgres.dsn("synthetic_dump")


def test_a_dump_holds_every_row_of_every_table(monitor: str, tmp_path: Path) -> None:
    """The copying role makes the dump and the comparison."""
    archive = tmp_path / "dump"

    drill = restored(archive, *dump_with_fingerprint(monitor, archive))

    assert drill.refused == ""
    assert drill.differences == []
    assert drill.rows > 1000
    assert {"public.users", "public.payment_transactions", "supabase_migrations.schema_migrations"} <= set(drill.before)
    assert archive.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["dump"]


@pytest.mark.parametrize("share", [0, 0.4, 0.9])
def test_a_truncated_dump_is_refused(monitor: str, tmp_path: Path, share: float) -> None:
    """`pg_restore -l` reads only the table of contents."""
    archive = tmp_path / "dump"
    before, around = dump_with_fingerprint(monitor, archive)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])

    assert restored(archive, before, around).refused.startswith("pg_restore: ")


def test_a_dump_without_rows_is_seen(monitor: str, tmp_path: Path) -> None:
    """Under row level security a dump has every table, no error, and no rows."""
    archive = tmp_path / "dump"
    before, around = dump_with_fingerprint(monitor, archive)
    dump(monitor, archive, around, "--format=custom", "--schema-only")

    drill = restored(archive, before, around)

    assert drill.refused == ""
    assert f"public.users: {before['public.users'].rows} rows, 0 restored" in drill.differences


def test_one_lost_row_and_one_changed_row_are_seen(postgres: Postgres, monitor: str, tmp_path: Path) -> None:
    """The drill names the tables."""
    archive = tmp_path / "dump"
    before, around = dump_with_fingerprint(monitor, archive)
    with psycopg.connect(postgres.superuser_dsn) as connection:
        lost = connection.execute(
            "DELETE FROM public.lesson_progress WHERE id = (SELECT id FROM public.lesson_progress LIMIT 1) RETURNING id"
        )
        assert lost.rowcount == 1
        connection.execute("UPDATE public.courses SET price = 1 WHERE slug = (SELECT min(slug) FROM public.courses)")
    dump(monitor, archive, around, "--format=custom")

    differences = restored(archive, before, around).differences

    rows = {table: contents.rows for table, contents in before.items()}
    progress, courses = rows["public.lesson_progress"], rows["public.courses"]
    assert differences == [
        f"public.courses: {courses} rows, of other contents",
        f"public.lesson_progress: {progress} rows, {progress - 1} restored",
    ]


def test_who_writes_during_the_dump_makes_no_difference(
    postgres: Postgres, monitor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fingerprint and dump use one snapshot; otherwise every busy night would be red."""
    archive = tmp_path / "dump"

    def write_and_dump(dsn: str, archive: Path, around: DumpScope, *options: str) -> None:
        with psycopg.connect(postgres.superuser_dsn) as connection:
            connection.execute("UPDATE public.courses SET price = price + 1")
        dump(dsn, archive, around, *options)

    monkeypatch.setattr("fixtures.migrations.scratch_server.dump", write_and_dump)

    assert restored(archive, *dump_with_fingerprint(monitor, archive)).differences == []


def test_rows_that_are_hidden_are_an_error(postgres: Postgres, tmp_path: Path) -> None:
    """Without a setting row level security returns an empty table and no error."""
    with psycopg.connect(postgres.superuser_dsn) as connection:
        connection.execute("ALTER ROLE synthetic_dump NOBYPASSRLS")
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            dump_with_fingerprint(postgres.dsn("synthetic_dump"), tmp_path / "dump")
    finally:
        with psycopg.connect(postgres.superuser_dsn) as connection:
            connection.execute("ALTER ROLE synthetic_dump BYPASSRLS")


def test_no_row_gets_into_a_message(postgres: Postgres, monitor: str, tmp_path: Path) -> None:
    """PostgreSQL repeats the row that it refuses."""
    archive = tmp_path / "dump"
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.letters (email text)")
        connection.execute("INSERT INTO public.letters VALUES (%s)", (CUSTOMER,))
        connection.execute("ALTER TABLE public.letters ADD CONSTRAINT none CHECK (email = '') NOT VALID")
        connection.execute("UPDATE pg_constraint SET convalidated = true WHERE conname = 'none'")
        try:
            drill = restored(archive, *dump_with_fingerprint(monitor, archive))
        finally:
            connection.execute("DROP TABLE public.letters")

    assert "letters" in drill.refused
    assert CUSTOMER not in drill.refused


def test_a_password_is_on_no_command_line(tmp_path: Path, postgres: Postgres) -> None:
    """Everybody on the machine can read a command line."""
    wrong = postgres.server.dsn("synthetic_dump", "canary-password", "platform")
    _, around = dump_with_fingerprint(postgres.dsn("synthetic_dump"), tmp_path / "dump")

    with pytest.raises(ProgramError, match="password authentication failed") as refused:
        dump(wrong, tmp_path / "other", around)

    assert "canary-password" not in str(refused.value)
    assert not (tmp_path / "service.conf").exists()


def test_the_private_directory_is_gone_afterwards(tmp_path: Path) -> None:
    """An interrupted drill leaves nothing either."""
    run = Run(id="r", stage="daily", directory=tmp_path, reports=tmp_path, owned=None)

    seen: list[int] = []

    def break_in_the_middle() -> None:
        with private(run, "restore") as directory:
            (directory / "dump").write_text("rows")
            seen.append(directory.stat().st_mode & 0o777)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        break_in_the_middle()
    assert seen == [0o700]
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_temporary_directory_is_private_finds_a_place(
    monitor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate's runs have a private temporary directory, which the server's user cannot enter."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    archive = tmp_path / "dump"

    assert restored(archive, *dump_with_fingerprint(monitor, archive)).refused == ""
    assert tmp_path.exists()


def test_tables_on_one_side_only_are_named() -> None:
    """A table that the dump lacks is easily overlooked."""
    one = Contents(1, "7")

    assert Drill({"a": one, "b": one}, {"b": one, "c": one}).differences == [
        "a: is not restored",
        "c: was not there before",
    ]


@pytest.mark.parametrize(("fault", "outcome"), [(None, Outcome.PASSED), ("dump-not-restorable", Outcome.FAILED)])
def test_the_nightly_check(fault: str | None, outcome: Outcome, tmp_path: Path) -> None:
    """A dump that cannot be restored is red the next morning."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/database/test_restore.py", "-q"]
    command += [f"--reports={tmp_path}", *(["--fault", fault] if fault else [])]
    subprocess.run(command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, timeout=120, check=False)

    (check,) = Verdict.read(tmp_path / "verdict.json").checks

    assert check.outcome is outcome, check.reason
    assert ('COPY failed for table "course_reviews"' in check.reason) == (outcome is Outcome.FAILED)
