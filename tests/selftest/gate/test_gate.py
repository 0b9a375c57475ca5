"""The decision table, with one test for each row."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from ci.gate import EXIT, MEANING, blind_to, decide, escalated
from fixtures.model.allowances import KnownFault
from fixtures.model.verdict import Cause, CheckResult, Decision, Outcome
from tests.selftest.gate.verdicts import HEALTH, PAGES, a_check, a_verdict

FAILED, PASSED = Outcome.FAILED, Outcome.PASSED
A_FAULT = KnownFault(
    target="sandbox",
    check="test_health",
    offenders=["GET / 500"],
    owner="shop team",
    reason="on Monday",
    since=date(2026, 11, 27),
    expires=date(2026, 12, 3),
    source="known_faults.toml",
)


def decision_of(
    check: CheckResult, cause: Cause | None = None, stage: str = "postdeploy", *others: CheckResult
) -> Decision:
    """Decide on one check that is red for `cause`, and others."""
    causes = {check.node_id: cause} if cause else {}
    return decide(a_verdict(check, *others, stage=stage), causes, stage).decision


class TestRow2:
    """Without a verdict that can be trusted: hold."""

    def test_no_verdict(self) -> None:
        """A run that left no verdict proves nothing."""
        assert decide(None, {}, "postdeploy").decision is Decision.HOLD

    def test_a_torn_verdict_holds_whatever_it_shows(self) -> None:
        """The checks that were not judged yet might be green or red."""
        torn = a_verdict(a_check(outcome=FAILED), complete=False)

        judgement = decide(torn, {HEALTH: Cause.DEPLOYMENT}, "postdeploy")

        assert (judgement.decision, judgement.rule) == (Decision.HOLD, 2)

    def test_the_verdict_of_another_stage(self) -> None:
        """An old file must not decide."""
        assert decide(a_verdict(a_check(), stage="daily"), {}, "postdeploy").decision is Decision.HOLD

    def test_nothing_was_selected(self) -> None:
        """Zero checks are not zero failures."""
        assert decide(a_verdict(), {}, "postdeploy").decision is Decision.HOLD

    @pytest.mark.parametrize("outcome", [Outcome.NOT_APPLICABLE, Outcome.NOT_MEASURED, Outcome.SUPERSEDED])
    def test_nothing_ran(self, outcome: Outcome) -> None:
        """A run without any executed check holds, also when only P3 checks were selected."""
        assert decide(a_verdict(a_check(severity="P3", judges="function", outcome=outcome)), {}, "postdeploy").rule == 2

    def test_a_problem_of_the_gate_wins_over_everything(self) -> None:
        """After an error of the gate, its verdict may be wrong in any direction."""
        green = a_verdict(a_check())

        assert decide(green, {}, "postdeploy", problem="the gate itself failed").exit_code == 3


class TestRow3:
    """The deployment is to blame, and a rollback repairs it: roll back."""

    @pytest.mark.parametrize("severity", ["P0", "P1"])
    @pytest.mark.parametrize("stage", ["postdeploy", "watch"])
    def test_rollback(self, severity: str, stage: str) -> None:
        """P0 and P1 both lead to a rollback, in the stages postdeploy and watch."""
        judgement = decide(
            a_verdict(a_check(severity=severity, outcome=FAILED), stage=stage), {HEALTH: Cause.DEPLOYMENT}, stage
        )

        assert (judgement.decision, judgement.exit_code, judgement.rule) == (Decision.ROLLBACK, 1, 3)

    def test_a_rollback_wins_over_an_incident(self) -> None:
        """A fault of the database besides does not save a bad deployment."""
        checks = a_verdict(a_check(outcome=FAILED), a_check(PAGES, outcome=FAILED))

        judgement = decide(checks, {HEALTH: Cause.EXISTING, PAGES: Cause.DEPLOYMENT}, "postdeploy")

        assert judgement.decision is Decision.ROLLBACK
        assert PAGES.rpartition("::test_")[2] in judgement.reasons[0]

    def test_escalated(self) -> None:
        """A rollback that was refused keeps its reasons and asks for a human."""
        rollback = decide(a_verdict(a_check(outcome=FAILED)), {HEALTH: Cause.DEPLOYMENT}, "postdeploy")

        judgement = escalated(rollback, "402")

        assert (judgement.decision, judgement.exit_code) == (Decision.ESCALATE, 5)
        assert judgement.reasons == ["402", *rollback.reasons]

    def test_what_the_rest_left_out_does_not_hold_it_up(self) -> None:
        """The run ended early because of the red P0, as it should."""
        left_out = a_check(PAGES, outcome=Outcome.SUPERSEDED)

        assert decision_of(a_check(outcome=FAILED), Cause.DEPLOYMENT, "postdeploy", left_out) is Decision.ROLLBACK


class TestRow4:
    """Before the promotion: block."""

    @pytest.mark.parametrize("judges", ["function", "upkeep"])
    def test_block(self, judges: str) -> None:
        """Users lose nothing, because production does not change."""
        assert decision_of(a_check(outcome=FAILED, judges=judges), Cause.DEPLOYMENT, "predeploy") is Decision.BLOCK

    def test_without_a_control_a_red_check_blocks(self) -> None:
        """The first deployment of all has none to compare it with."""
        verdict = a_verdict(a_check(outcome=FAILED), stage="predeploy")

        assert decide(verdict, {}, "predeploy", has_control=False).decision is Decision.BLOCK

    @pytest.mark.parametrize("cause", [Cause.EXISTING, Cause.THIRD_PARTY])
    def test_an_older_fault_does_not_block(self, cause: Cause) -> None:
        """The repair may be in this build."""
        assert decision_of(a_check(outcome=FAILED), cause, "predeploy") is Decision.INCIDENT

    @pytest.mark.parametrize("cause", [Cause.CHANGED, Cause.UNKNOWN])
    def test_an_open_question_lets_nothing_pass(self, cause: Cause) -> None:
        """A hold refuses the promotion as well, and accuses nobody."""
        assert decision_of(a_check(outcome=FAILED), cause, "predeploy") is Decision.HOLD

    @pytest.mark.parametrize("cause", [Cause.RUNNER, Cause.BLOCKED, Cause.SELF_INFLICTED])
    def test_our_own_trouble_does_not_block(self, cause: Cause) -> None:
        """The decision is `hold`."""
        assert decision_of(a_check(outcome=FAILED), cause, "predeploy") is Decision.HOLD


class TestRow5:
    """Something is wrong that a rollback would not repair: incident."""

    @pytest.mark.parametrize("cause", [Cause.EXISTING, Cause.THIRD_PARTY])
    def test_not_the_deployment(self, cause: Cause) -> None:
        """The fault is older than the deployment, or a vendor's: incident, no rollback."""
        assert decision_of(a_check(outcome=FAILED), cause) is Decision.INCIDENT

    def test_no_earlier_deployment(self) -> None:
        """No cause can be proved and no rollback is possible, but users meet the fault."""
        verdict = a_verdict(a_check(outcome=FAILED))

        assert decide(verdict, {HEALTH: Cause.UNKNOWN}, "postdeploy", has_control=False).decision is Decision.INCIDENT
        assert decide(verdict, {HEALTH: Cause.RUNNER}, "postdeploy", has_control=False).decision is Decision.HOLD

    @pytest.mark.parametrize("cause", [Cause.DEPLOYMENT, Cause.UNKNOWN])
    def test_not_eligible(self, cause: Cause) -> None:
        """A missing header is no reason to undo."""
        assert decision_of(a_check(severity="P1", outcome=FAILED, judges="upkeep"), cause) is Decision.INCIDENT

    @pytest.mark.parametrize("cause", [Cause.DEPLOYMENT, Cause.UNKNOWN, None])
    def test_in_the_nightly_run(self, cause: Cause | None) -> None:
        """The deployment has stood for hours."""
        assert decision_of(a_check(outcome=FAILED), cause, "daily") is Decision.INCIDENT

    @pytest.mark.parametrize("cause", [Cause.RUNNER, Cause.SELF_INFLICTED, Cause.BLOCKED])
    def test_our_own_trouble_is_no_incident(self, cause: Cause) -> None:
        """It is no incident in the stage `daily`, and none when the check is not eligible for a rollback."""
        assert decision_of(a_check(outcome=FAILED, judges="upkeep"), cause, "daily") is Decision.HOLD

    def test_without_a_control_the_cause_stays_open_and_users_still_suffer(self) -> None:
        """A proved P0 on a target that has one deployment only is no reason to say nothing."""
        verdict = a_verdict(a_check(outcome=FAILED))

        assert decide(verdict, {}, "postdeploy", has_control=False).decision is Decision.INCIDENT

    def test_where_the_target_forbids_a_rollback_people_act(self) -> None:
        """The deployment is to blame, and the gate may not undo it."""
        judgement = decide(
            a_verdict(a_check(outcome=FAILED)), {HEALTH: Cause.DEPLOYMENT}, "postdeploy", can_roll_back=False
        )

        assert (judgement.decision, judgement.rule) == (Decision.INCIDENT, 5)


class TestRow6:
    """The run cannot tell: hold."""

    @pytest.mark.parametrize("stage", ["predeploy", "postdeploy"])
    def test_a_redesign_is_no_defect(self, stage: str) -> None:
        """The page differs, and a journey still reaches the effect: people look, nothing is undone."""
        assert decision_of(a_check(outcome=FAILED), Cause.CHANGED, stage) is Decision.HOLD

    @pytest.mark.parametrize("cause", [Cause.RUNNER, Cause.BLOCKED, Cause.SELF_INFLICTED, Cause.UNKNOWN, None])
    def test_red_for_a_reason_that_says_nothing(self, cause: Cause | None) -> None:
        """A cause that nobody looked for is unknown."""
        judgement = decide(a_verdict(a_check(outcome=FAILED)), {HEALTH: cause} if cause else {}, "postdeploy")

        assert (judgement.decision, judgement.exit_code, judgement.rule) == (Decision.HOLD, 3, 6)

    @pytest.mark.parametrize("outcome", [Outcome.NOT_MEASURED, Outcome.SUPERSEDED, Outcome.SUITE_ERROR])
    def test_a_required_check_did_not_run(self, outcome: Outcome) -> None:
        """A check that did not run did not pass."""
        assert decision_of(a_check(), None, "postdeploy", a_check(PAGES, "P1", outcome)) is Decision.HOLD

    def test_a_flake_that_ended_the_run_early(self) -> None:
        """The checks that it left out are still not measured."""
        left_out = a_check(PAGES, "P1", Outcome.SUPERSEDED)

        assert decision_of(a_check(outcome=FAILED), Cause.FLAKY, "postdeploy", left_out) is Decision.HOLD

    def test_what_does_not_apply_is_not_required(self) -> None:
        """A target without payments is green without them."""
        assert decision_of(a_check(), None, "postdeploy", a_check(PAGES, "P0", Outcome.NOT_APPLICABLE)) is Decision.KEEP

    @pytest.mark.parametrize(
        ("must_see", "decision"),
        [((), Decision.KEEP), (("database",), Decision.KEEP), (("payments", "database"), Decision.HOLD)],
    )
    def test_blindness_holds_where_the_target_must_see(self, must_see: tuple[str, ...], decision: Decision) -> None:
        """Nobody looked at the payments of a shop that lives by them."""
        unseen = a_check(PAGES, "P2", Outcome.NOT_APPLICABLE, lacks=["payments", "writes"])

        judgement = decide(a_verdict(a_check(), unseen), {}, "postdeploy", must_see=must_see)

        assert judgement.decision is decision
        assert ("blind to payments" in judgement.reasons[0]) is (decision is Decision.HOLD)


class TestRow7:
    """The deployment stays, and people are told: alert."""

    @pytest.mark.parametrize("severity", ["P2", "P3"])
    @pytest.mark.parametrize("cause", [Cause.DEPLOYMENT, None])
    def test_mild(self, severity: str, cause: Cause | None) -> None:
        """A red P2 or P3 leads to an alert, also when the deployment is to blame."""
        judgement = decide(
            a_verdict(a_check(severity=severity, outcome=FAILED), a_check(PAGES)),
            {HEALTH: cause} if cause else {},
            "postdeploy",
        )

        assert (judgement.decision, judgement.exit_code, judgement.rule) == (Decision.ALERT, 0, 7)

    def test_flaky(self) -> None:
        """A check that is red once is reported, and nothing is rolled back."""
        assert decision_of(a_check(outcome=FAILED), Cause.FLAKY) is Decision.ALERT

    def test_known(self) -> None:
        """A fault that somebody has accepted is told, by whom and until when, and blocks nothing."""
        check = msgspec.structs.replace(a_check(outcome=Outcome.KNOWN), known=[A_FAULT])

        judgement = decide(a_verdict(check), {}, "postdeploy")

        assert (judgement.decision, judgement.rule) == (Decision.ALERT, 7)
        assert judgement.reasons == ["P0 health: shop team, until 2026-12-03: on Monday (known_faults.toml)"]


class TestRow8:
    """Everything that is required was measured and is green: keep."""

    def test_keep(self) -> None:
        """A P2 that could not be measured does not hold."""
        judgement = decide(a_verdict(a_check(), a_check(PAGES, "P2", Outcome.NOT_MEASURED)), {}, "postdeploy")

        assert (judgement.decision, judgement.exit_code, judgement.rule) == (Decision.KEEP, 0, 8)

    def test_it_says_what_it_did_not_see(self) -> None:
        """A third of the checks did not apply: "everything was measured" would be wrong."""
        urgent = a_check(PAGES, "P0", Outcome.NOT_APPLICABLE, lacks=["payments"])
        mild = a_check("t::test_x", "P2", Outcome.NOT_APPLICABLE, lacks=["pooler"])
        verdict = a_verdict(a_check(), urgent, mild)

        judgement = decide(verdict, {}, "postdeploy")

        kept = "1 checks passed, none is red, every required one that applies was measured"
        assert judgement.reasons == [f"{kept}; 2 do not apply to this target, and summary.md names them"]
        assert blind_to(verdict) == "blind to payments: the target lacks payments"
        assert blind_to(a_verdict(a_check(), mild)) == ""


def test_every_decision_has_an_exit_code_with_a_meaning() -> None:
    """Row 1, wrong usage, is no decision and has its own."""
    assert set(EXIT) == set(Decision)
    assert set(MEANING) == set(EXIT)
    assert len(set(MEANING.values())) == len(MEANING)
    assert set(EXIT.values()) == {0, 1, 3, 4, 5}
