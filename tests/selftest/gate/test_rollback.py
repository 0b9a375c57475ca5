"""The rollback against the edge: what is refused, what counts as proof, and what a killed gate leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import msgspec
import pytest

from ci.rollback import Order, Result, named_deployment, record_healing, refuse, roll_back
from ci.unfinished import settle
from fixtures.sandbox.edge.deployments import Deployment
from fixtures.sandbox.edge.edge import Edge
from fixtures.state.state import RollbackRecord, State
from fixtures.target.target import VercelAccess
from fixtures.target.vercel import Vercel
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge

ROOT = Path(__file__).resolve().parents[3]
SHORT = 0.8


@dataclass
class Patient:
    """Production serves `bad`; `good` served it before."""

    running: RunningEdge
    good: Deployment
    bad: Deployment
    vercel: Vercel
    state: State

    @property
    def edge(self) -> Edge:
        """The edge to break."""
        return self.running.edge

    @property
    def order(self) -> Order:
        """From bad to good."""
        return Order(
            run_id="run-1",
            url=self.edge.production_url,
            host=self.edge.production_listener.address,
            deployment_id=self.bad.id,
            target_id=self.good.id,
            reason="7P Verify run-1: P0 health",
            cooldown=1800,
            passes_p0=True,
            p0_evidence="its 3 P0 checks passed",
        )

    def roll_back(self, deadline: float = 10, sleep: Callable[[float], None] = time.sleep) -> Result:
        """Try it."""
        return roll_back(self.order, self.state, self.vercel, deadline=deadline, sleep=sleep)


def access_of(running: RunningEdge) -> VercelAccess:
    """Return how the edge's API is asked."""
    return VercelAccess(api=running.api.url, project=running.edge.project.name, token=running.edge.token)


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    """Return a production that serves a bad deployment."""
    with run_edge() as running, Vercel(access_of(running)) as vercel:
        good = running.publish(promote=True)
        bad = running.publish(promote=True)
        yield Patient(running, good, bad, vercel, State(tmp_path))


class TestProved:
    """Accepted, done, and seen to be done."""

    def test_three_proofs(self, patient: Patient) -> None:
        """The job, the alias and a fresh request each name the target."""
        result = patient.roll_back()

        assert result.proved, result.detail
        assert result.proofs == [
            "the alias job succeeded",
            f"the alias of {patient.order.host} names {patient.good.id}",
            f"a fresh request to {patient.order.url} was answered by {patient.good.id}",
        ]
        assert patient.running.served() == patient.good.id
        assert [record.step for record in patient.state.rollbacks()] == ["proved"]

    def test_it_is_written_down_before_it_is_asked_for(self, patient: Patient) -> None:
        """A gate that is killed in between must have left word."""
        patient.edge.rollback_status = 500
        seen: list[str] = []

        patient.roll_back(SHORT, lambda _: seen.extend(record.step for record in patient.state.rollbacks()))

        assert seen[0] == "intended"

    @pytest.mark.parametrize("status", [429, 500, 502, 409])
    def test_a_refusal_that_passes(self, patient: Patient, status: int) -> None:
        """429 names its own wait; after 5xx and 409 the project tells whether it was accepted."""
        patient.edge.rollback_status, patient.edge.rollback_status_times = status, 1

        assert patient.roll_back().proved
        assert patient.edge.api_requests["POST /v9/projects/{project}/rollback/{deployment}"] == 2

    def test_traffic_lags_behind_the_alias(self, patient: Patient) -> None:
        """Succeeded is not served."""
        patient.edge.propagation_s = 0.7

        result = patient.roll_back()

        assert result.proved
        assert patient.running.served() == patient.good.id

    @pytest.mark.parametrize("skew", [-3600.0, 3600.0])
    def test_clocks_may_differ(self, patient: Patient, skew: float) -> None:
        """Vercel's clock is compared with itself only."""
        patient.edge.clock_skew_s = skew

        assert patient.roll_back().proved

    def test_healing_is_the_last_step(self, patient: Patient) -> None:
        """The record ends with whether it helped."""
        patient.roll_back()
        record_healing(patient.order, patient.state, healed=False, detail="health: failed")

        assert [(record.step, record.detail) for record in patient.state.rollbacks()] == [
            ("not-healed", "health: failed")
        ]


class TestNotProved:
    """Exit code 0 of the CLI would have said success to each of these."""

    def unproved(self, patient: Patient, deadline: float, missing: str) -> None:
        """Try it and expect this to be missing."""
        result = patient.roll_back(deadline)

        assert result.step == "unproved"
        assert missing in result.detail
        assert [record.step for record in patient.state.rollbacks()] == ["unproved"]

    def test_stuck(self, patient: Patient) -> None:
        """The deadline ends it."""
        patient.edge.job_outcome = "stuck"
        self.unproved(patient, SHORT, "the alias job is in-progress")

    def test_failed(self, patient: Patient) -> None:
        """It is over at once."""
        patient.edge.job_outcome = "failed"
        self.unproved(patient, 60, "the alias job is failed")

    def test_skipped(self, patient: Patient) -> None:
        """The CLI exits 0 here."""
        patient.edge.job_outcome = "skipped"
        self.unproved(patient, 60, "the alias job is skipped")

    def test_one_domain_did_not_move(self, patient: Patient) -> None:
        """Production moved, and somebody still meets the bad build."""
        patient.edge.domains = ["www.7peducation.test"]
        patient.edge.failed_aliases = ["www.7peducation.test"]
        self.unproved(patient, 60, "the alias job is failed")

    def test_the_project_shows_an_earlier_request(self, patient: Patient) -> None:
        """The CLI reads the promotion of the bad build as its own success."""
        patient.edge.stale_alias_request = True
        self.unproved(patient, SHORT, "does not show the alias job")

    def test_traffic_never_follows(self, patient: Patient) -> None:
        """The alias names the good one, and users meet the bad one."""
        patient.edge.propagation_s = 60
        self.unproved(patient, SHORT, f"was answered by {patient.bad.id}")

    def test_somebody_promotes_another_meanwhile(self, patient: Patient) -> None:
        """What production serves then is theirs."""
        other = patient.running.publish()
        patient.edge.job_outcome = "stuck"

        async def promote() -> None:
            patient.edge.promote(other.id)

        result = patient.roll_back(60, lambda _: patient.running.do(promote()))

        assert result.step == "unproved"
        assert f"promote to {other.id}" in result.detail


class TestRefused:
    """By Vercel, or by the gate's own rules: nothing moves."""

    @pytest.mark.parametrize("status", [400, 402, 403, 410, 422])
    def test_by_vercel(self, patient: Patient, status: int) -> None:
        """It is asked once and said as it is."""
        patient.edge.rollback_status = status

        result = patient.roll_back()

        assert result.step == "refused"
        assert f"Vercel {status}" in result.detail
        assert patient.running.served() == patient.bad.id
        assert patient.edge.api_requests["POST /v9/projects/{project}/rollback/{deployment}"] == 1

    @pytest.mark.parametrize("status", [409, 500])
    def test_by_vercel_without_end(self, patient: Patient, status: int) -> None:
        """It is asked again until the deadline."""
        patient.edge.rollback_status = status

        assert patient.roll_back(SHORT).step == "refused"
        assert patient.edge.api_requests["POST /v9/projects/{project}/rollback/{deployment}"] > 1

    def test_the_target_was_deleted(self, patient: Patient) -> None:
        """Retention may take it between the proof and the request."""
        patient.good.deleted = True

        assert "410" in patient.roll_back().detail

    def test_production_serves_another_by_now(self, patient: Patient) -> None:
        """Somebody was faster; their deployment was not judged."""
        other = patient.running.publish(promote=True)

        result = patient.roll_back()

        assert result.step == "refused"
        assert other.id in result.detail
        assert patient.state.rollbacks() == []

    def test_somebody_moves_production_while_it_is_refused(self, patient: Patient) -> None:
        """409 is somebody else's request, and it wins."""
        patient.edge.rollback_status, patient.edge.rollback_status_times = 409, 1

        def overtake(_seconds: float) -> None:
            patient.running.publish(promote=True)

        result = patient.roll_back(10, overtake)

        assert result.step == "refused"
        assert "production serves" in result.detail

    def test_a_target_that_does_not_pass_p0(self, patient: Patient) -> None:
        """From one outage to another is no help."""
        order = replace(patient.order, passes_p0=False, p0_evidence="health: failed")

        assert "health: failed" in (refuse(order, patient.state, patient.vercel) or "")

    def test_once_a_deployment(self, patient: Patient) -> None:
        """What did not help once is for a human."""
        patient.roll_back()
        again = replace(patient.order, run_id="run-2", cooldown=0)

        assert "tried once" in (refuse(again, patient.state, patient.vercel) or "")

    def test_once_in_the_cooldown(self, patient: Patient) -> None:
        """Also of another deployment."""
        patient.roll_back()
        other = patient.running.publish()
        again = replace(patient.order, run_id="run-2", deployment_id=other.id)

        assert "less than 30 min ago" in (refuse(again, patient.state, patient.vercel) or "")
        assert "less than" not in (refuse(replace(again, cooldown=0), patient.state, patient.vercel) or "")


CHILD = """
import json, sys
from pathlib import Path
from ci.rollback import Order, roll_back
from fixtures.target.vercel import Vercel
from fixtures.state.state import State
from fixtures.target.target import VercelAccess
given = json.loads(sys.stdin.read())
roll_back(Order(**given["order"]), State(Path(given["state"])), Vercel(VercelAccess(**given["access"])))
"""


class TestKilled:
    """Kill -9 of the gate in the middle: the next run finds out what became of it."""

    def kill_when(self, patient: Patient, step: str) -> None:
        """Roll back in a process of its own, and kill it when the state says `step`."""
        given = {"order": patient.order, "state": str(patient.state.path), "access": access_of(patient.running)}
        child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, cwd=ROOT)
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(given))
        child.stdin.close()
        until = time.monotonic() + 20
        while [record.step for record in patient.state.rollbacks()] != [step] and time.monotonic() < until:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()

        assert [record.step for record in patient.state.rollbacks()] == [step]

    def settled(self, patient: Patient) -> tuple[str, str]:
        """Settle; return what was told and the step that stands then."""
        told = settle(patient.state, patient.vercel, patient.order.host)
        assert len(told) == 1
        return told[0], patient.state.rollbacks()[0].step

    def test_before_the_request_was_accepted(self, patient: Patient) -> None:
        """It never happened, and may be tried."""
        patient.edge.rollback_status = 500
        self.kill_when(patient, "intended")
        patient.edge.rollback_status = None

        told, step = self.settled(patient)

        assert "was never made" in told
        assert step == "abandoned"
        assert refuse(replace(patient.order, run_id="run-2"), patient.state, patient.vercel) is None

    def test_after_the_request_was_accepted(self, patient: Patient) -> None:
        """It goes on without the gate, and the next run sees it done."""
        patient.edge.job_outcome = "stuck"
        self.kill_when(patient, "requested")
        told, step = self.settled(patient)
        assert "its request arrived and its job is" in told
        assert step == "requested"

        async def finish() -> None:
            patient.edge.rollback(patient.good.id)

        patient.running.do(finish())
        told, step = self.settled(patient)

        assert patient.bad.id in told
        assert f"production serves {patient.good.id}" in told
        assert step == "proved"

    def test_nothing_to_settle(self, patient: Patient) -> None:
        """A finished one is not told again."""
        patient.roll_back()

        assert settle(patient.state, patient.vercel, patient.order.host) == []

    def test_the_request_got_out_and_production_serves_something_else(self, patient: Patient) -> None:
        """It is not guessed why."""
        record = RollbackRecord(
            run_id="run-0",
            deployment_id=patient.bad.id,
            target_id="dpl_elsewhere",
            reason="",
            intended_at=0,
            step="requested",
        )
        patient.state.record_rollback(record)

        assert self.settled(patient)[1] == "unproved"


class TestNamedDeployment:
    """Who answers a new client."""

    def test_nobody(self, patient: Patient) -> None:
        """No answer is no proof."""
        patient.running.do(patient.edge.production_listener.cut())

        assert named_deployment(patient.edge.production_url).startswith("nobody")

    def test_the_platform_itself(self, patient: Patient) -> None:
        """Its own 404 names no deployment."""
        patient.edge.production = None

        assert "DEPLOYMENT_NOT_FOUND" in named_deployment(patient.edge.production_url)

    def test_an_old_pin_is_not_asked(self, patient: Patient) -> None:
        """A client with a cookie stays on the old deployment, and would prove nothing."""
        pinned = httpx.get(
            patient.edge.production_url, headers={"cookie": f"__vdpl={patient.good.id}"}, trust_env=False
        )

        assert pinned.headers["x-deployment-id"] == patient.good.id
        assert named_deployment(patient.edge.production_url) == patient.bad.id
