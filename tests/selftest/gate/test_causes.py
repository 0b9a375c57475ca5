"""The causes of red checks that need no pair."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ci.causes import Circumstances, at_first_answer, from_alias, without_pairs
from ci.comparison import Comparison
from fixtures.model.verdict import Cause, CheckResult, Outcome
from fixtures.state.state import Good
from tests.selftest.gate.comparisons import COMPARISON, HEALTHY, NEW, OLD
from tests.selftest.gate.verdicts import HEALTH, a_check, an_attempt

FAILED, PASSED = Outcome.FAILED, Outcome.PASSED


class TestFirstAnswer:
    """These causes are found without pairs."""

    @pytest.mark.parametrize("blocker", [Cause.BLOCKED, Cause.SELF_INFLICTED])
    def test_a_wall(self, blocker: Cause) -> None:
        """The answers themselves show the blocker."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(blocker=blocker, message="429, ours to keep")])

        found = at_first_answer(check, HEALTHY)

        assert found is not None
        assert (found.cause, found.evidence) == (blocker, "429, ours to keep")

    def test_the_runner_is_blind(self) -> None:
        """Neither the target nor anything outside it answers."""
        found = at_first_answer(a_check(outcome=FAILED), Circumstances(target=False, controls=False))

        assert found is not None
        assert found.cause is Cause.RUNNER

    def test_refused_and_nothing_outside_answers(self) -> None:
        """The target may answer again by then."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(blocker=Cause.RUNNER)])

        found = at_first_answer(check, Circumstances(target=True, controls=False))

        assert found is not None
        assert found.cause is Cause.RUNNER

    @pytest.mark.parametrize("around", [Circumstances(target=False, controls=True), Circumstances(target=False)])
    def test_refused_while_the_world_answers_is_not_the_runner(self, around: Circumstances) -> None:
        """Pairs follow; without control addresses nothing proves that the runner is offline."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(blocker=Cause.RUNNER)])

        assert at_first_answer(check, around) is None

    def test_the_database_is_the_same_under_every_deployment(self) -> None:
        """A check of the database is never paired."""
        found = at_first_answer(a_check(outcome=FAILED, kind="database"), HEALTHY)

        assert found is not None
        assert found.cause is Cause.EXISTING

    def test_the_commit_belongs_to_the_deployment(self) -> None:
        """Its tests failed before anybody could compare deployments."""
        found = at_first_answer(replace(a_check(outcome=FAILED), asks=["vendor github"]), HEALTHY)

        assert found is not None
        assert found.cause is Cause.DEPLOYMENT

    def test_an_ordinary_red_check_needs_pairs(self) -> None:
        """No cause is known before the pairs."""
        assert at_first_answer(a_check(outcome=FAILED, attempts=[an_attempt()]), HEALTHY) is None


class TestLedger:
    """A host-bound check without a pin is attributed from the alias and the ledger."""

    COMPARISON = Comparison(
        candidate_id=NEW,
        candidate=COMPARISON.candidate,
        control=COMPARISON.control,
        control_source="last good of run 1",
        good=Good(deployment_id=OLD, run_id="1", recorded_at=0, passed=[HEALTH]),
    )

    def test_it_passed_when_the_last_good_was_let_stand(self) -> None:
        """The evidence says that no pair was run."""
        found = without_pairs(a_check(outcome=FAILED, host_bound=True), HEALTHY, self.COMPARISON, "no pin")

        assert found.cause is Cause.DEPLOYMENT
        assert "by alias and ledger" in found.evidence

    @pytest.mark.parametrize(
        "check",
        [
            a_check("t::test_new", outcome=FAILED, host_bound=True),
            a_check(outcome=FAILED),
            a_check(outcome=FAILED, host_bound=True, third_party="google"),
        ],
        ids=["not in the ledger", "not host-bound", "a vendor may be to blame"],
    )
    def test_otherwise_it_is_unknown(self, check: CheckResult) -> None:
        """The ledger alone proves nothing here."""
        assert without_pairs(check, HEALTHY, self.COMPARISON, "no pin").cause is Cause.UNKNOWN


def test_a_deployment_that_is_gone_is_judged_by_the_alias() -> None:
    """There is nothing left to pair; only a control that passes shows that it is the deployment."""
    gone = Comparison(candidate_id=NEW, gone="deleted", control=COMPARISON.control, control_source="last good of run 1")

    found = from_alias(gone, control_passes=True)

    assert found.cause is Cause.DEPLOYMENT
    assert "deleted" in found.evidence
    assert from_alias(gone, control_passes=False).cause is Cause.UNKNOWN
