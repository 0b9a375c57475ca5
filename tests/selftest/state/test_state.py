"""The state of a target: it outlives a run, a torn file, a full disk, and two gates at once."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fixtures.model.toml_tables import UsageError
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
    """The ledger of good deployments."""

    def test_empty(self, state: State) -> None:
        """The first run has none."""
        assert state.last_good() is None

    def test_newest_first_and_not_the_one_in_question(self, state: State) -> None:
        """A deployment that is kept again moves to the top."""
        for deployment in ("dpl_a", "dpl_b", "dpl_a"):
            state.record_good(good(deployment))

        newest, before = state.last_good(), state.last_good(other_than="dpl_a")

        assert newest == good("dpl_a")
        assert before == good("dpl_b")
        assert state.last_good(other_than="dpl_b") == good("dpl_a")

    def test_a_torn_ledger_is_put_aside_by_the_next_good(self, state: State) -> None:
        """A green run replaces it; the file is kept for a person to look at."""
        (state.path / "last-good.json").write_text("[1]")

        state.record_good(good("dpl_a"))

        assert state.last_good() == good("dpl_a")
        assert [path.read_text() for path in state.path.glob("last-good.json.unreadable-*")] == ["[1]"]


class TestRollbacks:
    """The record of rollbacks."""

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
    """Reading returns the entries that were written."""
    incident = Incident(check="t", cause="existing", severity="P1", title="t", run_id="1", opened_at=1)
    state.replace_incidents([incident])
    entry = ShadowEntry(run_id="1", recorded_at=1, deployment_id=None, decision="keep", exit_code=0)
    state.record_shadow(entry)
    state.record_shadow(entry)

    assert state.incidents() == [incident]
    assert (state.path / "shadow.json").read_bytes().count(b'"run_id"') == 2


def test_nobody_else_can_read_it(state: State) -> None:
    """The state names incidents and deployments."""
    state.record_good(good("dpl_a"))

    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((state.path / "last-good.json").stat().st_mode) == 0o600


def test_every_target_has_its_own(tmp_path: Path) -> None:
    """A URL makes a directory name too, and no path out of the root."""
    names = ["production", "https://a.test:8443", "https://b.test", "../../etc", f"https://{'a.' * 120}test:8443"]
    paths = [open_state(tmp_path, name).path for name in names]

    assert len(set(paths)) == 5
    assert {path.parent for path in paths} == {tmp_path}


NEWER = b'[{"deployment_id": "a", "run_id": "1", "recorded_at": 1, "word_of_the_next_version": 1}]'


def _grow(path: Path) -> None:
    """Write a file with a huge size that takes no room."""
    path.touch()
    os.truncate(path, 2**40)


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "torn": lambda path: path.write_text('[{"deploy'),
    "empty": lambda path: path.write_bytes(b""),
    "of another type": lambda path: path.write_text('{"a": 1}'),
    "not UTF-8": lambda path: path.write_bytes(b'["\xff"]'),
    "nested too deeply": lambda path: path.write_bytes(b"[" * 100_000),
    "of a newer version": lambda path: path.write_bytes(NEWER),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "a directory": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path, 0o600),
    "a loop of links": lambda path: path.symlink_to(path),
    "huge": _grow,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_document_that_cannot_be_read_stops_nothing_else(state: State, name: str) -> None:
    """A torn ledger must not stop the judging of an outage; the file is kept for a person to look at."""
    state.record_rollback(record("1"))
    UNREADABLE[name](state.path / "last-good.json")

    with pytest.raises(StateError, match=r"^state last-good\.json in .* cannot be read \(.*then move it away$") as told:
        state.last_good()
    assert str(told.value).isprintable()
    assert [entry.run_id for entry in state.rollbacks()] == ["1"]

    aside = state.put_aside("last-good.json")

    assert state.last_good() is None
    assert aside.name.startswith("last-good.json.unreadable-")
    assert os.path.lexists(aside)


@given(
    st.binary() | st.recursive(st.none() | st.text() | st.floats() | st.integers(), st.lists).map(repr).map(str.encode)
)
@example(b'[{"run_id": "1", "deployment_id": "a", "target_id": "b", "reason": "", "intended_at": 1e400}]')
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_is_a_document_or_a_state_error(state: State, content: bytes) -> None:
    """Every reader catches this one error."""
    readers: dict[str, Callable[[], object]] = {
        "last-good": state.last_good,
        "rollbacks": state.rollbacks,
        "incidents": state.incidents,
        "own": lambda: state.document("own", Good),
    }
    for name, reader in readers.items():
        (state.path / f"{name}.json").write_bytes(content)
        with suppress(StateError):
            reader()


@contextmanager
def files_end_after(most: int) -> Iterator[None]:
    """Limit the size of every file of this process, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_old_content(state: State) -> None:
    """The error names the reason; half a ledger would be useless."""
    state.record_good(good("dpl_a"))
    with (
        files_end_after(8),
        pytest.raises(StateError, match=r"last-good\.json in .* cannot be written \(File too large\); look at the"),
    ):
        state.record_good(good("dpl_b"))

    assert state.last_good() == good("dpl_a")
    assert [path.name for path in state.path.iterdir()] == ["last-good.json"]


def test_a_place_that_cannot_be_written_to_is_wrong_usage(tmp_path: Path) -> None:
    """One line names the option that names another place."""
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match=r"^--state .*/file: Not a directory; name a directory that can be made"):
        open_state(tmp_path / "file", "production")


HOLDER = """
import sys
from pathlib import Path
from fixtures.state.state import State
with State(Path(sys.argv[1])).lock("rollback", wait=1):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_dies_with_the_process_that_held_it(state: State) -> None:
    """Two gates never roll back at once, and a killed one does not block the next."""
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
