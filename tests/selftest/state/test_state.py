"""What outlives a run, and what becomes of it when it is torn, lost or wanted by two."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.state.state import (
    Good,
    Incident,
    RollbackRecord,
    ShadowEntry,
    State,
    StateBusyError,
    StateError,
    open_state,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Return an empty state."""
    return open_state(tmp_path, "sandbox")


def good(deployment_id: str, run_id: str = "1") -> Good:
    """Return a ledger entry."""
    return Good(deployment_id=deployment_id, run_id=run_id, recorded_at=1, passed=["t::test_x"])


def record(run_id: str, step: str = "intended") -> RollbackRecord:
    """Return a rollback."""
    new = RollbackRecord(run_id=run_id, deployment_id="dpl_b", target_id="dpl_a", reason="P0", intended_at=1)
    new.step = step  # type: ignore[assignment]
    return new


class TestLedger:
    """The last good deployment."""

    def test_empty(self, state: State) -> None:
        """The first run has none."""
        assert state.last_good() is None

    def test_newest_first_and_not_the_one_in_question(self, state: State) -> None:
        """A deployment that is let stand again moves to the top."""
        for deployment in ("dpl_a", "dpl_b", "dpl_a"):
            state.record_good(good(deployment))

        newest, before = state.last_good(), state.last_good(other_than="dpl_a")

        assert newest == good("dpl_a")
        assert before == good("dpl_b")
        assert state.last_good(other_than="dpl_b") == good("dpl_a")

    def test_a_torn_ledger_is_named_and_not_taken_for_an_empty_one(self, state: State) -> None:
        """An empty one would roll back to anything."""
        (state.path / "last-good.json").write_text('[{"deploy')

        with pytest.raises(StateError, match=r"last-good\.json"):
            state.last_good()

    def test_a_torn_ledger_is_put_aside_by_the_next_good(self, state: State) -> None:
        """The suite heals by being green; the file is kept for a person to look at."""
        (state.path / "last-good.json").write_text("[1]")

        state.record_good(good("dpl_a"))

        assert state.last_good() == good("dpl_a")
        assert [path.read_text() for path in state.path.glob("last-good.json.unreadable-*")] == ["[1]"]


class TestRollbacks:
    """What was tried."""

    def test_a_later_step_replaces_an_earlier_one(self, state: State) -> None:
        """One entry a run, newest last."""
        state.record_rollback(record("1", "healed"))
        state.record_rollback(record("2"))
        state.record_rollback(record("2", "requested"))

        assert [(entry.run_id, entry.step) for entry in state.rollbacks()] == [("1", "healed"), ("2", "requested")]

    def test_an_unknown_step_is_not_guessed(self, state: State) -> None:
        """A newer version may have written it."""
        state.record_rollback(record("1", "sideways"))

        with pytest.raises(StateError, match="sideways"):
            state.rollbacks()


def test_incidents_and_shadow_log(state: State) -> None:
    """Both come back as they went."""
    incident = Incident(check="t", cause="existing", severity="P1", title="t", run_id="1", opened_at=1)
    state.replace_incidents([incident])
    entry = ShadowEntry(run_id="1", recorded_at=1, deployment_id=None, decision="keep", exit_code=0)
    state.record_shadow(entry)
    state.record_shadow(entry)

    assert state.incidents() == [incident]
    assert (state.path / "shadow.json").read_bytes().count(b'"run_id"') == 2


def test_nobody_else_can_read_it(state: State) -> None:
    """It names incidents and deployments."""
    state.record_good(good("dpl_a"))

    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((state.path / "last-good.json").stat().st_mode) == 0o600


def test_every_target_has_its_own(tmp_path: Path) -> None:
    """A URL makes a directory name too, and no path out of the root."""
    names = ["production", "https://a.test:8443", "https://b.test", "../../etc"]
    paths = [open_state(tmp_path, name).path for name in names]

    assert len(set(paths)) == 4
    assert {path.parent for path in paths} == {tmp_path}


HOLDER = """
import sys
from pathlib import Path
from fixtures.state.state import State
with State(Path(sys.argv[1])).lock("rollback", wait=1):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_dies_with_the_process_that_held_it(state: State) -> None:
    """Two gates never move production at once, and a killed one does not block the next."""
    command = [sys.executable, "-c", HOLDER, str(state.path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateBusyError, match="rollback"), state.lock("rollback", wait=0.1):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()

        with state.lock("rollback", wait=5):
            assert state.rollbacks() == []
