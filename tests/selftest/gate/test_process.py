"""The exit code is the one of the decision: neither a terminal nor a signal nor Python itself can replace it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ci.process import CAUGHT
from fixtures.model import redaction
from tests.selftest.conftest import ROOT, environment_of_a_run

CANNOT_TELL = 3
DECIDED = 4
PRINTS = """
import sys
from ci.process import guard
def main():
    for number in range(2000):
        sys.stdout.write(f"line {number} şıığ …\\n")
        sys.stderr.write(f"line {number} şıığ …\\n")
    return 4
guard(main)
"""


def run(code: str, shell: str = '"$@"', **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code under a line of bash in which `"$@"` stands for it; returns the first command's exit code."""
    return subprocess.run(
        ["/bin/bash", "-c", f"{shell}\nexit ${{PIPESTATUS[0]}}", "bash", sys.executable, "-c", code],
        cwd=ROOT,
        env=environment_of_a_run() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "shell",
    [
        '"$@" | head -1',
        '"$@" 2>&1 | head -1',
        '"$@" >&-',
        '"$@" 2>&-',
        '"$@" >&- 2>&- <&-',
        '"$@" >/dev/full',
        '"$@" >/dev/full 2>/dev/full',
        '"$@" | true',
    ],
)
def test_printing_cannot_undo_a_result(shell: str) -> None:
    """Python would end with 1, which reads as a rejected deployment, or with 120."""
    assert run(PRINTS, shell).returncode == DECIDED


@pytest.mark.parametrize(
    "variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "LANG": "C"}]
)
def test_a_terminal_that_cannot_show_a_letter_loses_the_letter_only(variables: dict[str, str]) -> None:
    """A Turkish course title is no reason to end without a decision."""
    done = run(PRINTS, **variables)

    assert done.returncode == DECIDED
    assert "line 1999" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "body", ["raise RuntimeError('x')", "import nothing_of_this_name", "raise MemoryError", "raise SystemExit('x')"]
)
def test_an_error_before_the_decision_is_cannot_tell(body: str) -> None:
    """One line, exit 3, and the traceback in a file that the line names."""
    done = run(f"from ci.process import guard\ndef main():\n    {body}\nguard(main)")

    assert done.returncode == CANNOT_TELL
    assert "Traceback" not in done.stderr


def test_the_traceback_is_kept_without_its_secrets(tmp_path: Path) -> None:
    """A person needs it, the terminal of a job does not."""
    code = "from ci.process import guard\ndef main():\n    raise RuntimeError('postgresql://m:hunter2secret@h/d')\n"
    done = run(f"{code}guard(main)", TMPDIR=str(tmp_path))
    (file,) = tmp_path.glob("7p-verify-error-*.txt")

    said = f"an error of the suite itself, not of the target: RuntimeError: postgresql://{redaction.SHOWN}@h/d"
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ci/verify: {said} (at ci/process.py:")
    assert line.endswith(f"); its traceback: {file}")
    assert "Traceback" in file.read_text()
    assert "hunter2secret" not in file.read_text()


@pytest.mark.parametrize("number", CAUGHT)
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_before_the_decision_is_one_line_and_exit_3(number: signal.Signals, times: int) -> None:
    """The same for Ctrl-C, for a job that is cancelled and for a terminal that closes."""
    kills = f"os.kill(os.getpid(), {int(number)})"
    code = f"import os\nfrom ci.process import guard\ndef main():\n    try:\n        {kills}\n    finally:\n"
    done = run(f"{code}        {kills if times == 2 else 'pass'}\nguard(main)")
    lines = [line for line in done.stderr.splitlines() if line]

    assert done.returncode == CANNOT_TELL
    assert lines[-1] == f"ci/verify: ended by {number.name} before anything was decided; nothing was changed"
    assert len(lines) == times


def test_a_signal_during_the_hand_over_is_not_lost() -> None:
    """Between ci/verify and its command lies the start of another Python."""
    code = (
        "import os, signal, sys\nfrom ci import process\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, process.CAUGHT)\nos.kill(os.getpid(), signal.SIGTERM)\n"
        "inner = 'from ci.process import guard; guard(lambda: 4)'\n"
        "process.hand_over([sys.executable, '-c', inner], dict(os.environ))"
    )
    done = run(code)

    assert (done.returncode, "ended by SIGTERM" in done.stderr) == (CANNOT_TELL, True)


def test_the_command_itself_survives_a_reader_that_goes() -> None:
    """`ci/verify --list-checks | head -1`, pytest below it included."""
    command = f"{sys.executable} ci/verify --list-checks | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=ROOT, env=environment_of_a_run(), capture_output=True, timeout=60, check=False
    )

    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


def test_a_child_of_a_closed_terminal_still_has_a_verdict_to_write(tmp_path: Path) -> None:
    """Its output goes through the gate, so that nothing of the terminal reaches pytest."""
    (tmp_path / "test_prints.py").write_text("def test_prints():\n    assert True\n")
    path = {"PATH": os.environ["PATH"]}
    code = f"""
import sys
from ci.child import Child
from ci.process import guard
def main():
    child = Child(["-p", "no:cacheprovider", "-c", "/dev/null", "{tmp_path}"], {path!r})
    return child.wait(60) + 4
guard(main)
"""
    assert run(code, '"$@" >&- 2>&-').returncode == DECIDED
    assert "1 passed" in run(code).stdout


@pytest.mark.parametrize(("given", "kept"), [("777", "0o77"), ("022", "0o22")])
def test_a_process_may_read_its_own_files(given: str, kept: str) -> None:
    """With umask 777 every page crashed, and a healthy deployment was an incident."""
    code = (
        "import os\nfrom ci.process import guard\ndef main():\n    print(oct(os.umask(0)))\n    return 0\nguard(main)"
    )

    assert run(code, f'umask {given}; "$@"').stdout == f"{kept}\n"
