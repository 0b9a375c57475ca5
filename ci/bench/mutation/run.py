"""One mutant on its way through the whole path: `ci/verify postdeploy --fault RULE/SUBJECT`, as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ci.bench.mutation.row import End, Row, judge
from fixtures.checks.failure_text import shortened
from fixtures.model.child_environment import child_environment
from fixtures.model.verdict import Decision, Outcome, Severity, Verdict
from fixtures.sandbox.mutants import Mutant

ROOT = Path(__file__).parents[3]
LIMIT_S = 300.0
# Where this machine keeps its programs; every other variable of ours could change the measure.
_KEPT_VARIABLES = ("SYNTHETIC_BROWSER", "SYNTHETIC_POSTGRES", "SYNTHETIC_CACHE")


class _Report(msgspec.Struct):
    """The part of decision.json that the bench needs. seconds: by event; with the causes the decision is known."""

    decision: Decision
    seconds: dict[str, float] = {}


def run(mutant: Mutant, tree: str) -> Row:
    """Run it on a sandbox of its own, and judge the end."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="7p-mutant-", ignore_cleanup_errors=True) as directory:
        reports = Path(directory) / "reports"
        command = [sys.executable, "ci/verify", "postdeploy", "--fault", mutant.name, "--reports", str(reports)]
        end = ended(command, reports)
    return judge(mutant, end, took=time.monotonic() - began, tree=tree)


def ended(command: Sequence[str], reports: Path, limit: float = LIMIT_S) -> End:
    """Run a command that leaves its results in `reports`, and read its end; a broken run is an end, too."""
    try:
        done = subprocess.run(  # noqa: S603  (our own command, names of the catalogue)
            command, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return End(None, None, problem=f"it had to be ended after {limit:.0f} s")
    try:
        report = msgspec.json.decode((reports / "decision.json").read_bytes(), type=_Report)
    except (OSError, msgspec.MsgspecError):
        said = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()[-1]
        return End(None, done.returncode, problem=f"exit {done.returncode}: {_without_paths(said)}")
    seconds = [report.seconds[event] for event in ("checks", "causes") if event in report.seconds]
    return End(report.decision, done.returncode, _red(reports / "verdict.json"), max(seconds, default=None))


def _red(file: Path) -> dict[str, Severity]:
    try:
        checks = Verdict.read(file).checks
    except (OSError, msgspec.MsgspecError):
        # The gate has held a run without a verdict; then no check is red.
        return {}
    return {check.node_id: check.severity for check in checks if check.outcome is Outcome.FAILED}


def _without_paths(text: str) -> str:
    """Return a line that may be committed: without folders of this machine."""
    return shortened(text.replace(str(ROOT), "{checkout}").replace(tempfile.gettempdir(), "{temporary}"))


def _environment() -> dict[str, str]:
    without = [name for name in os.environ if name.startswith("SYNTHETIC_") and name not in _KEPT_VARIABLES]
    # Compiled modules are kept, as by default.
    return child_environment(without=[*without, "PYTHONDONTWRITEBYTECODE"])


def measured_tree() -> str:
    """Return the commit of this checkout, with "+" when its files differ from it; "unknown" without git."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)ci/bench/results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changes else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
