"""One pytest run on a sandbox of this process, as CI would run it on a platform that is already up."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fixtures.model.verdict import Outcome, Verdict
from fixtures.run.network import CA_VARIABLE
from fixtures.run.rate_limits import FILE
from fixtures.sandbox.healthy_variant import HealthyVariant
from fixtures.sandbox.sandbox import Sandbox
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE

ROOT = Path(__file__).parents[2]
_BAD = {Outcome.FAILED, Outcome.SUITE_ERROR, Outcome.NOT_MEASURED, Outcome.SUPERSEDED}


@dataclass(frozen=True)
class Run:
    """
    The result of one run. seconds: from the process's start to its end.

    judged: node id -> seconds from the process's start to its result.
    bad: checks that are not green -> reason; "the run" where it did not come to its end.
    """

    verdict: Verdict
    seconds: float
    judged: dict[str, float]
    bad: dict[str, str]

    @property
    def passed(self) -> int:
        """The number of checks that passed."""
        return sum(check.outcome is Outcome.PASSED for check in self.verdict.checks)


async def verify(sandbox: Sandbox, healthy_variant: HealthyVariant, reports: Path) -> Run:
    """Publish a build with this healthy variant, reset all rate limits, and run the checks; `reports` exists."""
    build = sandbox.healthy_build()
    healthy_variant.build(build)
    _forget(sandbox)
    async with healthy_variant.surround(sandbox, build) as changes:
        deployment = await sandbox.publish(build, promote=healthy_variant.stage != "predeploy")
        deployment.protected = healthy_variant.stage == "predeploy"
        address = deployment.base_url if healthy_variant.stage == "predeploy" else sandbox.edge.production_url
        fields = {"candidate_id": deployment.id, "candidate_url": address} | changes.handle
        handle = msgspec.structs.replace(sandbox.handle, **fields)
        handle.write(reports / "handle.json")
        environ = {"SYNTHETIC_DEPLOYMENT": deployment.id, SANDBOX_VARIABLE: str(reports / "handle.json")}
        environ |= {CA_VARIABLE: str(changes.ca_file)} if changes.ca_file else {}
        arguments = [
            "-m",
            f"{healthy_variant.stage} and {healthy_variant.kinds}",
            f"--stage={healthy_variant.stage}",
            f"--reports={reports}",
        ]
        arguments += [f"--target={handle.production_url}"] if healthy_variant.by_url else []
        return await _run(arguments, environ, reports)


def _forget(sandbox: Sandbox) -> None:
    """Reset the rate limits: the platform's own count, and the file in which the runs on this sandbox count."""
    sandbox.platform.limits.spent.clear()
    (Path(sandbox.handle.run_dir) / FILE).unlink(missing_ok=True)


async def _run(arguments: Sequence[str], environ: dict[str, str], reports: Path) -> Run:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNTHETIC_")}
    kept |= {name: os.environ[name] for name in ("SYNTHETIC_BROWSER",) if name in os.environ}
    # Compiled modules are kept, as by default: rewriting the asserts takes a third of the start.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *arguments),
        cwd=ROOT,
        env=kept | {"PYTHONUNBUFFERED": "1"} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    judged: dict[str, float] = {}
    assert child.stdout is not None  # noqa: S101  (a pipe was asked for)
    with (reports / "output.txt").open("wb") as output:
        async for line in child.stdout:
            output.write(line)
            node_id, _, told = line.decode(errors="replace").partition(" ")
            if "::test_" in node_id and told.strip():
                judged.setdefault(node_id, time.monotonic() - began)
    await child.wait()
    seconds = time.monotonic() - began
    verdict = Verdict.read(reports / "verdict.json")
    bad = {check.node_id: check.reason for check in verdict.checks if check.outcome in _BAD}
    if not verdict.complete or not judged:
        bad["the run"] = "it did not come to its end"
    return Run(verdict, seconds, judged, bad)
