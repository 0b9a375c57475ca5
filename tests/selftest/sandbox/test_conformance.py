"""The healthy sandbox answers as the contract says, so the checks are tried on the answers of the owners' site."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fixtures.target.sandbox_handle import SANDBOX_VARIABLE
from fixtures.target.sandbox_process import HANDLE, start_process

ROOT = Path(__file__).parents[3]
LIMIT_S = 150


def test_the_sandbox_departs_from_the_contract_nowhere(tmp_path: Path) -> None:
    """A departure belongs into the contract, or into the sandbox; nobody sees one that only the doctor prints."""
    with start_process(tmp_path / "sandbox", stage="postdeploy", fault=None):
        done = subprocess.run(
            [sys.executable, "ci/verify", "doctor", "sandbox", "--contract"],
            cwd=ROOT,
            env=os.environ | {SANDBOX_VARIABLE: str(tmp_path / "sandbox" / HANDLE)},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    assert done.stdout.splitlines()[1:] == [], done.stdout
    assert "; 0 departures" in done.stderr
    assert [line for line in done.stderr.splitlines() if "the target shows no" in line or "no session" in line] == []
