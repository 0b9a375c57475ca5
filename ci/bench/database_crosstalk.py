"""
Runs every database check, of any stage, against every fault of the database; shows what is red or not measured.

    .venv/bin/python -m ci.bench.database_crosstalk                     every fault, on the PostgreSQL that is found
    .venv/bin/python -m ci.bench.database_crosstalk NAME ...            these only
    .venv/bin/python -m ci.bench.database_crosstalk --major 18 ...      on that version (see database_versions)

The bench runs no gate and no other check, so a fault takes a few seconds. It writes
ci/bench/results/database_crosstalk.json, by version and fault, and ends with 1 when a check of `must` is not red, or a
check is red that the fault cannot affect.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from ci.bench.fault_matrix import known
from ci.bench.postgres_versions import binaries_of
from fixtures.model.verdict import CheckResult, Outcome, Verdict, write_atomically
from fixtures.postgres.binaries import POSTGRES_VARIABLE, locate
from fixtures.sandbox.faults import CATALOGUE
from fixtures.sandbox.faults.fault import Fault
from fixtures.sandbox.faults.red_set import surprises

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "ci" / "bench" / "results" / "database_crosstalk.json"
FAULTS = {name: fault for name, fault in CATALOGUE.items() if fault.belongs == "database"}
_LIMIT = 180


class Row(msgspec.Struct):
    """The result of one fault. red: check -> severity.  unmeasured: checks.  surprises: sentences."""

    red: dict[str, str]
    unmeasured: list[str]
    surprises: list[str]


def cross(fault: Fault) -> Row:
    """Ask every database check of a sandbox with this fault."""
    first, complete = _ask(fault)
    # A run ends early on a red P0: a second sandbox runs the remaining checks.
    left_out = [check.node_id for check in first if check.outcome is Outcome.SUPERSEDED]
    rest, rest_complete = _ask(fault, left_out) if left_out else ([], True)
    checks = [check for check in first if check.outcome is not Outcome.SUPERSEDED] + rest
    red = {_name(check.node_id): check.severity.value for check in checks if check.outcome is Outcome.FAILED}
    unmeasured = [_name(check.node_id) for check in checks if check.outcome is Outcome.NOT_MEASURED]
    wrong = surprises(fault, checks, kinds=frozenset({"database"}))
    wrong += [] if complete and rest_complete else ["incomplete"]
    return Row(dict(sorted(red.items())), sorted(unmeasured), wrong)


def _ask(fault: Fault, only: list[str] | None = None) -> tuple[list[CheckResult], bool]:
    """Return the results of all checks, or only of these, and whether the run was complete."""
    with tempfile.TemporaryDirectory(prefix="7p-crosstalk-") as folder:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/database", "-q"]
        command += [f"--fault={fault.name}", f"--stage={fault.stage}", f"--reports={folder}/reports"]
        if only is not None:
            (Path(folder) / "only").write_text("\n".join(only), encoding="utf-8")
            command.append(f"--only={folder}/only")
        subprocess.run(command, cwd=ROOT, capture_output=True, timeout=_LIMIT, check=False)  # noqa: S603  (names of the catalogue)
        verdict = Verdict.read(Path(folder) / "reports" / "verdict.json")
    return verdict.checks, verdict.complete


def _name(node_id: str) -> str:
    return node_id.rpartition("::")[2]


def _of_the_database(name: str) -> str:
    if known(name) not in FAULTS:
        msg = f"{name}: a fault of the {CATALOGUE[name].belongs}, not of the database"
        raise argparse.ArgumentTypeError(msg)
    return name


def main() -> int:
    """Cross the named faults, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", type=_of_the_database, metavar="NAME")
    parser.add_argument("--major", type=int, help="version of PostgreSQL; default: the one that is found")
    given = parser.parse_args()
    if given.major:
        os.environ[POSTGRES_VARIABLE] = str(binaries_of(given.major))
    version = locate()
    key = f"{version.major}.{version.version % 10000}"
    earlier = msgspec.json.decode(RESULTS.read_bytes(), type=dict[str, dict[str, Row]]) if RESULTS.exists() else {}
    rows = {name: row for name, row in earlier.get(key, {}).items() if name in FAULTS}
    failed = 0
    for name in given.names or FAULTS:
        rows[name] = row = cross(FAULTS[name])
        sys.stdout.write(f"{name}: {len(row.red)} red, {len(row.unmeasured)} not measured\n")
        sys.stdout.writelines(f"    {line}\n" for line in row.surprises)
        sys.stdout.flush()
        failed += bool(row.surprises)
        content = earlier | {key: dict(sorted(rows.items()))}
        write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
