"""
Runs the checks on healthy variants: builds and surroundings that are unusual and right, and must stay green.

    .venv/bin/python -m ci.bench.healthy_variants              all of them on one sandbox
    .venv/bin/python -m ci.bench.healthy_variants NAME ...     these only

Each one is verified by the checks of its kinds. Writes ci/bench/results/healthy_variants.json; exit 1 when one is red.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from ci.bench.machine_class import stamp
from ci.bench.verification import ROOT, verify
from fixtures.model.verdict import write_atomically
from fixtures.sandbox.healthy_variants import HEALTHY_VARIANTS
from fixtures.sandbox.sandbox import Sandbox

RESULTS = ROOT / "ci" / "bench" / "results" / "healthy_variants.json"


class Result(msgspec.Struct):
    """The result of one healthy variant. bad: checks that did not pass, with their reasons."""

    summary: str
    passed: int
    seconds: float
    bad: dict[str, str]
    measured_on: dict[str, object]


def read_results(path: Path = RESULTS) -> dict[str, Result]:
    """Return the committed results, by name."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Result]) if path.exists() else {}


async def _prove_all(names: list[str]) -> dict[str, Result]:
    results = {}
    with tempfile.TemporaryDirectory(prefix="7p-variants-") as directory:
        (Path(directory) / "sandbox").mkdir()
        sandbox = await Sandbox.start(Path(directory) / "sandbox")
        try:
            for name in names:
                reports = Path(directory) / name
                reports.mkdir()
                run = await verify(sandbox, HEALTHY_VARIANTS[name], reports)
                results[name] = Result(
                    HEALTHY_VARIANTS[name].summary, run.passed, round(run.seconds, 1), run.bad, stamp()
                )
                sys.stdout.write(f"{name}: {'RED' if run.bad else 'green'}, {run.passed} passed, {run.seconds:.1f} s\n")
                sys.stdout.writelines(f"    {check}: {why[:300]}\n" for check, why in run.bad.items())
                sys.stdout.flush()
        finally:
            await sandbox.stop()
    return results


def main() -> int:
    """Prove the named healthy variants, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *HEALTHY_VARIANTS], metavar="NAME")
    names = parser.parse_args().names or list(HEALTHY_VARIANTS)
    results = asyncio.run(_prove_all(names))
    earlier = read_results()
    known = {name: found for name in HEALTHY_VARIANTS if (found := results.get(name) or earlier.get(name))}
    write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
    red = [name for name, result in results.items() if result.bad]
    sys.stdout.write(f"{len(names) - len(red)} of {len(names)} healthy variants stayed green\n")
    return 1 if red else 0


if __name__ == "__main__":
    raise SystemExit(main())
