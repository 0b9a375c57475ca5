"""The rehearsal of migrations on a copy, and the reading of the platform's repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.checks.evidence import NotMeasured
from fixtures.migrations import rehearsal
from fixtures.migrations.rehearsal import Rehearsal, read_repo, rehearse, statements_of
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import CheckResult, Outcome, Verdict
from fixtures.sandbox import sandbox
from fixtures.sandbox.database.postgres import Postgres
from fixtures.sandbox.faults import CATALOGUE
from fixtures.target.target import PLATFORM_REPO_VARIABLE, load
from tests.selftest.conftest import ROOT, environment_of_a_run

PLATFORM = Path(sandbox.__file__).with_name("platform")
# Its check is one of the schema's.
BY_HAND = "migration-by-hand"
NEXT = "20990101000000_next.sql"
OTHER = "20990102000000_other.sql"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start one server for all tests here; none writes to it."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


class Repo:
    """A checkout of the platform with the sandbox's migrations; tests add their own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for kind in ("migrations", "rollbacks"):
            (path / "supabase" / kind).mkdir(parents=True)
            for file in (PLATFORM / "supabase" / kind).glob("*.sql"):
                (path / "supabase" / kind / file.name).write_bytes(file.read_bytes())

    def add(self, name: str, up: str, down: str | None) -> None:
        """Write a migration and the script that undoes it."""
        (self.path / "supabase" / "migrations" / name).write_text(up)
        if down is not None:
            (self.path / "supabase" / "rollbacks" / name).write_text(down)

    def rehearse(self, postgres: Postgres) -> Rehearsal:
        """Rehearse with the copying role, which may change nothing."""
        directory = self.path / "private"
        directory.mkdir()
        return rehearse(postgres.dsn("synthetic_dump"), read_repo(self.path), directory)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """Return a checkout."""
    return Repo(tmp_path)


def test_up_down_up(repo: Repo, postgres: Postgres) -> None:
    """Two pending migrations and the newest applied one are undone and applied again."""
    repo.add(NEXT, "CREATE TABLE public.coupons (code text PRIMARY KEY);", "DROP TABLE public.coupons;")
    repo.add(OTHER, "ALTER TABLE public.coupons ADD percent int;", "ALTER TABLE public.coupons DROP percent;")

    assert repo.rehearse(postgres) == Rehearsal(rehearsed=3)


def test_a_migration_that_does_not_apply_is_named_with_its_error(repo: Repo, postgres: Postgres) -> None:
    """The error must be found before production."""
    repo.add(NEXT, "ALTER TABLE public.nothing ADD n int;", "SELECT 1;")
    repo.add(OTHER, "SELECT 1;", "SELECT 1;")

    found = repo.rehearse(postgres)

    assert found.refused == [f'migrations/{NEXT}: relation "public.nothing" does not exist']
    assert found.astray == []


@pytest.mark.parametrize(
    ("down", "told"),
    [
        ("SELECT 1;", f"rollbacks/{NEXT}: +CREATE TABLE public.coupons ("),
        ("DROP TABLE public.coupon;", f'rollbacks/{NEXT}: table "coupon" does not exist'),
        ("DROP TABLE public.coupons; DROP INDEX public.users_email_key;", "-CREATE UNIQUE INDEX users_email_key"),
    ],
)
def test_a_script_that_does_not_lead_back_is_named_with_the_difference(
    repo: Repo, postgres: Postgres, down: str, told: str
) -> None:
    """A script that undoes too little or too much leaves an untested schema."""
    repo.add(NEXT, "CREATE TABLE public.coupons (code text);", down)

    (line,) = repo.rehearse(postgres).astray

    assert told in line


def test_a_migration_that_works_only_once_is_seen(repo: Repo, postgres: Postgres) -> None:
    """After a rollback the migration must be applied again."""
    repo.add(NEXT, "CREATE TABLE public.coupons (n int); CREATE ROLE once;", "DROP TABLE public.coupons;")

    assert repo.rehearse(postgres).astray == [f'migrations/{NEXT}: role "once" already exists']


def test_what_runs_in_no_transaction_is_rehearsed_as_it_is_applied(repo: Repo, postgres: Postgres) -> None:
    """Supabase's CLI applies such a statement by itself, and the linter asks for it."""
    repo.add(
        NEXT,
        "SET lock_timeout = '1s'; -- a; comment\nCREATE INDEX CONCURRENTLY by_age ON public.users (created_at);",
        "SET lock_timeout = '1s'; DROP INDEX CONCURRENTLY public.by_age;",
    )

    assert repo.rehearse(postgres) == Rehearsal(rehearsed=2)


def test_a_migration_that_never_ends_is_not_measured(
    repo: Repo, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop must not hold the gate, and it may end on production."""
    monkeypatch.setattr(rehearsal, "_STATEMENT_SECONDS", 1)
    repo.add(NEXT, "DO $$ BEGIN LOOP END LOOP; END $$;", "SELECT 1;")

    with pytest.raises(NotMeasured, match=f"migrations/{NEXT}: a statement did not end within 1 s"):
        repo.rehearse(postgres)


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1;", "SELECT 2"]),
        ("SELECT ';', \"a;b\"; -- c; d\nSELECT 2;", ["SELECT ';', \"a;b\";", "-- c; d\nSELECT 2;"]),
        ("SELECT E'it\\'s;'; /* e; f */ SELECT 2;", ["SELECT E'it\\'s;';", "/* e; f */ SELECT 2;"]),
        ("DO $x$ BEGIN; END $x$; SELECT 2;", ["DO $x$ BEGIN; END $x$;", "SELECT 2;"]),
        ("SELECT 'it''s;';", ["SELECT 'it''s;';"]),
        (" \n", []),
    ],
)
def test_a_script_is_split_where_its_statements_end(script: str, statements: list[str]) -> None:
    """Half a statement would be an error."""
    assert statements_of(script) == statements


def test_a_pending_migration_without_a_way_back_is_named(repo: Repo, postgres: Postgres) -> None:
    """Older migrations are not asked for: a rollback would not undo them."""
    repo.add(NEXT, "CREATE TABLE public.coupons (n int);", None)

    found = repo.rehearse(postgres)

    assert found.unscripted == [NEXT]
    assert (found.refused, found.astray) == ([], [])


@pytest.mark.parametrize(("name", "told"), [("init.sql", "init.sql is not"), (None, "there are none")])
def test_what_is_no_list_of_migrations_is_not_measured(tmp_path: Path, name: str | None, told: str) -> None:
    """An empty folder would agree with an empty table."""
    (tmp_path / "supabase" / "migrations").mkdir(parents=True)
    if name:
        (tmp_path / "supabase" / "migrations" / name).write_text("SELECT 1;")

    with pytest.raises(NotMeasured, match=told):
        read_repo(tmp_path)


def test_a_script_that_is_no_text_is_not_measured(repo: Repo) -> None:
    """The message names the file."""
    repo.add(NEXT, "", None)
    (repo.path / "supabase" / "migrations" / NEXT).write_bytes(b"SELECT '\xff';")
    script = read_repo(repo.path)[-1]

    with pytest.raises(NotMeasured, match=f"migrations/{NEXT}: not UTF-8"):
        assert script.written


def test_a_path_that_is_no_checkout_is_wrong_usage(tmp_path: Path) -> None:
    """The message names the flag, and nothing has run yet."""
    with pytest.raises(UsageError, match="--platform-repo"):
        load("sandbox", environ={PLATFORM_REPO_VARIABLE: str(tmp_path)}, handle=None)


def judged(folder: Path, stage: str, *arguments: str) -> dict[str, CheckResult]:
    """Return the checks of migrations from one run, by function name."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/database/test_migrations.py", "-q"]
    command += [f"--reports={folder}", "-m", stage, *arguments]
    subprocess.run(command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, timeout=120, check=False)
    checks = Verdict.read(folder / "verdict.json").checks
    return {check.node_id.rpartition("::")[2]: check for check in checks}


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name.startswith("migration-") and name != BY_HAND])
def test_a_fault_is_seen_by_its_own_check(name: str, tmp_path: Path) -> None:
    """A check must be red for its own fault and for no other."""
    fault = CATALOGUE[name]

    checks = judged(tmp_path, fault.stage, "--fault", name)

    red = [check.node_id for check in checks.values() if check.outcome is Outcome.FAILED]
    assert red == [checks[fault.must[0]].node_id]


def test_before_a_deployment_its_migrations_may_be_missing(tmp_path: Path) -> None:
    """They are applied with the deployment."""
    checks = judged(tmp_path, "predeploy", "--fault", "migration-missing")

    assert {check.outcome for check in checks.values()} == {Outcome.PASSED}


def test_the_repository_that_is_given_is_the_one_that_is_read(repo: Repo) -> None:
    """The option reaches every process of the run."""
    repo.add(NEXT, "CREATE TABLE public.coupons (n int);", "DROP TABLE public.coupons;")

    checks = judged(repo.path / "reports", "postdeploy", f"--platform-repo={repo.path}")

    (check,) = checks.values()
    assert check.outcome is Outcome.FAILED
    assert "20990101000000" in check.reason
