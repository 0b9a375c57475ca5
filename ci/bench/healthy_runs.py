"""
Proves that a healthy platform is always kept: the whole path, again and again.

    .venv/bin/python -m ci.bench.healthy_runs [--runs 20] [--busy] [-n 2]

--busy keeps two processors busy during the runs. Adds an entry to ci/bench/results/healthy_runs.json; ends with 1 when
a run was not kept, and shows its output.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec

from ci.bench.machine_class import stamp
from fixtures.model.verdict import write_atomically

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "ci" / "bench" / "results" / "healthy_runs.json"
_LIMIT = 300
_BURNERS = 2


class _Decision(msgspec.Struct):
    decision: str


@contextmanager
def burners(count: int) -> Iterator[None]:
    """Keep so many processors at work while the block runs."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for burner in running:
            burner.kill()
            burner.wait()


def run_once(arguments: list[str]) -> tuple[str, float]:
    """Run the whole path on a sandbox of its own; return decision and seconds from the first to the last moment."""
    with tempfile.TemporaryDirectory(prefix="7p-healthy-runs-") as folder:
        command = [sys.executable, "ci/verify", "postdeploy", f"--reports={folder}", *arguments]
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LIMIT, check=False)  # noqa: S603  (our own command)
        seconds = time.monotonic() - began
        report = Path(folder) / "decision.json"
        decision = msgspec.json.decode(report.read_bytes(), type=_Decision).decision if report.exists() else "nothing"
        if decision != "keep":
            sys.stdout.write(done.stdout + done.stderr)
        return f"{decision} (exit {done.returncode})", seconds


def main() -> int:
    """Repeat the run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--busy", action="store_true", help="keep two processors busy during the runs")
    parser.add_argument("-n", dest="workers", type=int, default=0, help="pytest-xdist workers")
    given = parser.parse_args()
    arguments = [f"-n{given.workers}"] if given.workers else []
    decisions: Counter[str] = Counter()
    times: list[float] = []
    with burners(_BURNERS if given.busy else 0):
        for number in range(1, given.runs + 1):
            decision, seconds = run_once(arguments)
            decisions[decision] += 1
            times.append(seconds)
            sys.stdout.write(f"{number} of {given.runs}: {decision}, {seconds:.1f} s\n")
            sys.stdout.flush()
    entry = stamp() | {
        "runs": given.runs,
        "busy": given.busy,
        "workers": given.workers,
        "decisions": dict(decisions),
        "seconds": {"least": round(min(times), 2), "median": round(median(times), 2), "most": round(max(times), 2)},
    }
    earlier = msgspec.json.decode(RESULTS.read_bytes()) if RESULTS.exists() else []
    write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode([*earlier, entry]), indent=1) + b"\n")
    return 0 if set(decisions) == {"keep (exit 0)"} else 1


if __name__ == "__main__":
    raise SystemExit(main())
