"""The proof that a rollback target passes P0, and the difference between a redesign and a defect."""

from __future__ import annotations

import pytest

from ci.causes import Attribution
from ci.control import passes_p0
from ci.diagnosis import Diagnosis, DiagnosisResult, changed
from ci.runs import Runs
from fixtures.model.verdict import Attempt, Cause, Outcome
from fixtures.target.target import Target
from tests.selftest.conftest import ROOT
from tests.selftest.gate.comparisons import COMPARISON
from tests.selftest.gate.verdicts import HEALTH, PAGES, a_check, a_verdict

FAILED, PASSED = Outcome.FAILED, Outcome.PASSED


class TestPassesP0:
    """A rollback target must pass P0 itself."""

    def test_green(self) -> None:
        """A check that does not apply does not count."""
        inapplicable = a_check("t::test_x", outcome=Outcome.NOT_APPLICABLE)

        assert passes_p0(a_verdict(a_check(), inapplicable), pinned=True)[0]

    def test_a_known_fault_does_not_disqualify(self) -> None:
        """Production has it on every deployment: a rollback is still better than the new fault."""
        known = a_check("t::test_x", outcome=Outcome.KNOWN)

        assert passes_p0(a_verdict(a_check(), known), pinned=True)[0]

    @pytest.mark.parametrize("outcome", [FAILED, Outcome.NOT_MEASURED, Outcome.SUPERSEDED])
    def test_not_green(self, outcome: Outcome) -> None:
        """A check that did not run did not pass."""
        assert passes_p0(a_verdict(a_check(), a_check("t::test_x", outcome=outcome)), pinned=True) == (
            False,
            f"x: {outcome}",
        )

    def test_nothing_ran(self) -> None:
        """A run without a P0 check proves nothing."""
        assert not passes_p0(a_verdict(), pinned=True)[0]
        assert not passes_p0(a_verdict(a_check(), complete=False), pinned=True)[0]

    def test_host_bound_checks_count_where_they_can_be_pinned(self) -> None:
        """Without a pin they ask production, which serves the bad deployment."""
        verdict = a_verdict(a_check(), a_check("t::test_sign_in", outcome=FAILED, host_bound=True))

        assert not passes_p0(verdict, pinned=True)[0]
        assert passes_p0(verdict, pinned=False)[0]


class TestChanged:
    """An element that is gone proves no defect while a journey reaches the same effect."""

    @pytest.mark.parametrize(
        ("symptom", "kind", "passes", "effect", "cause"),
        [
            ("", "journey", PASSED, "sign-in", Cause.CHANGED),
            # Users suffer from more than a missing element.
            ("GET /login -> 502", "journey", PASSED, "sign-in", None),
            # Nobody reached the effect: it is absent.
            ("", "journey", FAILED, "sign-in", None),
            ("", "journey", PASSED, "purchase", None),
            # A request of the API proves nothing about the page that people use.
            ("", "smoke", PASSED, "sign-in", None),
        ],
    )
    def test_changed(self, symptom: str, kind: str, passes: Outcome, effect: str, cause: Cause | None) -> None:
        """The difference alone would undo each redesign."""
        attempt = Attempt(outcome=FAILED, seconds=1.0, symptom=symptom)
        red = a_check(PAGES, outcome=FAILED, attempts=[attempt], effect="sign-in")
        journey = a_check(HEALTH, outcome=passes, kind=kind, effect=effect)
        found = {PAGES: Attribution(Cause.DEPLOYMENT, "red 5/5, 0/5 on the control")}

        causes = changed([red], found, a_verdict(red, journey))

        assert causes.get(PAGES, Attribution(Cause.DEPLOYMENT, "")).cause is (cause or Cause.DEPLOYMENT)

    def test_only_a_proved_difference_is_a_change(self) -> None:
        """A fault that the control has too is an older one, not a redesign."""
        red = a_check(PAGES, outcome=FAILED, attempts=[Attempt(outcome=FAILED, seconds=1.0)], effect="sign-in")
        journey = a_check(kind="journey", effect="sign-in")

        assert changed([red], {PAGES: Attribution(Cause.EXISTING, "")}, a_verdict(red, journey)) == {}


def test_two_silent_deployments_are_not_compared_further() -> None:
    """Four hundred requests that nobody answers would take minutes, and people wait for the notice."""
    verdict = a_verdict(
        a_check(outcome=FAILED, attempts=[Attempt(outcome=FAILED, seconds=1.0, message="-> no answer")])
    )
    found = DiagnosisResult({HEALTH: Attribution(Cause.EXISTING, "the control fails too")}, both_silent=True)
    diagnosis = Diagnosis(
        Target(name="t", url="http://127.0.0.1:9", mode="act"), COMPARISON, Runs("", "", "", ROOT, ROOT)
    )

    assert diagnosis.compare_errors(verdict, found) == (verdict, found)
