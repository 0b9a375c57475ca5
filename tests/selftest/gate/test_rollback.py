"""The rollback against the edge: its rules and its proofs."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from ci.rollback import named_deployment, record_healing, refuse
from tests.selftest.gate.patient import Patient

SHORT = 0.8


class TestProved:
    """A rollback is accepted, carried out and proved."""

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

    def test_after_a_job_in_a_status_that_nobody_documented(self, patient: Patient) -> None:
        """Vercel may add a word at any time; production must be undone all the same."""
        vars(patient.edge.project.last_alias_request)["status"] = "canceled"

        assert patient.roll_back().proved

    def test_it_is_written_down_before_it_is_asked_for(self, patient: Patient) -> None:
        """A gate that is killed in between must have written its intent."""
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
        """A failed alias job ends the attempt at once."""
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
        """Production serves the deployment of the other request then."""
        other = patient.running.publish()
        patient.edge.job_outcome = "stuck"

        async def promote() -> None:
            patient.edge.promote(other.id)

        result = patient.roll_back(60, lambda _: patient.running.do(promote()))

        assert result.step == "unproved"
        assert f"promote to {other.id}" in result.detail


class TestRefused:
    """Vercel or a rule of the gate refuses the rollback: production does not change."""

    @pytest.mark.parametrize("status", [400, 402, 403, 410, 422])
    def test_by_vercel(self, patient: Patient, status: int) -> None:
        """The gate asks once, and reports Vercel's refusal."""
        patient.edge.rollback_status = status

        result = patient.roll_back()

        assert result.step == "refused"
        assert f"Vercel {status}" in result.detail
        assert patient.running.served() == patient.bad.id
        assert patient.edge.api_requests["POST /v9/projects/{project}/rollback/{deployment}"] == 1

    @pytest.mark.parametrize("status", [409, 500])
    def test_by_vercel_without_end(self, patient: Patient, status: int) -> None:
        """The gate repeats the request until the deadline."""
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
        """A rollback to a broken deployment would replace one outage by another."""
        order = replace(patient.order, objection="health: failed")

        assert "health: failed" in (refuse(order, patient.state, patient.vercel) or "")

    def test_once_a_deployment(self, patient: Patient) -> None:
        """After a rollback that did not help, a person must decide."""
        patient.roll_back()
        again = replace(patient.order, run_id="run-2", cooldown=0)

        assert "tried once" in (refuse(again, patient.state, patient.vercel) or "")

    def test_once_in_the_cooldown(self, patient: Patient) -> None:
        """A second rollback in the cooldown is refused, also for another deployment."""
        patient.roll_back()
        other = patient.running.publish()
        again = replace(patient.order, run_id="run-2", deployment_id=other.id)

        assert "less than 30 min ago" in (refuse(again, patient.state, patient.vercel) or "")
        assert "less than" not in (refuse(replace(again, cooldown=0), patient.state, patient.vercel) or "")


class TestNamedDeployment:
    """The deployment that answers a new client."""

    def test_nobody(self, patient: Patient) -> None:
        """No answer is no proof."""
        patient.running.do(patient.edge.production_listener.cut())

        assert named_deployment(patient.edge.production_url).startswith("nobody")

    def test_the_platform_itself(self, patient: Patient) -> None:
        """The platform's own 404 names no deployment."""
        patient.edge.production = None

        assert "DEPLOYMENT_NOT_FOUND" in named_deployment(patient.edge.production_url)

    def test_an_old_pin_is_not_asked(self, patient: Patient) -> None:
        """A client with a cookie stays on the old deployment, and would prove nothing."""
        pinned = httpx.get(
            patient.edge.production_url, headers={"cookie": f"__vdpl={patient.good.id}"}, trust_env=False
        )

        assert pinned.headers["x-deployment-id"] == patient.good.id
        assert named_deployment(patient.edge.production_url) == patient.bad.id
