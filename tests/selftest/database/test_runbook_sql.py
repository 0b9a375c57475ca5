"""The runbook's SQL: a statement that no longer runs is red, and no other one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.model.verdict import Outcome, Verdict
from tests.selftest.conftest import ROOT, environment_of_a_run


def judged(folder: Path, *arguments: str) -> dict[str, Outcome]:
    """Return statement, or test, -> outcome of one run."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/database/test_runbook_sql.py", "-q"]
    command += [f"--reports={folder}", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, timeout=60, check=False)
    checks = Verdict.read(folder / "verdict.json").checks
    return {re.split(r"\[|::", check.node_id)[-1].removesuffix("]"): check.outcome for check in checks}


@pytest.mark.parametrize(
    ("fault", "red"),
    [("column-renamed", "test_support_can_look_a_customer_up"), ("extension-dropped", "slow queries")],
)
def test_only_the_statement_that_no_longer_runs_is_red(fault: str, red: str, tmp_path: Path) -> None:
    """One renamed column must not read as five broken queries."""
    outcomes = judged(tmp_path, "--fault", fault)

    assert outcomes.pop(red) is Outcome.FAILED
    assert set(outcomes.values()) == {Outcome.PASSED}
    assert len(outcomes) == 4
