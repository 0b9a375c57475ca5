"""
Proves that a healthy smoke run is never red, and measures it: the same checks on one sandbox, again and again.

    .venv/bin/python -m ci.bench.smoke_runs [--runs 200] [--latency-runs 20]

--latency-runs: the number of further runs with every answer 80 ms later. Seconds count from the start of pytest, with
the sandbox already running; `p0` is the moment at which the last P0 check of a single answer has its result (checks of
all answers of a run come at its end). Writes ci/bench/results/smoke_runs.json; ends with 1 when a run is not green.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec

from ci.bench.machine_class import stamp
from ci.bench.verification import ROOT, Run, verify
from fixtures.model.verdict import Severity, write_atomically
from fixtures.sandbox.healthy_variant import HealthyVariant
from fixtures.sandbox.healthy_variants import late
from fixtures.sandbox.sandbox import Sandbox

RESULTS = ROOT / "ci" / "bench" / "results" / "smoke_runs.json"
LATENCY_S = 0.08
SERIES = {
    "no latency": HealthyVariant("nothing unusual at all"),
    f"{1000 * LATENCY_S:.0f} ms latency": HealthyVariant("every answer is a little later", late(LATENCY_S)),
}


@dataclass
class Series:
    """Many runs of one kind. red: check -> in how many runs it was not green."""

    runs: int = 0
    checks: int = 0
    red: Counter[str] = field(default_factory=Counter)
    whole: list[float] = field(default_factory=list)
    p0: list[float] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Count one run."""
        checks = run.verdict.checks
        worst = {check.node_id for check in checks if check.severity is Severity.P0 and check.asks != ["* /*"]}
        self.runs += 1
        self.checks = run.passed
        self.red.update(run.bad.keys())
        self.whole.append(run.seconds)
        self.p0.append(max((at for node_id, at in run.judged.items() if node_id in worst), default=run.seconds))

    def result(self) -> dict[str, object]:
        """Return the numbers, seconds with two digits."""
        seconds = {"whole": _spread(self.whole), "p0": _spread(self.p0)}
        return {"runs": self.runs, "checks": self.checks, "red": dict(self.red), "seconds": seconds}


def _spread(values: list[float]) -> dict[str, float]:
    spread = {"least": min(values), "median": median(values), "most": max(values)}
    return {name: round(value, 2) for name, value in spread.items()}


async def _repeat(wanted: dict[str, int]) -> dict[str, Series]:
    done = {name: Series() for name, runs in wanted.items() if runs}
    with tempfile.TemporaryDirectory(prefix="7p-smoke-runs-") as directory:
        reports = Path(directory) / "reports"
        (Path(directory) / "sandbox").mkdir()
        reports.mkdir()
        sandbox = await Sandbox.start(Path(directory) / "sandbox")
        try:
            for name, series in done.items():
                for number in range(1, wanted[name] + 1):
                    run = await verify(sandbox, SERIES[name], reports)
                    series.add(run)
                    state = f"RED {run.bad}" if run.bad else "green"
                    at = f"P0 after {series.p0[-1]:.2f} s, all after {run.seconds:.2f} s"
                    sys.stdout.write(f"{name}, {number} of {wanted[name]}: {state}, {at}\n")
                    sys.stdout.flush()
        finally:
            await sandbox.stop()
    return done


def main() -> int:
    """Repeat the run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--latency-runs", type=int, default=20)
    given = parser.parse_args()
    done = asyncio.run(_repeat(dict(zip(SERIES, (given.runs, given.latency_runs), strict=True))))
    result = stamp() | {name: series.result() for name, series in done.items()}
    write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return 1 if any(series.red for series in done.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
