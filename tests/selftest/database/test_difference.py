"""The before-snapshot in a run: its place, when its checks apply, and when it cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from fixtures.checks.evidence import NotMeasured
from fixtures.database import difference
from fixtures.database.difference import DOCUMENT, Difference, take_after
from fixtures.database.snapshot import Snapshot
from fixtures.database.snapshot_change import new_unguarded_tables, objects_void
from fixtures.state.state import open_state
from tests.selftest.conftest import ROOT, environment_of_a_run
from tests.selftest.database.test_snapshot import made_up

HOUR = 3600.0
PRODUCTION = {
    "VERCEL_TOKEN": "token-of-nobody",
    "MONITOR_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "SYNTHETIC_STUDENT_EMAIL": "nobody@x.test",
    "SYNTHETIC_STUDENT_PASSWORD": "of-nobody",
}


def applicable(state: Path) -> tuple[list[str], str]:
    """Return the checks that apply to production, and the header."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/database/test_difference.py"]
    command += ["--list-checks", "--target=production", f"--state={state}"]
    environ = environment_of_a_run() | PRODUCTION
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("P")]
    return [line for line in lines if "the target lacks: before-snapshot" not in line], done.stdout


def test_without_a_snapshot_the_checks_do_not_apply(tmp_path: Path) -> None:
    """Some of these checks are P1 and would hold every deployment without a snapshot."""
    checks, out = applicable(tmp_path)

    assert checks == []
    assert out.count("there is no before-snapshot; `ci/verify snapshot`") == 1


def test_with_a_snapshot_they_all_do(tmp_path: Path) -> None:
    """A snapshot that exists must be read."""
    open_state(tmp_path, "production").keep_document(DOCUMENT, made_up())
    checks, out = applicable(tmp_path)

    assert len(checks) == 14
    assert "there is no before-snapshot" not in out


def test_one_that_is_torn_applies_too(tmp_path: Path) -> None:
    """A torn snapshot is reported; it must not look as if there were none."""
    state = open_state(tmp_path, "production")
    (state.path / "before-snapshot.json").write_text("{")

    assert len(applicable(tmp_path)[0]) == 14


@pytest.mark.parametrize(("hours", "void"), [(23.9, False), (24.5, True)])
def test_an_old_one_says_nothing(hours: float, void: bool) -> None:  # noqa: FBT001  (a parameter of the table)
    """After a day the database shows the changes of many releases."""
    assert bool(objects_void(made_up(), made_up(hours * HOUR))) == void


def test_counters_of_a_server_that_was_restarted_are_not_measured() -> None:
    """A restart does not change objects, so a table without row level security is still found."""
    after = made_up(60.0)
    after.identity = replace(after.identity, server_started="now")
    after.unguarded_tables = ["public.coupons"]
    seen = Difference(made_up(), after)

    assert new_unguarded_tables(*seen) == ["public.coupons"]
    with pytest.raises(NotMeasured, match="the server was restarted in between"):
        seen.counter("deadlocks")
    with pytest.raises(NotMeasured, match="the server was restarted in between"):
        seen.growth()


@pytest.mark.parametrize(("counted", "stands"), [([40, 3, 4], 4), ([40, 41, 3], 40), ([9], 9)])
def test_a_burst_of_connections_is_no_leak(counted: list[int], stands: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serverless functions connect in bursts; the median of three counts is judged."""
    moments = iter(counted)

    def take(_dsn: str, _run_id: str) -> Snapshot:
        return made_up(60.0, numbackends=next(moments))

    monkeypatch.setattr(difference, "take_snapshot", take)
    monkeypatch.setattr("fixtures.database.rows.time.sleep", lambda _seconds: None)

    assert take_after("", "test", made_up()).counters["numbackends"] == stands
