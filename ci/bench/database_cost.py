"""
What taking the rows of every database check costs, on a server beside it.

    .venv/bin/python -m ci.bench.database_cost

Compares, in one run and interleaved: one by one, pipelined, and pipelined over a fresh connection. Prints medians; the
machine's own noise is in all of them alike.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fixtures.database_session import ask, connect, take
from fixtures.sandbox.postgres import Postgres
from tests.selftest.database_checks import declared

ROUNDS = 15


def main() -> None:
    """Measure and print."""
    queries = list(declared().values())
    statements = [query.sql for query in queries]
    with tempfile.TemporaryDirectory(prefix="7p-cost-") as folder, Postgres.start(Path(folder)) as postgres:
        dsn = postgres.dsn("synthetic_monitor")
        with connect(dsn, "cost") as connection:
            ways: dict[str, Callable[[], object]] = {
                "one by one, warm": lambda: ask(connection, statements, pipelined=False),
                "pipelined, warm": lambda: ask(connection, statements),
                "pipelined, fresh connection": lambda: take(dsn, queries, "cost"),
            }
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    began = time.perf_counter()
                    way()
                    times[name].append(1000 * (time.perf_counter() - began))
        sys.stdout.write(f"{len(statements)} queries, {ROUNDS} rounds, PostgreSQL {postgres.server.binaries.major}\n")
        for name, taken in times.items():
            sys.stdout.write(f"{name:<28} median {statistics.median(taken):6.1f} ms, least {min(taken):6.1f} ms\n")


if __name__ == "__main__":
    main()
