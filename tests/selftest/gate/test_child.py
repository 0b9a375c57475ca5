"""A pytest run as a child: signals reach it, and no process or file of it remains."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest

from ci.child import Child, ChildTimeoutError
from ci.process import CAUGHT, Interrupted, Signals

STAND_IN = """
import os, subprocess, sys, time
from pathlib import Path
def test_waits():
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    Path("{pids}").write_text(f"{{os.getpid()}} {{child.pid}}")
    child.wait()
"""


class TestChild:
    """Signals reach the run, and nothing of it is left."""

    @pytest.fixture
    def start(self, tmp_path: Path) -> Callable[[], tuple[Child, list[int]]]:
        """Return what starts a run that waits for ever, with a process of its own, and both their ids."""
        pids = tmp_path / "pids"
        (tmp_path / "test_waits.py").write_text(STAND_IN.format(pids=pids))
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        arguments = ["-c", str(tmp_path / "pytest.ini"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]

        def start() -> tuple[Child, list[int]]:
            child = Child([*arguments, str(tmp_path / "test_waits.py")], os.environ, log=tmp_path / "log")
            until = time.monotonic() + 20
            while not (pids.exists() and len(pids.read_text().split()) == 2) and time.monotonic() < until:
                time.sleep(0.02)
            return child, [int(pid) for pid in pids.read_text().split()]

        return start

    def assert_gone(self, pids: list[int]) -> None:
        """Wait until no process of these is alive; a zombie that only its new parent can reap is not alive."""
        until = time.monotonic() + 10
        while any(_alive(pid) for pid in pids) and time.monotonic() < until:
            time.sleep(0.02)
        assert [pid for pid in pids if _alive(pid)] == []

    def test_too_long(self, start: Callable[[], tuple[Child, list[int]]]) -> None:
        """A hung run does not hang the gate."""
        child, pids = start()

        with pytest.raises(ChildTimeoutError, match=r"longer than 0\.1 s"):
            child.wait(0.1)
        self.assert_gone(pids)

    @pytest.mark.parametrize("number", CAUGHT)
    def test_a_signal_is_passed_on(self, start: Callable[[], tuple[Child, list[int]]], number: signal.Signals) -> None:
        """Ctrl-C and SIGTERM end the run, then the gate."""
        child, pids = start()
        timer = Timer(0.1, os.kill, (os.getpid(), number))
        with Signals().caught():
            timer.start()
            with pytest.raises(Interrupted, match=number.name):
                child.wait(30)
        timer.join()
        self.assert_gone(pids)

    def test_a_worker_that_was_killed_leaves_nothing(self, start: Callable[[], tuple[Child, list[int]]]) -> None:
        """The children of a worker are in the same process group, and end with it."""
        child, pids = start()
        os.kill(child.pid, signal.SIGKILL)

        assert child.wait(30) == -signal.SIGKILL
        self.assert_gone(pids)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", CAUGHT)
def test_a_rollback_is_not_stopped_half_way(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate prints a line about the signal, ignores it, and ends after it has carried out the decision."""
    signals = Signals()
    with signals.caught():
        signals.too_late_for("the rollback")
        os.kill(os.getpid(), number)

    assert f"{number.name} is too late: the rollback is under way" in capsys.readouterr().err


@pytest.mark.parametrize("number", CAUGHT)
def test_the_second_signal_disturbs_no_clean_up(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """An impatient Ctrl-C would otherwise leave a sandbox, a lock or half a report."""
    with Signals().caught():
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)

    assert "is too late: the end of this run is under way" in capsys.readouterr().err


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    """`nohup ci/verify` outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals().caught():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_traceback_of_a_crashed_pytest_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal names the file; a person at 3 a.m. reads no traceback."""
    (tmp_path / "conftest.py").write_text("def pytest_collection_finish():\n    raise RuntimeError('inside')\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    arguments = ["-c", str(tmp_path / "pytest.ini"), "-p", "no:cacheprovider", str(tmp_path)]
    errors = tmp_path / "errors.txt"
    child = Child(arguments, os.environ, errors=errors)

    assert child.wait(60) == pytest.ExitCode.INTERNAL_ERROR
    assert "RuntimeError: inside" in errors.read_text()
    printed = capsys.readouterr().out
    assert printed.count(f"pytest has failed by an error of the suite itself; its traceback: {errors}") == 1
    assert "Traceback" not in printed


@pytest.mark.parametrize("last", ["raise KeyboardInterrupt", "import os; os.abort()"], ids=["interrupted", "crashed"])
def test_the_last_words_of_python_go_there_too(tmp_path: Path, capsys: pytest.CaptureFixture[str], last: str) -> None:
    """A signal that comes before pytest runs ends Python with a traceback, and a library may crash."""
    (tmp_path / "early.py").write_text(f"import faulthandler\nfaulthandler.enable()\n{last}\n")
    errors = tmp_path / "errors.txt"
    child = Child(["-p", "early"], os.environ | {"PYTHONPATH": str(tmp_path)}, errors=errors)

    assert child.wait(60) != pytest.ExitCode.OK
    printed = capsys.readouterr()
    assert "early.py" in errors.read_text()
    assert "early.py" not in printed.out + printed.err
