"""
Measures how long a healthy run takes, and how soon a P0 outage is rolled back and healed.

    .venv/bin/python -m ci.bench.speed [--runs 5]

Seconds of the healthy run: the whole command, the start of the sandbox included. Seconds of the outage: those of
decision.json, which start when the platform is reachable. Writes ci/bench/results/speed.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import msgspec

from ci.bench.healthy_runs import ROOT, run_once
from ci.bench.machine_class import stamp
from fixtures.model.verdict import write_atomically

RESULTS = ROOT / "ci" / "bench" / "results" / "speed.json"
OUTAGE = "pages-500"
_STEPS = ("checks", "causes", "request", "proved", "healed")
_LIMIT = 300


class _Decision(msgspec.Struct):
    decision: str
    seconds: dict[str, float]


def time_outage() -> dict[str, float]:
    """Break production, and return step -> seconds; raises RuntimeError when it was not rolled back and healed."""
    with tempfile.TemporaryDirectory(prefix="7p-speed-") as folder:
        command = [sys.executable, "ci/verify", "postdeploy", f"--fault={OUTAGE}", f"--reports={folder}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LIMIT, check=False)  # noqa: S603  (our own command)
        found = msgspec.json.decode((Path(folder) / "decision.json").read_bytes(), type=_Decision)
        if found.decision != "rollback" or "healed" not in found.seconds:
            msg = f"{OUTAGE} was not rolled back and healed:\n{done.stdout}{done.stderr}"
            raise RuntimeError(msg)
        return {step: found.seconds[step] for step in _STEPS}


def time_healthy() -> float:
    """Return the seconds of one healthy run; raises RuntimeError when it was not kept."""
    decision, seconds = run_once([])
    if not decision.startswith("keep"):
        msg = f"a healthy run ended in {decision}"
        raise RuntimeError(msg)
    return seconds


def main() -> int:
    """Measure, and write the medians with every value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    healthy = [round(time_healthy(), 2) for _ in range(runs)]
    outages = [time_outage() for _ in range(runs)]
    medians = {step: round(median(outage[step] for outage in outages), 2) for step in _STEPS}
    result = stamp() | {
        "runs": runs,
        "healthy": {"median": median(healthy), "all": healthy},
        OUTAGE: {"median": medians, "all": outages},
    }
    write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    sys.stdout.write(f"healthy {median(healthy):.1f} s; {OUTAGE}: {medians}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
