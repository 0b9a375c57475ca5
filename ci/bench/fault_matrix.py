"""
Runs every fault through the whole path and writes the golden matrix of red checks and decisions.

    .venv/bin/python -m ci.bench.fault_matrix              every fault: some ten seconds each
    .venv/bin/python -m ci.bench.fault_matrix NAME ...     these rows only

Writes ci/bench/results/fault_matrix.json; ends with 1 when a fault was not caught as its entry in the catalogue says.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from fixtures.model.verdict import Outcome, Verdict, write_atomically
from fixtures.sandbox.faults import CATALOGUE, nearest
from fixtures.sandbox.faults.fault import Fault
from fixtures.sandbox.faults.red_set import surprises

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "ci" / "bench" / "results" / "fault_matrix.json"
_LIMIT = 300


class Row(msgspec.Struct):
    """The result of one fault. red: node id -> severity."""

    decision: str
    exit_code: int
    red: dict[str, str]


def read_golden() -> dict[str, Row]:
    """Return the committed matrix, by fault."""
    return msgspec.json.decode(GOLDEN.read_bytes(), type=dict[str, Row]) if GOLDEN.exists() else {}


def prove(fault: Fault, reports: Path) -> tuple[Row, list[str]]:
    """Run the whole path with one fault; return its row and the problems."""
    command = [sys.executable, "ci/verify", fault.stage, "--fault", fault.name, "--reports", str(reports)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LIMIT, check=False)  # noqa: S603  (names of the catalogue)
    verdict = Verdict.read(reports / "verdict.json")
    decision: dict[str, Any] = msgspec.json.decode((reports / "decision.json").read_bytes())
    red = {check.node_id: check.severity.value for check in verdict.checks if check.outcome is Outcome.FAILED}
    problems = surprises(fault, verdict.checks)
    if fault.missed and decision["decision"] == fault.decision.value:
        problems.append("it is decided right now: take its mark `missed` away")
    if not fault.missed and decision["decision"] != fault.decision.value:
        causes = {entry["node_id"]: entry["cause"] for entry in decision["red"]}
        problems.append(f"decided {decision['decision']}, not {fault.decision}; causes {causes}")
    return Row(decision["decision"], done.returncode, dict(sorted(red.items()))), problems


def known(name: str) -> str:
    """Return the name of a fault from a command line; raises argparse.ArgumentTypeError."""
    problem = nearest(name)
    if problem:
        msg = f"{name}: {problem}"
        raise argparse.ArgumentTypeError(msg)
    return name


def main() -> int:
    """Prove the named faults, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", type=known, metavar="NAME")
    names = parser.parse_args().names or list(CATALOGUE)
    golden = {name: row for name, row in read_golden().items() if name in CATALOGUE}
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="7p-matrix-") as reports:
            golden[name], problems = prove(CATALOGUE[name], Path(reports))
        row = golden[name]
        sys.stdout.write(f"{name}: {row.decision}, exit {row.exit_code}, {len(row.red)} red\n")
        sys.stdout.writelines(f"    {problem}\n" for problem in problems)
        sys.stdout.flush()
        failed += bool(problems)
        ordered = dict(sorted(golden.items()))
        write_atomically(GOLDEN, msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")
    sys.stdout.write(f"{len(names) - failed} of {len(names)} faults were caught as the catalogue says\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
