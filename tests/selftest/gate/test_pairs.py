"""The choice of checks that run again in pairs, and the judgement of the rounds."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ci.causes import Circumstances, without_pairs
from ci.comparison import Comparison
from ci.pairs import Choice, choose, fisher, from_control, from_pairs, from_single
from fixtures.model.verdict import Attempt, Cause, CheckResult, Outcome
from tests.selftest.gate.comparisons import COMPARISON, HEALTHY, NEW, OLD
from tests.selftest.gate.verdicts import HEALTH, a_check, an_attempt

FAILED, PASSED = Outcome.FAILED, Outcome.PASSED


def rerun(red_new: int, red_old: int, rounds: int = 5, third_party: str | None = None) -> CheckResult:
    """Return a paired re-run, red so often on the new and on the old deployment."""
    attempts: list[Attempt] = []
    for turn in range(rounds):
        attempts.append(an_attempt(FAILED if turn < red_new else PASSED, "candidate", NEW))
        attempts.append(an_attempt(FAILED if turn < red_old else PASSED, "control", OLD))
    return a_check(outcome=FAILED, attempts=attempts, third_party=third_party)


@pytest.mark.parametrize(
    ("red_new", "red_old", "chance"),
    [(5, 0, 0.00397), (4, 0, 0.02381), (3, 0, 0.08333), (5, 5, 1.0), (5, 2, 0.08333), (0, 0, 1.0), (0, 5, 1.0)],
)
def test_fisher(red_new: int, red_old: int, chance: float) -> None:
    """Exact values, by hand."""
    assert fisher(red_new, red_old, 5) == pytest.approx(chance, abs=1e-5)


@pytest.mark.parametrize(
    ("red_new", "red_old", "cause"),
    [
        (5, 0, Cause.DEPLOYMENT),
        (4, 0, Cause.DEPLOYMENT),
        (5, 1, Cause.DEPLOYMENT),
        (3, 0, Cause.UNKNOWN),
        (1, 0, Cause.UNKNOWN),
        (5, 2, Cause.UNKNOWN),
        (5, 5, Cause.EXISTING),
        (5, 4, Cause.EXISTING),
        (2, 3, Cause.EXISTING),
        (0, 2, Cause.EXISTING),
        (0, 0, Cause.FLAKY),
    ],
)
def test_pairs(red_new: int, red_old: int, cause: Cause) -> None:
    """Red on the candidate only: the deployment is to blame; red on both: it is not; red on neither: flaky."""
    found = from_pairs(a_check(outcome=FAILED), rerun(red_new, red_old), COMPARISON, HEALTHY)

    assert found.cause is cause
    assert f"{red_new}/5 on {NEW}" in found.evidence


def test_a_known_fault_of_the_control_counts_as_no_failure() -> None:
    """Both deployments have the known fault; the candidate has another one besides, and is to blame."""
    paired = rerun(5, 0)
    for attempt in paired.attempts:
        attempt.outcome = FAILED if attempt.variant == "candidate" else Outcome.KNOWN

    assert from_pairs(a_check(outcome=FAILED), paired, COMPARISON, HEALTHY).cause is Cause.DEPLOYMENT


@pytest.mark.parametrize(
    "spoiled",
    [
        {"identified": False},
        {"deployments": [OLD]},
        {"deployments": [NEW, OLD]},
        {"outcome": Outcome.NOT_MEASURED},
        {"blocker": Cause.SELF_INFLICTED},
    ],
    ids=["not identified", "the other answered", "both answered", "not measured", "a wall"],
)
def test_a_pair_that_does_not_prove_who_answered_does_not_count(spoiled: dict[str, object]) -> None:
    """Without two of the five pairs three are left, and three can prove nothing."""
    paired = rerun(5, 0)
    for attempt in [attempt for attempt in paired.attempts if attempt.variant == "candidate"][:2]:
        for name, value in spoiled.items():
            setattr(attempt, name, value)

    found = from_pairs(a_check(outcome=FAILED), paired, COMPARISON, HEALTHY)

    assert found.cause is Cause.UNKNOWN
    assert "only 3 of 5 pairs count" in found.evidence


@pytest.mark.parametrize(
    ("rounds", "control", "cause"), [(2, 2, Cause.EXISTING), (1, 1, Cause.UNKNOWN), (2, 0, Cause.UNKNOWN)]
)
def test_two_rounds_prove_a_fault_of_both(rounds: int, control: int, cause: Cause) -> None:
    """A pair whose every answer takes long ends after them; a difference needs four."""
    paired = rerun(rounds, control, rounds=rounds)

    assert from_pairs(a_check(outcome=FAILED), paired, COMPARISON, HEALTHY).cause is cause


def test_a_check_that_the_re_run_lost_is_unknown() -> None:
    """A re-run that did not run it proves nothing."""
    assert from_pairs(a_check(outcome=FAILED), None, COMPARISON, HEALTHY).cause is Cause.UNKNOWN


class TestRateLimited:
    """One pair and the run's own red attempt decide where a rate limit allows no more."""

    RED = a_check(outcome=FAILED, spends={"sign-ins": 1}, attempts=[an_attempt(FAILED, "target", NEW)])

    @pytest.mark.parametrize(
        ("red_new", "red_old", "cause"),
        [(1, 0, Cause.DEPLOYMENT), (1, 1, Cause.EXISTING), (0, 0, Cause.FLAKY), (0, 1, Cause.FLAKY)],
    )
    def test_one_pair(self, red_new: int, red_old: int, cause: Cause) -> None:
        """Red twice in a row on the new one, green on the old one."""
        assert from_single(self.RED, rerun(red_new, red_old, rounds=1), COMPARISON, HEALTHY).cause is cause

    def test_a_run_that_did_not_prove_who_answered(self) -> None:
        """The run's own red attempt is half of the evidence: without proof of the deployment the cause is unknown."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(FAILED, "target", None)])

        assert from_single(check, rerun(1, 0, rounds=1), COMPARISON, HEALTHY).cause is Cause.UNKNOWN

    def test_a_pair_that_did_not_prove_it(self) -> None:
        """The pair is the other half of the evidence: without it the cause is unknown."""
        assert from_single(self.RED, None, COMPARISON, HEALTHY).cause is Cause.UNKNOWN


class TestWrongPassword:
    """The run's own red attempt and one try on the control decide; the candidate gets no second wrong password."""

    RED = a_check(outcome=FAILED, spends={"wrong-passwords": 1}, attempts=[an_attempt(FAILED, "target", NEW)])

    @pytest.mark.parametrize(("control", "cause"), [(PASSED, Cause.DEPLOYMENT), (FAILED, Cause.EXISTING)])
    def test_one_try_on_the_control(self, control: Outcome, cause: Cause) -> None:
        """Refused there: the deployment is to blame; accepted there too: a rollback would not help."""
        again = a_check(outcome=control, attempts=[an_attempt(control, "control", OLD)])

        assert from_control(self.RED, again, COMPARISON, HEALTHY).cause is cause

    @pytest.mark.parametrize("outcome", [None, Outcome.NOT_MEASURED])
    def test_a_control_that_was_not_judged(self, outcome: Outcome | None) -> None:
        """Without it nobody knows whether the older deployment refuses."""
        again = a_check(outcome=outcome, attempts=[an_attempt(outcome, "control", OLD)]) if outcome else None

        assert from_control(self.RED, again, COMPARISON, HEALTHY).cause is Cause.UNKNOWN

    def test_a_run_that_did_not_prove_who_answered(self) -> None:
        """The red attempt may be another deployment's."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(FAILED, "target", None)])
        again = a_check(outcome=PASSED, attempts=[an_attempt(PASSED, "control", OLD)])

        assert from_control(check, again, COMPARISON, HEALTHY).cause is Cause.UNKNOWN

    def test_it_is_never_repeated_in_pairs(self) -> None:
        """However many tries are left."""
        choice = choose([self.RED], {}, COMPARISON)

        assert choice == Choice(control=[self.RED])


class TestThirdParty:
    """A vendor is to blame when both deployments fail alike, or when its own page says so."""

    CHECK = a_check(outcome=FAILED, third_party="stripe")
    TROUBLE = Circumstances(vendors={"stripe": "major (Partial outage)"})

    def test_red_alike(self) -> None:
        """The vendor is to blame also while its status page is still green."""
        assert from_pairs(self.CHECK, rerun(5, 5), COMPARISON, HEALTHY).cause is Cause.THIRD_PARTY

    def test_its_page_says_so(self) -> None:
        """An intermittent failure is the vendor's then."""
        found = from_pairs(self.CHECK, rerun(3, 0), COMPARISON, self.TROUBLE)

        assert found.cause is Cause.THIRD_PARTY
        assert "major (Partial outage)" in found.evidence

    def test_its_page_says_so_and_nothing_could_be_paired(self) -> None:
        """The status page is the only evidence."""
        assert without_pairs(self.CHECK, self.TROUBLE, COMPARISON, "no control").cause is Cause.THIRD_PARTY

    def test_pairs_beat_a_status_page(self) -> None:
        """Some component of a vendor is nearly always in trouble; a difference between deployments is ours."""
        assert from_pairs(self.CHECK, rerun(5, 0), COMPARISON, self.TROUBLE).cause is Cause.DEPLOYMENT

    def test_only_the_vendor_that_the_check_names(self) -> None:
        """Another check is not excused by it."""
        assert from_pairs(a_check(outcome=FAILED), rerun(5, 5), COMPARISON, self.TROUBLE).cause is Cause.EXISTING


class TestChoose:
    """The checks that run again in pairs."""

    def test_three_a_kind_and_p0_first(self) -> None:
        """The fourth says why it was not."""
        checks = [a_check(f"t::test_{n}", "P1", FAILED) for n in range(3)] + [a_check("t::test_p0", "P0", FAILED)]

        choice = choose(checks, {}, COMPARISON)
        chosen, reasons = choice.pairs, choice.reasons

        assert [check.node_id for check in chosen] == ["t::test_p0", "t::test_0", "t::test_1"]
        assert list(reasons) == ["t::test_2"]

    def test_p2_is_not_re_run(self) -> None:
        """A re-run of a P2 could not change the decision."""
        assert choose([a_check(severity="P2", judges="function", outcome=FAILED)], {}, COMPARISON).pairs == []

    def test_a_rate_limit_of_the_platform_is_not_used_up(self) -> None:
        """Ten for five pairs, or two for one; one more for the proof that production healed."""
        check = a_check(outcome=FAILED, spends={"searches": 1})

        assert choose([check], {"searches": 11}, COMPARISON) == Choice(pairs=[check])
        assert choose([check], {"searches": 10}, COMPARISON) == Choice(single=[check])
        assert choose([check], {"searches": 3}, COMPARISON) == Choice(single=[check])
        assert choose([check], {"searches": 2}, COMPARISON) == Choice(reasons={HEALTH: choose_reason("searches")})

    def test_enough_is_left_for_both_proofs(self) -> None:
        """The control and production after the rollback use a limit once more for each P0 check, red or green."""
        check, green = a_check(outcome=FAILED, spends={"course-lists": 1}), a_check(spends={"course-lists": 20})

        assert choose([check], {"course-lists": 51}, COMPARISON, proofs=[green]) == Choice(pairs=[check])
        assert choose([check], {"course-lists": 50}, COMPARISON, proofs=[green]) == Choice(single=[check])

    def test_host_bound_needs_a_pin(self) -> None:
        """On an immutable address sign-in ends up on production."""
        check = a_check(outcome=FAILED, host_bound=True)
        unpinned = Comparison(candidate_id=NEW, candidate=COMPARISON.candidate, control=COMPARISON.control)

        assert choose([check], {}, COMPARISON).pairs == [check]
        assert choose([check], {}, unpinned).pairs == []

    def test_a_check_that_asks_no_deployment(self) -> None:
        """GitHub's answer names no deployment, so no pair could count."""
        shared = replace(a_check(outcome=FAILED), asks=["vendor github"])
        mixed = replace(shared, asks=["vendor stripe", "GET /api/health"])

        assert "a service" in choose([shared], {}, COMPARISON).reasons[HEALTH]
        assert choose([mixed], {}, COMPARISON).pairs == [mixed]


def choose_reason(what: str) -> str:
    """Return the sentence for a check that would use up a rate limit."""
    return f"not re-run: that would use up the platform's rate limit of {what}"
