"""
Healthy oddities: builds and surroundings that are unusual and right, and must stay green.

    .venv/bin/python -m ci.bench.oddities              all of them on one sandbox
    .venv/bin/python -m ci.bench.oddities NAME ...     these only

Each is verified by the smoke checks of its stage. Writes ci/bench/results/oddities.json; ends with 1 when one is red.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fixtures.outcomes import Outcome, Verdict, write_atomically
from fixtures.sandbox.app.call import Call
from fixtures.sandbox.build import Build, Handler
from fixtures.sandbox.deployments import Deployment
from fixtures.sandbox.handle import VARIABLE
from fixtures.sandbox.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "ci" / "bench" / "results" / "oddities.json"
LATENCY_S = 0.4
SKEW_S = 20.0
_BAD = {Outcome.FAILED, Outcome.NOT_MEASURED}


def _nothing(_build: Build) -> None:
    """Leave the build as it is."""


@dataclass(frozen=True)
class Oddity:
    """
    One thing that is unusual and right.

    skew_s: how far the platform's clock is off.  by_url: verified as a bare URL, without the sandbox's capabilities.
    stage: predeploy verifies it before promotion, behind deployment protection.
    """

    summary: str
    build: Callable[[Build], None] = _nothing
    skew_s: float = 0.0
    by_url: bool = False
    stage: str = "postdeploy"


class Result(msgspec.Struct):
    """What the smoke checks made of one oddity. bad: checks that did not pass, with their reasons."""

    passed: int
    seconds: float
    bad: dict[str, str]


def payments_off(build: Build) -> None:
    """Take the payments mode and every Stripe variable away."""
    build.environment = {
        name: value for name, value in build.environment.items() if "STRIPE" not in name and name != "PAYMENTS_MODE"
    }


def free_enrolment_off(build: Build) -> None:
    """Switch the flag off and take its code away."""
    build.environment["FEATURE_ENROLL_FREE"] = "false"
    del build.environment["FREE_ENROLLMENT_CODE"]


def slow_network(build: Build) -> None:
    """Hold every answer back for 400 ms."""

    async def around(call: Call, handler: Handler) -> Response:
        await asyncio.sleep(LATENCY_S)
        return await handler(call)

    build.around.append(around)


def edited_texts(build: Build) -> None:
    """Change texts that nobody promised, and add what pages of this kind usually have."""
    foot = (
        '<p>Bize yazın: <a href="mailto:eda@7peducation.com">eda@7peducation.com</a>, 0850 123 45 67. '
        'Şifrenizi kimseyle paylaşmayın: en az 8 karakter. <a href="https://www.youtube.com/@7peducation">YouTube</a>'
        "</p></footer>"
    )
    build.pages["layout.html"] = build.pages["layout.html"].replace("</footer>", foot)
    build.pages["home.html"] = build.pages["home.html"].replace("Kısa dersler", "Dersler kısa")


def extra_keys(build: Build) -> None:
    """Add a key to every JSON object that an API answers, but for the providers, whose keys are their names."""

    async def around(call: Call, handler: Handler) -> Response:
        response = await handler(call)
        is_json = response.headers.get("content-type", "").startswith("application/json")
        if not is_json or not response.body or call.request.url.path == "/api/auth/providers":
            return response
        content = msgspec.json.decode(bytes(response.body))
        # An empty session is the answer for anonymous visitors, and must stay empty.
        if isinstance(content, dict) and content:
            response.body = msgspec.json.encode(content | {"requestId": "req_7p", "apiVersion": 3})
            response.headers["content-length"] = str(len(response.body))
        return response

    build.around.append(around)


def _with_header(build: Build, name: bytes, value: bytes) -> None:
    """Let every request that lacks this header arrive with it."""

    async def around(call: Call, handler: Handler) -> Response:
        scope = call.request.scope
        if name not in dict(scope["headers"]):
            call.request = Request({**scope, "headers": [*scope["headers"], (name, value)]}, call.request.receive)
        return await handler(call)

    build.around.append(around)


def old_cookie(build: Build) -> None:
    """Let every visitor come with the session cookie of last year."""
    _with_header(build, b"cookie", b"next-auth.session-token=eyJhbGciOiJkaXIifQ..old.session.of-last-year; theme=dark")


def edge_cached_pages(build: Build) -> None:
    """Let the edge keep the public pages, as prerendered ones are."""

    async def around(call: Call, handler: Handler) -> Response:
        response = await handler(call)
        if call.request.url.path in {"/", "/login", "/register"} and response.status_code == 200:  # noqa: PLR2004
            response.headers["cache-control"] = "s-maxage=31536000"
        return response

    build.around.append(around)


def other_header_spelling(build: Build) -> None:
    """Write headers in other letters and with more words, as a proxy or another framework would."""
    build.headers["x-frame-options"] = "deny"
    build.headers["strict-transport-security"] = "includeSubDomains; max-age=31536000"
    build.headers["x-served-by"] = "cache-fra-1"


ODDITIES = {
    "healthy": Oddity("nothing unusual at all"),
    "payments-off": Oddity("payments are off, and so are their variables", payments_off, by_url=True),
    "free-enrolment-off": Oddity("free enrolment is off", free_enrolment_off, by_url=True),
    "latency-400ms": Oddity("every answer takes 400 ms longer", slow_network),
    "edited-texts": Oddity("texts that no check names are edited; a mail link, a telephone number", edited_texts),
    "extra-keys": Oddity("every JSON object has keys that nobody promised", extra_keys),
    "clock-ahead": Oddity("the platform's clock is 20 s ahead", skew_s=SKEW_S),
    "clock-behind": Oddity("the platform's clock is 20 s behind", skew_s=-SKEW_S),
    "old-cookie": Oddity("every visitor brings the session cookie of last year", old_cookie),
    "edge-cached-pages": Oddity("the edge keeps the public pages", edge_cached_pages),
    "other-header-spelling": Oddity("headers are written in other letters", other_header_spelling),
    "protected-candidate": Oddity("the candidate stands behind deployment protection", stage="predeploy"),
    "payments-off-candidate": Oddity(
        "the candidate has payments off, no Stripe variable", payments_off, stage="predeploy"
    ),
}


async def prove(sandbox: Sandbox, oddity: Oddity, reports: Path) -> Result:
    """Publish the oddity and run the smoke checks on it."""
    build = sandbox.healthy_build()
    oddity.build(build)
    sandbox.platform.limits.spent.clear()
    sandbox.platform.clock = lambda: time.time() + oddity.skew_s
    deployment = await sandbox.publish(build, promote=oddity.stage != "predeploy")
    deployment.protected = oddity.stage == "predeploy"
    began = time.monotonic()
    await _run(sandbox, oddity, deployment, reports)
    verdict = Verdict.read(reports / "verdict.json")
    bad = {check.node_id: check.reason for check in verdict.checks if check.outcome in _BAD}
    passed = sum(check.outcome is Outcome.PASSED for check in verdict.checks)
    if not verdict.complete or not passed:
        bad["the run"] = "it did not come to its end"
    return Result(passed, round(time.monotonic() - began, 1), bad)


async def _run(sandbox: Sandbox, oddity: Oddity, deployment: Deployment, reports: Path) -> None:
    address = deployment.base_url if oddity.stage == "predeploy" else sandbox.edge.production_url
    changes = {"candidate_id": deployment.id, "candidate_url": address}
    handle = msgspec.structs.replace(sandbox.handle, **changes)
    handle.write(reports / "handle.json")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SYNTHETIC_")}
    environ |= {"SYNTHETIC_DEPLOYMENT": deployment.id, VARIABLE: str(reports / "handle.json")}
    arguments = ["-m", f"{oddity.stage} and smoke", f"--stage={oddity.stage}", f"--reports={reports}"]
    arguments += [f"--target={address}"] if oddity.by_url else []
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        *arguments,
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await child.wait()


async def _prove_all(names: list[str]) -> dict[str, Result]:
    results = {}
    with tempfile.TemporaryDirectory(prefix="7p-oddities-") as directory:
        (Path(directory) / "sandbox").mkdir()
        sandbox = await Sandbox.start(Path(directory) / "sandbox")
        try:
            for name in names:
                reports = Path(directory) / name
                reports.mkdir()
                results[name] = await prove(sandbox, ODDITIES[name], reports)
                state = "green" if not results[name].bad else "RED"
                sys.stdout.write(f"{name}: {state}, {results[name].passed} passed, {results[name].seconds} s\n")
                sys.stdout.writelines(f"    {check}: {why[:300]}\n" for check, why in results[name].bad.items())
                sys.stdout.flush()
        finally:
            await sandbox.stop()
    return results


def main() -> int:
    """Prove the named oddities, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *ODDITIES], metavar="NAME")
    names = parser.parse_args().names or list(ODDITIES)
    results = asyncio.run(_prove_all(names))
    earlier = msgspec.json.decode(RESULTS.read_bytes(), type=dict[str, Result]) if RESULTS.exists() else {}
    known = {name: result for name, result in {**earlier, **results}.items() if name in ODDITIES}
    write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
    red = [name for name, result in results.items() if result.bad]
    sys.stdout.write(f"{len(names) - len(red)} of {len(names)} healthy oddities stayed green\n")
    return 1 if red else 0


if __name__ == "__main__":
    raise SystemExit(main())
