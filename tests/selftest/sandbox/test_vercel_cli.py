"""The real `vercel` CLI is the judge of the stand-in: it lists, inspects, rolls back and promotes here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.machine import VERCEL_CLI_VERSION, find_vercel_cli
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge

NODE = shutil.which("node")
CLI = find_vercel_cli()
pytestmark = pytest.mark.skipif(
    NODE is None or CLI is None,
    reason=f"needs node and vercel@{VERCEL_CLI_VERSION}: `ci/verify selftest` provides both",
)


@pytest.fixture
def running() -> Iterator[RunningEdge]:
    """Return an edge of its own."""
    with run_edge() as running:
        yield running


@pytest.fixture(params=["personal", "team"])
def scope(request: pytest.FixtureRequest, running: RunningEdge) -> str:
    """Let a person or a team own the project: the CLI asks differently."""
    if request.param == "team":
        running.edge.project.team = {"id": "team_7p", "slug": "7p-egitim", "name": "7P Eğitim"}
    return str(request.param)


def vercel(running: RunningEdge, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the CLI against this edge, in an empty directory with an empty configuration; its output is on stderr."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "VERCEL_TELEMETRY_DISABLED": "1",
        "VERCEL_TOKEN": running.edge.token,
        "VERCEL_ORG_ID": running.edge.project.account_id,
        "VERCEL_PROJECT_ID": running.edge.project.id,
        "NO_UPDATE_NOTIFIER": "1",
    }
    configuration = directory / "configuration"
    configuration.mkdir(exist_ok=True)
    command = [str(NODE), str(CLI), *arguments, "--api", running.api.url, "-Q", str(configuration)]
    return subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_is_the_pinned_version(running: RunningEdge, tmp_path: Path) -> None:
    """Our knowledge of the CLI holds for this version only."""
    assert vercel(running, tmp_path, "--version").stdout.strip() == VERCEL_CLI_VERSION


@pytest.mark.usefixtures("scope")
def test_it_lists_and_inspects(running: RunningEdge, tmp_path: Path) -> None:
    """A person finds the deployments and sees which one production serves."""
    older, newer = running.publish(promote=True), running.publish(promote=True)

    listed = vercel(running, tmp_path, "ls", running.edge.project.name)
    inspected = vercel(running, tmp_path, "inspect", older.id)

    assert listed.returncode == 0, listed.stderr
    assert [address for address in (older.url, newer.url) if address not in listed.stdout + listed.stderr] == []
    assert inspected.returncode == 0, inspected.stderr
    assert older.id in inspected.stderr


@pytest.mark.usefixtures("scope")
def test_it_rolls_back_and_promotes(running: RunningEdge, tmp_path: Path) -> None:
    """The documented commands of a person work here as on the real API."""
    older, newer = running.publish(promote=True), running.publish(promote=True)

    back = vercel(running, tmp_path, "rollback", older.id, "--yes", "--timeout", "60s")
    after_rollback = (running.edge.production, running.served(), running.edge.project.auto_assign_custom_domains)
    forward = vercel(running, tmp_path, "promote", newer.id, "--yes", "--timeout", "60s")

    assert (back.returncode, "was rolled back to" in back.stderr) == (0, True), back.stderr
    assert after_rollback == (older.id, older.id, False)
    assert (forward.returncode, "was promoted to" in forward.stderr) == (0, True), forward.stderr
    assert (running.served(), running.edge.project.auto_assign_custom_domains) == (newer.id, True)


def test_a_rollback_without_a_deployment_undoes_nothing_and_says_success(running: RunningEdge, tmp_path: Path) -> None:
    """The runbook's bare command only shows the status: exit code 0, and production serves the bad build."""
    running.publish(promote=True)
    bad = running.publish(promote=True)

    result = vercel(running, tmp_path, "rollback", "--yes")

    assert result.returncode == 0, result.stderr
    assert running.served() == bad.id


def test_exit_code_0_can_name_the_bad_deployment(running: RunningEdge, tmp_path: Path) -> None:
    """The CLI reports an earlier promote as the rollback while the API still shows it: the gate must not trust it."""
    good, bad = running.publish(promote=True), running.publish(promote=True)
    running.edge.stale_alias_request = True
    running.edge.job_outcome = "stuck"

    result = vercel(running, tmp_path, "rollback", good.id, "--yes", "--timeout", "60s")

    assert result.returncode == 0, result.stderr
    assert bad.id in result.stderr
    assert running.served() == bad.id


@pytest.mark.parametrize("status", [402, 409])
def test_a_refusal_is_reported_at_once(running: RunningEdge, tmp_path: Path, status: int) -> None:
    """The CLI repeats a request only after a 5xx."""
    good, bad = running.publish(promote=True), running.publish(promote=True)
    running.edge.rollback_status = status

    result = vercel(running, tmp_path, "rollback", good.id, "--yes", "--timeout", "60s")

    assert result.returncode == 1
    assert running.edge.api_requests["POST /v9/projects/{project}/rollback/{deployment}"] == 1
    assert running.served() == bad.id


def test_a_5xx_is_repeated_and_the_repetition_is_the_same_request(running: RunningEdge, tmp_path: Path) -> None:
    """The real CLI sends the request again, so the stand-in must count both as one."""
    good, _bad = running.publish(promote=True), running.publish(promote=True)
    running.edge.rollback_status, running.edge.rollback_status_times = 502, 1

    result = vercel(running, tmp_path, "rollback", good.id, "--yes", "--timeout", "60s")

    assert result.returncode == 0, result.stderr
    assert running.edge.api_requests["POST /v9/projects/{project}/rollback/{deployment}"] == 2
    assert running.served() == good.id
