"""
Proves that a busy, healthy database is never called sick: the database checks, many times, beside pgbench.

    .venv/bin/python -m ci.bench.database_healthy [RUNS]      200 by default, about a second each

Checks that copy the database (the restore drill, the rehearsal of migrations) are in every tenth run only: the load
does not reach their copies. Writes ci/bench/results/database_healthy.json; ends with 1 when a check was red or not
measured in any run, and names it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec
from psycopg.conninfo import conninfo_to_dict

from ci.bench.machine_class import stamp
from fixtures.model.verdict import Outcome, Verdict, write_atomically
from fixtures.sandbox.faults.database.superuser import run
from fixtures.sandbox.sandbox import Sandbox
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "ci" / "bench" / "results" / "database_healthy.json"
RUNS = 200
_COPYING_EVERY = 10
_COPYING = ("test_restore.py", "test_migrations.py")
# Reads, a short write under a row lock, and sometimes a transaction that is rolled back.
LOAD = r"""
\set n random(1, 24)
SELECT count(*) FROM public.courses c JOIN public.enrollments e ON e.course_id = c.id WHERE c.published;
SELECT * FROM public.payment_transactions ORDER BY created_at DESC LIMIT 20;
BEGIN;
UPDATE public.courses SET title = title WHERE id = (SELECT id FROM public.courses ORDER BY slug OFFSET :n LIMIT 1);
\if :n > 22
ROLLBACK;
\else
COMMIT;
\endif
"""


async def prove(runs: int) -> int:
    """Run the checks beside the load; return how many runs were not all green."""
    with tempfile.TemporaryDirectory(prefix="7p-healthy-") as folder:
        sandbox = await Sandbox.start(Path(folder))
        try:
            # Autovacuum never wakes up in the sandbox; it does in production.
            await run(sandbox, "ALTER SYSTEM SET autovacuum_naptime = '5s'", "SELECT pg_reload_conf()")
            handle = Path(folder) / "bench.json"
            sandbox.handle.write(handle)
            (Path(folder) / "load.sql").write_text(LOAD)
            load = await asyncio.create_subprocess_exec(*_pgbench(sandbox, folder), env=_environment(sandbox))
            try:
                return await _repeat(runs, handle, Path(folder) / "reports", sandbox.postgres.server.binaries.version)
            finally:
                load.terminate()
                await load.wait()
        finally:
            await sandbox.stop()


def _pgbench(sandbox: Sandbox, folder: str) -> list[str]:
    program = sandbox.postgres.server.binaries.bindir / "pgbench"
    return [
        str(program),
        "--no-vacuum",
        "--client=4",
        "--rate=100",
        "--time=86400",
        f"--file={folder}/load.sql",
        "platform",
    ]


def _environment(sandbox: Sandbox) -> dict[str, str]:
    """Give pgbench its login where nobody lists it."""
    login = conninfo_to_dict(sandbox.postgres.dsn("platform_app"))
    variables = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    return os.environ | {variable: str(login[name]) for variable, name in variables.items()}


async def _repeat(runs: int, handle: Path, reports: Path, version: int) -> int:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/database", "-q", f"--reports={reports}"]
    without = [f"--ignore={ROOT}/tests/database/{module}" for module in _COPYING]
    found: Counter[str] = Counter()
    bad, judged, seconds = 0, 0, []
    for number in range(runs):
        began = time.monotonic()
        await asyncio.to_thread(
            subprocess.run,
            command + (without if number % _COPYING_EVERY else []),
            cwd=ROOT,
            env=os.environ | {SANDBOX_VARIABLE: str(handle)},
            capture_output=True,
            check=False,
        )
        seconds.append(time.monotonic() - began)
        verdict = Verdict.read(reports / "verdict.json")
        judged += len(verdict.checks)
        wrong = [check for check in verdict.checks if check.outcome is not Outcome.PASSED]
        found.update(f"{check.title}: {check.outcome}: {check.reason}" for check in wrong)
        bad += bool(wrong or not verdict.complete)
    result = stamp() | {
        "postgres": version,
        "runs": runs,
        "green": runs - bad,
        "checks_judged": judged,
        "not_green": dict(found.most_common()),
        "seconds_a_run": round(statistics.median(seconds), 2),
    }
    write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    sys.stdout.write(f"{runs - bad} of {runs} runs were green beside pgbench\n")
    sys.stdout.writelines(f"{count:>5}  {line}\n" for line, count in found.most_common())
    return bad


if __name__ == "__main__":
    raise SystemExit(1 if asyncio.run(prove(int(sys.argv[1]) if sys.argv[1:] else RUNS)) else 0)
