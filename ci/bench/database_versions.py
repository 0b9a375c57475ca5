"""
Runs every database check's query on PostgreSQL 14 to 18 as the monitoring role, and a sample of the faults on each.

    .venv/bin/python -m ci.bench.database_versions              every version that this machine has or can fetch
    .venv/bin/python -m ci.bench.database_versions --major 16   one of them

Writes ci/bench/results/database_versions.json; ends with 1 when a query failed, a check gave no result that it
gives on another version, or a fault was not caught.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from ci.bench.database_crosstalk import FAULTS, cross
from ci.bench.machine_class import stamp
from ci.bench.postgres_versions import MAJORS, binaries_of
from ci.steps import SetupError
from fixtures.checks.declarations import Query
from fixtures.database.privileges import views
from fixtures.database.session import Seen, take
from fixtures.model.verdict import write_atomically
from fixtures.postgres.binaries import POSTGRES_VARIABLE
from fixtures.sandbox.database.postgres import Postgres
from tests.selftest.database.database_checks import declared, planned

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "ci" / "bench" / "results" / "database_versions.json"
SETTINGS = {"archive_mode": "on", "archive_command": "true"}
# One fault for each topic that differs between versions.
SAMPLE = (
    *("lock-waited-for", "slot-left-behind", "slot-idle", "statement-slow", "commits-not-kept", "statistics-stale"),
    *("vacuum-overdue", "primary-key-corrupt", "constraint-not-valid", "connections-85", "monitor-blind"),
)


class Version(msgspec.Struct, kw_only=True):
    """
    The result of one version.

    answered: queries.  unmeasured: check -> why its query gave nothing that can be judged.
    caught: faults of the sample.  wrong: what should not be so.
    """

    version: str
    queries: int
    answered: int
    unmeasured: dict[str, str]
    caught: list[str]
    wrong: list[str]


class Result(msgspec.Struct):
    """The committed results. machine: date and class of machine of the newest of them."""

    machine: dict[str, Any]
    versions: dict[str, Version]


def prove(bindir: Path) -> Version:
    """Ask every query and cross the sample on the programs of one directory."""
    os.environ[POSTGRES_VARIABLE] = str(bindir)
    checks = declared() | planned()
    with (
        tempfile.TemporaryDirectory(prefix="7p-versions-") as folder,
        Postgres.start(Path(folder) / "postgres", settings=SETTINGS) as postgres,
    ):
        taken = take(postgres.dsn("synthetic_monitor"), checks.values(), "versions")
        number = postgres.server.binaries.version
    blind = [what for what in views() if not taken.privileges.get(what)]
    unmeasured = {name: why for name, query in checks.items() if (why := _trouble(taken.seen.get(query.sql), query))}
    wrong = [*([taken.trouble] if taken.trouble else []), *(f"does not see {what}" for what in blind)]
    rows = {name: cross(FAULTS[name]) for name in SAMPLE}
    wrong += [f"{name}: {line}" for name, row in rows.items() for line in row.surprises]
    return Version(
        version=f"{number // 10000}.{number % 10000}",
        queries=len(checks),
        answered=len(checks) - len(unmeasured),
        unmeasured=unmeasured,
        caught=[name for name, row in rows.items() if not row.surprises],
        wrong=[*wrong, *(f"{name}: {why}" for name, why in unmeasured.items())],
    )


def _trouble(seen: Seen | None, query: Query) -> str:
    if seen is None:
        return "not taken"
    if seen.trouble:
        return seen.trouble
    return f"{seen.examined} rows, {query.min_rows} expected" if seen.examined < query.min_rows else ""


def main() -> int:
    """Prove each version; name the versions that this machine cannot get."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--major", type=int, action="append", choices=MAJORS, help="may be repeated; default: all")
    result = msgspec.json.decode(RESULTS.read_bytes(), type=Result) if RESULTS.exists() else Result({}, {})
    bad = 0
    for major in parser.parse_args().major or MAJORS:
        try:
            bindir = binaries_of(major)
        except SetupError as error:
            sys.stdout.write(f"{major}: not here: {error}\n")
            continue
        result.versions[str(major)] = found = prove(bindir)
        bad += bool(found.wrong)
        sys.stdout.write(f"{found.version}: {found.answered} of {found.queries} queries, {len(found.caught)} faults\n")
        sys.stdout.writelines(f"    {line}\n" for line in found.wrong)
        sys.stdout.flush()
        result.machine = stamp()
        write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
