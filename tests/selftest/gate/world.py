"""A platform to run whole stages on: a real edge, a stand-in of the suite, a state and a handle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from ci.options import Options
from ci.stage import run
from fixtures.sandbox.edge.deployments import Deployment
from fixtures.sandbox.edge.listeners import Listener
from fixtures.state.state import State, open_state
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE, Handle
from tests.selftest.gate.verdicts import HEALTH, PAGES, Suite, a_check
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge

ACCESS = "tests/database/test_access.py::test_access"
HEADERS = "tests/smoke/test_headers.py::test_headers"
CHECKS = [
    a_check(HEALTH),
    a_check(PAGES, "P1"),
    a_check(ACCESS, "P1", kind="database", judges="upkeep"),
    a_check(HEADERS, "P2", judges="upkeep"),
]


@dataclass
class World:
    """A platform whose production serves `bad`, after `good`; and a stage to run on it."""

    running: RunningEdge
    good: Deployment
    bad: Deployment
    outside: Listener
    suite: Suite
    options: Options
    state: State

    def run(self, options: Options | None = None) -> int:
        """Run the stage."""
        return run(options or self.options, launch=self.suite.launch)

    @property
    def decision(self) -> dict[str, Any]:
        """Return the content of decision.json."""
        report: dict[str, Any] = json.loads((self.options.reports / "decision.json").read_text())
        return report

    @property
    def causes(self) -> dict[str, str]:
        """Return the cause of every red check by node id."""
        return {check["node_id"]: check["cause"] for check in self.decision["red"]}

    @property
    def posts(self) -> int:
        """Return the number of rollback requests."""
        return self.running.edge.api_requests["POST /v9/projects/{project}/rollback/{deployment}"]


@contextmanager
def a_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Make a world of its own, which SYNTHETIC_SANDBOX names."""
    with run_edge() as running:
        edge = running.edge
        good, bad = running.publish(promote=True), running.publish(promote=True)
        outside = running.do(edge.listeners.open(PlainTextResponse("ok")))
        handle = Handle(
            pid=os.getpid(),
            run_dir=str(tmp_path),
            production_url=edge.production_url,
            candidate_id=bad.id,
            candidate_url=bad.base_url,
            previous_id=good.id,
            previous_url=good.base_url,
            api_url=running.api.url,
            control_url=outside.url,
            control_addresses=[outside.url],
            third_parties={},
            sinks={"slack": f"{outside.url}/canary-slack"},
            database_dsn="postgresql://monitor:canary-dsn-password@127.0.0.1/platform",
            vercel_token=edge.token,
            project_id=edge.project.id,
            project_name=edge.project.name,
            bypass_secret=edge.bypass_secret,
            enrolment_code="canary-code",
            stripe_webhook_secret="canary-webhook",  # noqa: S106
            accounts={},
            control_token="canary-control",  # noqa: S106
        )
        handle.write(tmp_path / "handle.json")
        for name in ("SYNTHETIC_TARGET", "SYNTHETIC_DEPLOYMENT", "GITHUB_STEP_SUMMARY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(SANDBOX_VARIABLE, str(tmp_path / "handle.json"))
        suite = Suite(edge.production_url, CHECKS)
        options = Options(command="postdeploy", reports=tmp_path / "reports", state=tmp_path / "state")
        yield World(running, good, bad, outside, suite, options, open_state(tmp_path / "state", "sandbox"))
