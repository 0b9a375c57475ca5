"""The candidate of a remote target: found through Vercel's API, asked on its own address, or refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.model.verdict import Outcome
from fixtures.sandbox.edge.deployments import Deployment, new_id
from fixtures.target.targets_file import TARGETS_FILE_VARIABLE
from tests.selftest.conftest import ROOT, Suite, environment_of_a_run
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge

ASKS = """
@pytest.mark.predeploy
@P1
@asks("GET /api/ping", "GET /dashboard")
def test_asked(answers, site, variant, target, candidate):
    here = site.ask("GET /api/courses")
    named = [answer.deployment for answer in [*answers, here]]
    assert (site.url, target.url, named) == ("CANDIDATE", "HOME", [candidate.id] * 3)
    assert (candidate.environment, candidate.commit, variant.own_address) == ("ENVIRONMENT", "COMMIT", True)
"""


@dataclass(frozen=True)
class Remote:
    """A target of a targets file, like production; its production serves the deployment `serving`."""

    running: RunningEdge
    serving: Deployment
    environment: dict[str, str]

    def publish(self, *, preview: bool = False) -> Deployment:
        """Build a candidate behind deployment protection."""
        candidate = self.running.publish("preview" if preview else "production")
        candidate.protected = True
        return candidate

    def asking(self, deployment: str) -> dict[str, str]:
        """Return the environment of a run that judges this deployment; "": the variable is not set."""
        return self.environment | ({"SYNTHETIC_DEPLOYMENT": deployment} if deployment else {})

    def gate(self, deployment: str, reports: Path) -> subprocess.CompletedProcess[str]:
        """Run the gate."""
        command = [sys.executable, "ci/verify", "predeploy", "--target=staging", f"--reports={reports}"]
        environment = environment_of_a_run() | self.asking(deployment)
        command += [f"--state={reports / 'state'}"]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    """Return a target with two projects behind its token."""
    with run_edge() as running:
        serving = running.publish(promote=True)
        file = tmp_path / "their-targets.toml"
        file.write_text(
            f"""
            [staging]
            url = "{running.edge.production_url}"
            mode = "shadow"
            capabilities = ["vercel"]
            vercel = {{ api = "{running.api.url}", project = "{running.edge.project.name}" }}
            variables = {{ vercel_token = "A_TOKEN", bypass_secret = "A_BYPASS" }}
            """,
            encoding="utf-8",
        )
        secrets = {"A_TOKEN": running.edge.token, "A_BYPASS": running.edge.bypass_secret}
        yield Remote(running, serving, {TARGETS_FILE_VARIABLE: str(file)} | secrets)


def _check(candidate: Deployment, home: str) -> str:
    source = ASKS.replace("CANDIDATE", candidate.base_url).replace("HOME", home)
    return source.replace("ENVIRONMENT", candidate.target).replace("COMMIT", candidate.meta["githubCommitSha"])


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "workers"])
def test_the_candidate_is_asked_on_its_own_address_and_not_production(
    remote: Remote, suite: Suite, workers: list[str]
) -> None:
    """Production is green before every bad promotion: asking it would let every candidate pass."""
    candidate = remote.publish()
    suite.write(_check(candidate, remote.running.edge.production_url))

    for asked in (candidate.id, f"https://{candidate.url}/", candidate.url):
        ran = suite.run("-m", "predeploy", "--target=staging", *workers, environment=remote.asking(asked))

        assert ran.check("test_asked").outcome is Outcome.PASSED, ran.out
        assert ran.check("test_asked").attempts[0].identified
        assert ran.verdict.deployment_id == candidate.id
    assert remote.running.edge.requests[remote.serving.id] == 0


def test_a_previews_users_are_on_its_own_address(remote: Remote, suite: Suite) -> None:
    """With the production host as its address, every preview would fail the check of the sign-in host."""
    candidate = remote.publish(preview=True)
    suite.write(_check(candidate, candidate.base_url))

    ran = suite.run("-m", "predeploy", "--target=staging", environment=remote.asking(candidate.id))

    assert ran.check("test_asked").outcome is Outcome.PASSED, ran.out
    assert ran.verdict.url == candidate.base_url


def _foreign(remote: Remote) -> str:
    candidate = remote.publish()
    candidate.project_id = new_id("prj")
    return candidate.id


def _building(remote: Remote) -> str:
    candidate = remote.publish()
    candidate.ready_state = "BUILDING"
    return candidate.id


REFUSED: dict[str, tuple[Callable[[Remote], str], int, str]] = {
    "unset": (lambda _: "", 2, "SYNTHETIC_DEPLOYMENT is not set"),
    "unknown": (lambda _: "dpl_nowhere", 2, "SYNTHETIC_DEPLOYMENT=dpl_nowhere: Vercel knows no such deployment"),
    "foreign": (_foreign, 2, "it belongs to project prj_"),
    "building": (_building, 3, "is BUILDING, not READY"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_candidate_that_cannot_be_judged_is_one_line(name: str, remote: Remote, suite: Suite, tmp_path: Path) -> None:
    """Exit 2 for a wrong candidate, 3 for one that is not ready; production gets no request."""
    choose, code, said = REFUSED[name]
    asked = choose(remote)
    suite.write(_check(remote.serving, remote.serving.base_url))

    plain = suite.run("-m", "predeploy", "--target=staging", environment=remote.asking(asked))
    gate = remote.gate(asked, tmp_path / "gate")

    assert (plain.code, gate.returncode) == (code, code), plain.out + plain.err + gate.stdout + gate.stderr
    assert [line for line in (plain.out + plain.err).splitlines() if said in line] != []
    assert [line for line in (gate.stdout + gate.stderr).splitlines() if said in line] != []
    assert "Traceback" not in plain.out + plain.err + gate.stdout + gate.stderr
    assert sum(remote.running.edge.requests.values()) == 0


def test_after_the_promotion_an_address_is_no_id(remote: Remote, suite: Suite) -> None:
    """Answers name ids; compared with an address, every answer would come from another deployment."""
    suite.write(_check(remote.serving, remote.serving.base_url).replace("predeploy", "postdeploy"))

    ran = suite.run("-m", "postdeploy", "--target=staging", environment=remote.asking(remote.serving.base_url))

    assert ran.code == 2, ran.out
    assert "use the id (dpl_…)" in ran.err
    assert sum(remote.running.edge.requests.values()) == 0
