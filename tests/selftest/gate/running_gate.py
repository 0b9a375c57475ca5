"""`ci/verify` as a person runs it, in processes of its own, on a sandbox that is there before the run and after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from fixtures.model.verdict import Outcome, Verdict
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE, Handle
from fixtures.target.sandbox_process import HANDLE, start_process
from tests.selftest.conftest import ROOT, environment_of_a_run

LIMIT = 300
_COUNTED = {
    "payment_transactions": " WHERE status <> 'refunded'",
    "enrollments": " WHERE cancelled_at IS NULL",
    "lesson_progress": """ AS p JOIN public.course_lessons AS l ON l.id = p.lesson_id
        JOIN public.course_modules AS m ON m.id = l.module_id
        JOIN public.enrollments AS e ON e.user_id = p.user_id AND e.course_id = m.course_id
        WHERE e.cancelled_at IS NULL""",
}


@dataclass(frozen=True)
class Ran:
    """The output and reports of one run of ci/verify."""

    code: int
    out: str
    err: str
    reports: Path

    @property
    def verdict(self) -> Verdict:
        """The verdict it wrote."""
        return Verdict.read(self.reports / "verdict.json")

    @property
    def decision(self) -> dict[str, Any]:
        """Return the content of decision.json."""
        report: dict[str, Any] = json.loads((self.reports / "decision.json").read_text())
        return report

    @property
    def decided(self) -> tuple[str, int]:
        """The decision and the exit code the process really ended with."""
        return self.decision["decision"], self.code

    @property
    def causes(self) -> dict[str, str]:
        """Return the cause of each red test function by its name."""
        red = self.decision["red"]
        return {check["node_id"].rpartition("::")[2].partition("[")[0]: check["cause"] for check in red}

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcomes by node id."""
        return {check.node_id: check.outcome for check in self.verdict.checks}


@dataclass
class RunningPlatform:
    """A sandbox and its control plane. environment: what every run of ci/verify gets besides."""

    handle: Handle
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    _earlier: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._earlier = len(self.state["alias_requests"])

    @property
    def reports(self) -> Path:
        """Return the directory of the reports."""
        return self.folder / "reports"

    def start(self, *arguments: str, stage: str = "postdeploy") -> subprocess.Popen[str]:
        """Start ci/verify in a process group of its own, as a shell does."""
        options = [f"--reports={self.reports}", f"--state={self.folder / 'state'}"]
        return self.command(stage, *options, *arguments)

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start any command of ci/verify."""
        return subprocess.Popen(
            [sys.executable, "ci/verify", *arguments],
            cwd=ROOT,
            env=environment_of_a_run() | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def verify(self, *arguments: str, stage: str = "postdeploy") -> Ran:
        """Run ci/verify to its end."""
        return self.end(self.start(*arguments, stage=stage))

    def end(self, process: subprocess.Popen[str]) -> Ran:
        """Wait until a run has ended by itself."""
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            raise
        return Ran(process.returncode, out, err, self.reports)

    @property
    def state(self) -> dict[str, Any]:
        """Return the requests that the sandbox has seen and its present state."""
        return self._control("GET", "/state")

    @property
    def moves(self) -> list[tuple[str, str]]:
        """Return the alias requests since the sandbox started, as (from, to)."""
        return [(job["from"], job["to"]) for job in self.state["alias_requests"][self._earlier :]]

    @property
    def told(self) -> list[str]:
        """Return the first line of each message to Slack."""
        return [message["text"] for message in self.state["slack"]]

    def turn(self, **knobs: object) -> None:
        """Turn knobs of the edge."""
        self._control("POST", "/edge", knobs)

    def _control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = httpx.request(
            method,
            f"{self.handle.control_url}{path}",
            json=body,
            headers={"authorization": f"Bearer {self.handle.control_token}"},
            trust_env=False,
        )
        told: dict[str, Any] = answer.raise_for_status().json()
        return told

    def row_counts(self) -> dict[str, int]:
        """
        Return the number of rows of each table, as the copying role sees them.

        The platform keeps refunded payments, cancelled enrolments and their progress; these do not count.
        """
        with psycopg.connect(self.handle.dump_dsn) as connection:
            tables = connection.execute("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'")
            counts = {}
            for (name,) in tables.fetchall():
                query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("public", name))
                query += sql.SQL(_COUNTED.get(name, ""))
                counts[name] = next(connection.execute(query))[0]
            return counts


@contextmanager
def run_platform(folder: Path, *, fault: str | None = None, stage: str = "postdeploy") -> Iterator[RunningPlatform]:
    """Start a sandbox below a folder, broken by the fault of that name; it ends with the block."""
    directory = folder / "sandbox"
    with start_process(directory, stage=stage, fault=fault) as sandbox:
        yield RunningPlatform(sandbox.handle, folder, {SANDBOX_VARIABLE: str(directory / HANDLE)})
