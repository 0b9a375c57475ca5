"""Two runs never write into one report folder: a decision would stand beside the verdict of another run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fixtures.model.toml_tables import UsageError
from fixtures.run.directory import ReportFolder
from tests.selftest.conftest import Stub, Suite
from tests.selftest.processes import wait_until

SLOW = """
import time

@post
@P1
@depends_on("GET /slow")
def test_slow(site):
    site.ask("GET /slow")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)
"""


def test_a_second_run_is_refused_at_once(tmp_path: Path) -> None:
    """One line names the folder, the run that writes there, and the option."""
    first = ReportFolder(tmp_path, "run-1")

    with pytest.raises(UsageError, match=rf"{tmp_path}: run run-1 writes there; .*--reports=DIR$"):
        ReportFolder(tmp_path, "run-2")
    first.close()
    ReportFolder(tmp_path, "run-2").close()


def test_the_runs_of_a_gate_share_its_folder(tmp_path: Path) -> None:
    """They have its id; the lock stays with the gate."""
    gate = ReportFolder(tmp_path, "run-1")

    ReportFolder(tmp_path, "run-1").close()

    with pytest.raises(UsageError):
        ReportFolder(tmp_path, "run-2")
    gate.close()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "reports").write_text("", encoding="utf-8")

    with pytest.raises(UsageError, match="--reports=DIR"):
        ReportFolder(tmp_path / "reports", "run-1")


def test_a_directory_in_the_place_of_a_report_is_removed(suite: Suite, stub: Stub) -> None:
    """A report of this run must stand there, whatever stood there before."""
    (suite.reports / "verdict.json" / "decision.json").mkdir(parents=True)
    suite.write("@post\n@P1\ndef test_one():\n    pass\n")

    assert suite.run("-m", "postdeploy", "--target", stub.url).verdict.complete


def test_the_files_of_a_run_stay_its_own(suite: Suite, stub: Stub) -> None:
    """A plain pytest beside another one ends with exit 2 and changes nothing; after kill -9 the folder is free."""
    suite.write(SLOW)
    command = suite.command("-m", "postdeploy", "--target", stub.url)
    with subprocess.Popen(
        command, cwd=suite.folder, env=suite.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_until(lambda: "GET /slow" in [seen for seen, _ in stub.seen], "the slow check")
        before = (suite.reports / "verdict.json").read_bytes()
        second = suite.run("-m", "postdeploy", "--target", stub.url)
        after = (suite.reports / "verdict.json").read_bytes()
        process.kill()

    (line,) = second.err.strip().splitlines()
    assert (second.code, before) == (2, after)
    assert str(suite.reports) in line
    assert "--reports=DIR" in line
    assert (
        suite.run("-m", "postdeploy", "--target", stub.url, "-k", "nothing").code == pytest.ExitCode.NO_TESTS_COLLECTED
    )
