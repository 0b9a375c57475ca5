"""
Measures the cost of the database checks: the database's time, the effect of latency, and check_postgres beside it.

    .venv/bin/python -m ci.bench.database_cost [--rounds 15]

All measurements are interleaved in one run on one server, so that the machine's noise affects all of them; the results
are medians. Both ask the same questions, but check_postgres starts a process and a psql for each one.
Writes ci/bench/results/database_cost.json; ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from ci.bench.delayed import delayed
from ci.bench.machine_class import stamp
from ci.steps import apt_install
from fixtures.database.session import ask, connect, take
from fixtures.model.verdict import write_atomically
from fixtures.sandbox.database.postgres import Postgres
from tests.selftest.database.database_checks import declared, planned

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "ci" / "bench" / "results" / "database_cost.json"
LATENCY_MS: Final = 80
BOUNDS: Final = {"warm_ms": 60.0, "round_trips": 12.0, "times_faster_warm": 50.0, "times_faster_cold": 15.0}
# Its action -> our check that asks the same. `custom_query` stands for checks without an action of their own.
PAIRS: Final = {
    "connection": "test_the_database_accepts_the_monitoring_role",
    "backends": "test_connections_leave_the_headroom_the_runbook_asks_for",
    "locks": "test_nobody_waits_long_for_a_lock",
    "txn_time": "test_no_transaction_stays_open_for_long",
    "txn_idle": "test_no_session_idles_in_a_transaction",
    "query_time": "test_no_transaction_would_hold_a_migration_up",
    "prepared_txns": "test_no_prepared_transaction_was_forgotten",
    "replication_slots": "test_no_slot_was_left_behind",
    "txn_wraparound": "test_transaction_ids_are_far_from_their_end",
    "autovac_freeze": "test_freezing_keeps_up",
    "sequence": "test_no_sequence_is_about_to_run_out",
    "disabled_triggers": "test_every_trigger_fires",
    "last_analyze": "test_statistics_follow_the_rows",
    "last_vacuum": "test_autovacuum_comes_when_it_is_due",
    "bloat": "test_dead_rows_are_cleaned_away",
    "index_size": "test_no_large_index_goes_unused",
    "archive_ready": "test_the_wal_is_archived",
}
CUSTOM: Final = (
    "test_every_index_can_be_used",
    "test_every_constraint_has_been_validated",
    "test_every_foreign_key_has_an_index",
    "test_no_index_is_there_twice",
    "test_row_level_security_guards_personal_tables",
    "test_commits_are_durable_and_counted",
    "test_extensions_are_installed_and_current",
    "test_migrations_are_recorded_once_each",
)
_LIMITS: Final = {
    **dict.fromkeys(("txn_time", "txn_idle", "query_time"), ("--warning=5 min", "--critical=30 min")),
    **dict.fromkeys(("last_analyze", "last_vacuum"), ("--warning=300 d", "--critical=400 d")),
    "replication_slots": ("--warning=64 MB", "--critical=1 GB"),
    "index_size": ("--warning=10 GB", "--critical=20 GB"),
}
_UNKNOWN: Final = 3
_COLD: Final = """
import os, sys
import msgspec
from fixtures.database.session import take
class Query(msgspec.Struct):
    sql: str
    min_rows: int = 0
taken = take(os.environ["DSN"], msgspec.json.decode(sys.stdin.buffer.read(), type=list[Query]), "cold")
sys.exit(bool(taken.trouble or [seen for seen in taken.seen.values() if seen.trouble]))
"""


class Cost(msgspec.Struct):
    """The numbers. Milliseconds are medians."""

    machine: dict[str, object]
    postgres: int
    check_postgres: str
    rounds: int
    postdeploy_queries: int
    warm_ms: float
    server_ms: float
    one_by_one_ms: float
    fresh_connection_ms: float
    round_trips: int
    latency_ms: float
    over_latency_ms: float
    pairs: dict[str, str]
    compared_checks: int
    check_postgres_ms: float
    compared_warm_ms: float
    compared_cold_ms: float
    times_faster_warm: float
    times_faster_cold: float


def clocked(work: Callable[[], object]) -> float:
    """Return how long it took, in milliseconds."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def by_check_postgres(postgres: Postgres, queries: list[str]) -> None:
    """Run its actions one after the other; raises RuntimeError when one gave no result."""
    login = conninfo_to_dict(postgres.dsn("synthetic_monitor"))
    where = [f"--host={login['host']}", f"--port={login['port']}", "--dbname=platform", f"--dbuser={login['user']}"]
    runs = [[f"--action={action}", *_LIMITS.get(action, ())] for action in PAIRS]
    runs += [["--action=custom_query", f"--query={query}", "--valtype=string", "--critical=none"] for query in queries]
    for run in runs:
        command = ["check_postgres", *where, *run]
        done = subprocess.run(  # noqa: S603  (its own actions)
            command,
            env=os.environ | {"PGPASSWORD": str(login["password"])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == _UNKNOWN:
            msg = f"check_postgres {run[0]} gave no result: {done.stdout}{done.stderr}"
            raise RuntimeError(msg)


def cold(dsn: str, queries: list[dict[str, object]]) -> None:
    """Ask from a process of its own, interpreter included; raises CalledProcessError when anything went wrong."""
    environment = os.environ | {"DSN": dsn, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", _COLD], input=msgspec.json.encode(queries), env=environment, check=True)  # noqa: S603


def measure(postgres: Postgres, rounds: int) -> Cost:
    """Take every number on one server, interleaved."""
    everything = declared() | planned()
    postdeploy = [query.sql for query in (declared("postdeploy") | planned()).values()]
    compared = [everything[name] for name in (*PAIRS.values(), *CUSTOM)]
    sqls = [query.sql for query in compared]
    own = [f"SELECT 'ok' AS result FROM ({everything[name].sql}) AS asked LIMIT 1" for name in CUSTOM]  # noqa: S608
    bare: list[dict[str, object]] = [{"sql": sql} for sql in sqls]
    dsn = postgres.dsn("synthetic_monitor")
    with connect(dsn, "cost") as connection, psycopg.connect(postgres.superuser_dsn, autocommit=True) as superuser:
        ways: dict[str, Callable[[], object]] = {
            "warm": lambda: ask(connection, postdeploy),
            "one by one": lambda: ask(connection, postdeploy, pipelined=False),
            "fresh": lambda: take(dsn, everything.values(), "cost"),
            "compared, warm": lambda: ask(connection, sqls),
            "compared, cold": lambda: cold(dsn, bare),
            "check_postgres": lambda: by_check_postgres(postgres, own),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                times[name].append(clocked(way))
        superuser.execute("SELECT extensions.pg_stat_statements_reset()")
        ask(connection, postdeploy)
        spent = superuser.execute(
            "SELECT sum(total_exec_time + total_plan_time) FROM extensions.pg_stat_statements"
            " WHERE userid = 'synthetic_monitor'::regrole"
        ).fetchone()
    medians = {name: round(statistics.median(taken), 1) for name, taken in times.items()}
    with delayed(postgres.port, LATENCY_MS) as long_way:
        far = dsn.replace(f":{postgres.port}/", f":{long_way.port}/")
        over_latency = clocked(lambda: take(far, (declared("postdeploy") | planned()).values(), "cost"))
    return Cost(
        machine=stamp(),
        postgres=postgres.server.binaries.version,
        check_postgres=_version(),
        rounds=rounds,
        postdeploy_queries=len(set(postdeploy)),
        warm_ms=medians["warm"],
        server_ms=round(float((spent or (0,))[0] or 0), 1),
        one_by_one_ms=medians["one by one"],
        fresh_connection_ms=medians["fresh"],
        round_trips=long_way.turns,
        latency_ms=LATENCY_MS,
        over_latency_ms=round(over_latency, 1),
        pairs={**PAIRS, **{f"custom_query {number}": name for number, name in enumerate(CUSTOM, 1)}},
        compared_checks=len(compared),
        check_postgres_ms=medians["check_postgres"],
        compared_warm_ms=medians["compared, warm"],
        compared_cold_ms=medians["compared, cold"],
        times_faster_warm=round(medians["check_postgres"] / medians["compared, warm"], 1),
        times_faster_cold=round(medians["check_postgres"] / medians["compared, cold"], 1),
    )


def _version() -> str:
    said = subprocess.run(["check_postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S607
    return said.stdout.split()[-1]


def main() -> int:
    """Measure, write, and hold against the bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    if not shutil.which("check_postgres"):
        apt_install("check-postgres", fix="apt-get install -y check-postgres")
    settings = {"archive_mode": "on", "archive_command": "true", "max_prepared_transactions": "2"}
    with (
        tempfile.TemporaryDirectory(prefix="7p-cost-") as folder,
        Postgres.start(Path(folder) / "postgres", settings=settings) as postgres,
    ):
        cost = measure(postgres, rounds)
    write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(cost), indent=1) + b"\n")
    for name, value in msgspec.structs.asdict(cost).items():
        if isinstance(value, int | float):
            sys.stdout.write(f"{name:<22} {value:>10,.10g}\n")
    missed = [name for name, bound in BOUNDS.items() if not _kept(name, getattr(cost, name), bound)]
    sys.stdout.writelines(f"missed: {name}, the bound is {BOUNDS[name]:g}\n" for name in missed)
    return 1 if missed else 0


def _kept(name: str, value: float, bound: float) -> bool:
    return value >= bound if name.startswith("times") else value <= bound


if __name__ == "__main__":
    raise SystemExit(main())
