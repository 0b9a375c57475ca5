"""A run that is ended from outside leaves no process, no private file, and a verdict that says how far it came."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.model.verdict import Outcome
from fixtures.state.state import open_state
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE
from tests.selftest.gate.running_gate import Ran, RunningPlatform, run_platform
from tests.selftest.processes import family, survivors, wait_for_member, wait_until

BROWSER = "--remote-debugging-pipe"
PYTEST = "-m pytest -m postdeploy"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Return an empty directory for the temporary files of a run; PostgreSQL's own user may pass through it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@pytest.fixture
def platform(tmp_path: Path, temporary: Path) -> Iterator[RunningPlatform]:
    """Return a healthy platform that outlives the gate."""
    with run_platform(tmp_path) as platform:
        platform.environment["TMPDIR"] = str(temporary)
        yield platform


@pytest.fixture
def alone(platform: RunningPlatform) -> RunningPlatform:
    """Return a platform whose runs start a sandbox of their own."""
    del platform.environment[SANDBOX_VARIABLE]
    return platform


def left_in(temporary: Path) -> list[str]:
    """Return the files of the suite's processes there; pytest keeps those of its last runs in one directory."""
    return sorted(path.name for path in temporary.iterdir() if not path.name.startswith("pytest-of-"))


def pytest_of(gate: int) -> int:
    """Return the process id of the gate's pytest run."""
    (found,) = [process.pid for process in family(gate) if PYTEST in process.command and process.parent == gate]
    return found


def passed(ran: Ran) -> list[str]:
    """Return the checks that passed before the end."""
    return [node_id for node_id, outcome in ran.outcomes.items() if outcome is Outcome.PASSED]


class TestSignals:
    """Somebody wants it to end."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
    def test_nothing_is_left_but_the_verdict(
        self, alone: RunningPlatform, temporary: Path, number: signal.Signals
    ) -> None:
        """Ctrl-C reaches the whole process group; the platform, the browser and the database go as well."""
        gate = alone.start()
        processes = wait_for_member(gate.pid, BROWSER)
        os.killpg(gate.pid, number)
        ran = alone.end(gate)

        assert ran.decided == ("hold", 3), ran.out
        assert number.name in ran.decision["reasons"][0]
        # The run may have ended by itself just before the signal; a verdict is complete only when every check ran.
        assert ran.verdict.complete is all(
            check.attempts for check in ran.verdict.checks if check.reason == "did not run"
        )
        assert passed(ran)
        assert survivors(processes) == []
        assert left_in(temporary) == []


class TestKilled:
    """The process is killed with -9."""

    def test_the_run_under_the_gate(self, platform: RunningPlatform, temporary: Path) -> None:
        """The gate cannot tell, and the run after it removes what this one had written."""
        before = platform.row_counts()
        gate = platform.start()
        wait_until((platform.reports / "leftovers.json").exists, "the enrolment")
        processes = family(gate.pid)
        os.kill(pytest_of(gate.pid), signal.SIGKILL)
        ran = platform.end(gate)

        assert ran.decided == ("hold", 3), ran.out
        assert not ran.verdict.complete
        assert survivors(processes) == []
        assert left_in(temporary) == []

        # The platform allows five sign-ins in fifteen minutes, and the first run has used three.
        again = platform.verify("--", "-k", "test_free_enrolment")

        # One check proves nothing of a deployment.
        assert again.decided == ("hold", 3), again.out
        assert platform.row_counts() == before

    def test_a_worker(self, platform: RunningPlatform, temporary: Path) -> None:
        """Its check and those that wait for the answers of all are not measured; all others are."""
        gate = platform.start("-n", "2")
        processes = wait_for_member(gate.pid, BROWSER)
        controller = pytest_of(gate.pid)
        driver = next(process for process in processes if "run-driver" in process.command)
        assert driver.parent != controller
        os.kill(driver.parent, signal.SIGKILL)
        ran = platform.end(gate)

        lost = {name: outcome for name, outcome in ran.outcomes.items() if outcome is not Outcome.PASSED}
        assert set(lost.values()) == {Outcome.NOT_MEASURED}, ran.out
        assert [check.reason for check in ran.verdict.checks].count("its worker died") == 1, ran.out
        assert ran.verdict.complete
        assert survivors(processes) == []
        assert left_in(temporary) == []

    def test_the_gate(self, alone: RunningPlatform, temporary: Path) -> None:
        """Its run ends with it, and the next one removes its private directory."""
        gate = alone.start()
        processes = wait_for_member(gate.pid, BROWSER)
        gate.kill()
        gate.communicate()

        assert survivors(processes) == []

        ran = alone.verify("--", "-k", "nothing_at_all")

        assert ran.code == 3
        assert left_in(temporary) == []


class TestRollback:
    """The gate ends in the middle of a rollback."""

    def test_a_signal_comes_too_late(self, tmp_path: Path) -> None:
        """An unfinished rollback is worse than a rollback that takes a minute."""
        with run_platform(tmp_path, fault="pages-500") as platform:
            platform.turn(job_seconds=2.0)
            gate = platform.start()
            wait_until(lambda: bool(platform.moves), "the rollback")
            os.killpg(gate.pid, signal.SIGINT)
            ran = platform.end(gate)

            assert ran.decided == ("rollback", 1), ran.out
            assert "SIGINT is too late" in ran.err
            assert platform.state["production"] == platform.handle.previous_id
            assert ran.decision["rollback"]["step"] == "healed"

    def test_the_gate_is_killed(self, tmp_path: Path) -> None:
        """Vercel finishes the rollback; the next gate reports it and does not ask for it again."""
        with run_platform(tmp_path, fault="pages-500") as platform:
            bad, good = platform.handle.candidate_id, platform.handle.previous_id
            platform.turn(job_seconds=1.0)
            gate = platform.start()
            wait_until(lambda: bool(platform.moves), "the rollback")
            gate.kill()
            gate.communicate()
            wait_until(lambda: platform.state["production"] == good, "the end of Vercel's job")

            # The platform's five sign-ins in fifteen minutes are spent.
            ran = platform.verify("--", "-k", "test_health_endpoint")

            assert ran.decided == ("hold", 3), ran.out
            assert platform.moves == [(bad, good)]
            assert "died while it rolled" in ran.err.splitlines()[0]
            assert any("died while it rolled" in note for note in ran.decision["notes"])
            steps = [record.step for record in open_state(tmp_path / "state", "sandbox").rollbacks()]
            assert steps == ["proved"]
            assert [f"{bad} was rolled back to {good}" in line for line in platform.told] == [True]
