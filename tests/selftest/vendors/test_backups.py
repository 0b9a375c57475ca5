"""Every fault of backups turns its own check red, and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.model.verdict import CheckResult, Outcome, Verdict
from fixtures.sandbox.faults import CATALOGUE
from fixtures.sandbox.faults.database import backups
from fixtures.sandbox.faults.fault import Fault
from fixtures.sandbox.faults.red_set import is_named
from tests.selftest.conftest import ROOT, environment_of_a_run

FAULTS = [fault.name for fault in vars(backups).values() if isinstance(fault, Fault)]

_ENDED = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}


def judged(folder: Path, *arguments: str) -> list[CheckResult]:
    """Return the checks of backups from one run."""
    modules = ("tests/database/test_backups.py", "tests/database/test_restore.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *modules, "-q", f"--reports={folder}"]
    command += arguments
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in _ENDED, done.stdout + done.stderr
    return Verdict.read(folder / "verdict.json").checks


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen_by_its_own_check(name: str, tmp_path: Path) -> None:
    """A check must be red for its own fault and for no other."""
    checks = judged(tmp_path, "--fault", name)

    red = [check for check in checks if check.outcome is Outcome.FAILED]
    (must,) = CATALOGUE[name].must
    assert [is_named(must, check.node_id) for check in red] == [True]


def test_a_target_without_the_capability_is_not_asked(tmp_path: Path) -> None:
    """The checks do not apply there."""
    checks = judged(tmp_path, "--target", "http://127.0.0.1:1")

    assert {check.outcome for check in checks} == {Outcome.NOT_APPLICABLE}
