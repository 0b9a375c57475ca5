"""`ci/verify snapshot`, with and without `--compare`, on a real server: what is kept, what is said, how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from ci import snapshot
from ci.options import Options
from fixtures.database.difference import DOCUMENT
from fixtures.database.snapshot import Snapshot
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import Outcome, Severity, Verdict
from fixtures.sandbox.database.postgres import Postgres
from fixtures.state.state import StateError, open_state
from fixtures.target.target import Target

CALLS = 60
Command = Callable[..., int]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend a server with a table that is quick with its index only."""
    settings = {"shared_buffers": "128MB"}
    with Postgres.start(tmp_path_factory.mktemp("postgres"), settings=settings) as started:
        with psycopg.connect(started.superuser_dsn, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE public.orders AS SELECT n AS id, n AS buyer FROM generate_series(1, 3e5) n"
            )
            connection.execute("ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY")
            connection.execute("GRANT SELECT ON public.orders TO platform_app")
            connection.execute("CREATE POLICY everyone ON public.orders FOR SELECT USING (true)")
            connection.execute("CREATE INDEX orders_buyer_idx ON public.orders (buyer)")
            connection.execute("ANALYZE public.orders")
        yield started


@pytest.fixture
def target(postgres: Postgres) -> Target:
    """Return a production with nothing but this database."""
    dsn = postgres.dsn("synthetic_monitor")
    return Target("elsewhere", "https://x.test", "shadow", frozenset({"database"}), database_dsn=dsn)


@pytest.fixture
def command(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return `ci/verify snapshot` for that target; words of the target may be replaced."""

    def run(*, compare: bool = False, **instead: Any) -> int:  # noqa: ANN401  (words of a Target)
        monkeypatch.setattr(snapshot, "load", lambda _name, **_: replace(target, **instead))
        return snapshot.run(
            Options(command="snapshot", target="elsewhere", state=tmp_path / "state", reports=tmp_path, compare=compare)
        )

    return run


def visit(postgres: Postgres) -> None:
    """Run the same statement as the application does, often enough to be judged."""
    with psycopg.connect(postgres.dsn("platform_app"), autocommit=True, prepare_threshold=None) as connection:
        for buyer in range(CALLS):
            connection.execute("SELECT id FROM public.orders WHERE buyer = %s", (buyer,))


def judged(folder: Path) -> dict[str, Outcome]:
    """Return the outcomes of the comparison by name."""
    checks = Verdict.read(folder / "compare" / "verdict.json").checks
    return {check.title: check.outcome for check in checks}


def test_a_lost_index_is_found_half_an_hour_later(
    command: Command, postgres: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: snapshot, a migration that drops an index, traffic, judgement."""
    visit(postgres)
    assert command() == 0
    assert "before-snapshot of elsewhere, taken in" in capsys.readouterr().out
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("DROP INDEX public.orders_buyer_idx")
        visit(postgres)
        code = command(compare=True)
        connection.execute("CREATE INDEX orders_buyer_idx ON public.orders (buyer)")

    verdict = Verdict.read(tmp_path / "compare" / "verdict.json")
    red = {check.title: check.severity for check in verdict.checks if check.outcome is Outcome.FAILED}
    decision = msgspec.json.decode((tmp_path / "compare" / "decision.json").read_bytes())
    assert (code, red) == (4, {"statement slowdown": Severity.P1})
    assert (decision["decision"], decision["exit_code"]) == ("incident", 4)
    assert "FROM public.orders WHERE buyer = $1" in decision["red"][0]["evidence"] + capsys.readouterr().out
    summary = (tmp_path / "compare" / "summary.md").read_text()
    assert "(database-difference.html)" in summary
    assert "statement slowdown" in (tmp_path / "compare" / "database-difference.html").read_text()


def test_a_release_that_changed_nothing_is_kept(command: Command, postgres: Postgres, tmp_path: Path) -> None:
    """With the same traffic nothing is red, and every promised number was measured."""
    visit(postgres)
    command()
    visit(postgres)

    assert command(compare=True) == 0
    assert {name for name, outcome in judged(tmp_path).items() if outcome is not Outcome.PASSED} <= {
        "cache misses",
        "rolled back",
    }


def test_a_milder_difference_is_an_alert(command: Command, postgres: Postgres, tmp_path: Path) -> None:
    """Access that changed is no reason to wake anybody."""
    visit(postgres)
    command()
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE POLICY preview ON public.review_helpfulness FOR SELECT TO anon USING (true)")
        visit(postgres)
        code = command(compare=True)
        connection.execute("DROP POLICY preview ON public.review_helpfulness")

    assert (code, judged(tmp_path)["changed access"]) == (0, Outcome.FAILED)


def test_counters_that_were_reset_are_cannot_tell(command: Command, postgres: Postgres, tmp_path: Path) -> None:
    """A difference across a reset of the counters measures nothing; exit 0 would claim that it does."""
    visit(postgres)
    command()
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("SELECT extensions.pg_stat_statements_reset()")

    assert command(compare=True) == 3
    assert judged(tmp_path)["statements"] is Outcome.NOT_MEASURED


def test_without_a_snapshot_nothing_is_compared(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot cannot be taken afterwards."""
    assert command(compare=True) == 3
    assert "run `ci/verify snapshot` ahead of the migrations" in capsys.readouterr().out


def test_why_it_cannot_be_taken_is_named(
    command: Command, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3 with the reason, and never the password."""
    dsn = postgres.dsn("synthetic_monitor", "hunter2-wrong")

    assert command(database_dsn=dsn) == 3
    said = capsys.readouterr()
    assert "snapshot of elsewhere: cannot connect: wrong DSN" in said.err
    assert "hunter2" not in said.err + said.out


def test_a_role_that_sees_no_statements_is_told(
    command: Command, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    """PostgreSQL hides them without an error; an empty list would compare well with everything."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        visit(postgres)
        connection.execute("REVOKE pg_monitor FROM synthetic_monitor")
        code = command()
        connection.execute("GRANT pg_monitor TO synthetic_monitor")

    assert code == 3
    assert "not seen: pg_stat_statements: statements of other roles are hidden" in capsys.readouterr().out


def test_a_torn_snapshot_is_named_and_not_guessed(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lost state would read as "nothing changed"."""
    state = open_state(tmp_path / "state", "elsewhere")
    (state.path / "before-snapshot.json").write_text('{"schema": "7p-ver')

    assert command(compare=True) == 3
    assert "state before-snapshot.json in" in capsys.readouterr().out
    with pytest.raises(StateError, match="look at it, then move it away"):
        state.document(DOCUMENT, Snapshot)


def test_off_means_off(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that is switched off is not asked, and the output says so."""
    assert command(mode="off", database_dsn="postgresql://nowhere.test/x") == 0
    assert "no snapshot was taken or compared" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        ({"name": "sandbox", "url": "sandbox"}, "prints its SYNTHETIC_SANDBOX"),
        ({"capabilities": frozenset()}, "it has no database"),
    ],
)
def test_a_target_without_a_database_is_wrong_usage(command: Command, instead: dict[str, Any], says: str) -> None:
    """Wrong usage is one line that says what to do; exit 2."""
    with pytest.raises(UsageError, match=says):
        command(**instead)
