"""Whom a red check is blamed on, and what must be proved before a deployment is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ci.causes import (
    Choice,
    Surroundings,
    at_sight,
    choose,
    fisher,
    from_alias,
    from_pairs,
    from_single,
    look_around,
    without_pairs,
)
from ci.comparison import Scene
from ci.diagnosis import passes_p0
from fixtures.model.verdict import Attempt, Cause, CheckResult, Outcome
from fixtures.state.state import Good
from fixtures.target.target import Target
from fixtures.target.vercel import Deployment
from tests.selftest.gate.verdicts import HEALTH, a_check, a_verdict, an_attempt

NEW, OLD = "dpl_new", "dpl_old"
FAILED, PASSED = Outcome.FAILED, Outcome.PASSED
HEALTHY = Surroundings()
CLOSED = "http://127.0.0.1:9"
SCENE = Scene(
    candidate_id=NEW,
    candidate=Deployment(id=NEW, url="127.0.0.1:1", state="READY", created=2),
    control=Deployment(id=OLD, url="127.0.0.1:2", state="READY", created=1),
    control_source="last good of run 1",
    pinned_url="http://127.0.0.1:3",
    scheme="http",
)


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
    """Red on the new one only is the deployment's fault; red on both is not; red on neither was a flake."""
    found = from_pairs(a_check(outcome=FAILED), rerun(red_new, red_old), SCENE, HEALTHY)

    assert found.cause is cause
    assert f"{red_new}/5 on {NEW}" in found.evidence


@pytest.mark.parametrize(
    "spoiled",
    [
        {"identified": False},
        {"deployments": [OLD]},
        {"deployments": [NEW, OLD]},
        {"outcome": Outcome.NOT_MEASURED},
        {"wall": Cause.SELF_INFLICTED},
    ],
    ids=["not identified", "the other answered", "both answered", "not measured", "a wall"],
)
def test_a_pair_that_does_not_prove_who_answered_does_not_count(spoiled: dict[str, object]) -> None:
    """Two of five spoiled leave three, and three can prove nothing."""
    paired = rerun(5, 0)
    for attempt in [attempt for attempt in paired.attempts if attempt.side == "candidate"][:2]:
        for name, value in spoiled.items():
            setattr(attempt, name, value)

    found = from_pairs(a_check(outcome=FAILED), paired, SCENE, HEALTHY)

    assert found.cause is Cause.UNKNOWN
    assert "only 3 of 5 pairs count" in found.evidence


def test_a_check_that_the_re_run_lost_is_unknown() -> None:
    """A re-run that did not run it proves nothing."""
    assert from_pairs(a_check(outcome=FAILED), None, SCENE, HEALTHY).cause is Cause.UNKNOWN


class TestRationed:
    """Where the platform rations what a check takes, one pair and the run's own red attempt have to do."""

    RED = a_check(outcome=FAILED, spends={"sign-ins": 1}, attempts=[an_attempt(FAILED, "target", NEW)])

    @pytest.mark.parametrize(
        ("red_new", "red_old", "cause"),
        [(1, 0, Cause.DEPLOYMENT), (1, 1, Cause.EXISTING), (0, 0, Cause.FLAKY), (0, 1, Cause.FLAKY)],
    )
    def test_one_pair(self, red_new: int, red_old: int, cause: Cause) -> None:
        """Red twice in a row on the new one, green on the old one."""
        assert from_single(self.RED, rerun(red_new, red_old, rounds=1), SCENE, HEALTHY).cause is cause

    def test_a_run_that_did_not_prove_who_answered(self) -> None:
        """Its red attempt is half of the evidence."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(FAILED, "target", None)])

        assert from_single(check, rerun(1, 0, rounds=1), SCENE, HEALTHY).cause is Cause.UNKNOWN

    def test_a_pair_that_did_not_prove_it(self) -> None:
        """And the pair is the other half."""
        assert from_single(self.RED, None, SCENE, HEALTHY).cause is Cause.UNKNOWN


class TestThirdParty:
    """A vendor is to blame when both deployments fail alike, or when its own page says so."""

    CHECK = a_check(outcome=FAILED, third_party="stripe")
    TROUBLE = Surroundings(vendors={"stripe": "major (Partial outage)"})

    def test_red_alike(self) -> None:
        """Also while its status page is still green."""
        assert from_pairs(self.CHECK, rerun(5, 5), SCENE, HEALTHY).cause is Cause.THIRD_PARTY

    def test_its_page_says_so(self) -> None:
        """An intermittent failure is the vendor's then."""
        found = from_pairs(self.CHECK, rerun(3, 0), SCENE, self.TROUBLE)

        assert found.cause is Cause.THIRD_PARTY
        assert "major (Partial outage)" in found.evidence

    def test_its_page_says_so_and_nothing_could_be_paired(self) -> None:
        """The page is all there is."""
        assert without_pairs(self.CHECK, self.TROUBLE, SCENE, "no control").cause is Cause.THIRD_PARTY

    def test_pairs_beat_a_status_page(self) -> None:
        """Some component of a vendor is nearly always in trouble; a difference between deployments is ours."""
        assert from_pairs(self.CHECK, rerun(5, 0), SCENE, self.TROUBLE).cause is Cause.DEPLOYMENT

    def test_only_the_vendor_that_the_check_names(self) -> None:
        """Another check is not excused by it."""
        assert from_pairs(a_check(outcome=FAILED), rerun(5, 5), SCENE, self.TROUBLE).cause is Cause.EXISTING


class TestAtSight:
    """What needs no pairs."""

    @pytest.mark.parametrize("wall", [Cause.BLOCKED, Cause.SELF_INFLICTED])
    def test_a_wall(self, wall: Cause) -> None:
        """The answers themselves show what stood between."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(wall=wall, message="429, ours to keep")])

        found = at_sight(check, HEALTHY)

        assert found is not None
        assert (found.cause, found.evidence) == (wall, "429, ours to keep")

    def test_the_runner_is_blind(self) -> None:
        """Neither the target nor anything outside it answers."""
        found = at_sight(a_check(outcome=FAILED), Surroundings(target=False, controls=False))

        assert found is not None
        assert found.cause is Cause.RUNNER

    def test_refused_and_nothing_outside_answers(self) -> None:
        """The target may have come back between."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(wall=Cause.RUNNER)])

        found = at_sight(check, Surroundings(target=True, controls=False))

        assert found is not None
        assert found.cause is Cause.RUNNER

    @pytest.mark.parametrize("around", [Surroundings(target=False, controls=True), Surroundings(target=False)])
    def test_refused_while_the_world_answers_is_not_the_runner(self, around: Surroundings) -> None:
        """It goes on to pairs; without control addresses nothing proves the runner blind."""
        check = a_check(outcome=FAILED, attempts=[an_attempt(wall=Cause.RUNNER)])

        assert at_sight(check, around) is None

    def test_the_database_is_the_same_under_every_deployment(self) -> None:
        """It is never paired."""
        found = at_sight(a_check(outcome=FAILED, kind="database"), HEALTHY)

        assert found is not None
        assert found.cause is Cause.EXISTING

    def test_an_ordinary_red_check_needs_pairs(self) -> None:
        """Nothing is blamed at sight."""
        assert at_sight(a_check(outcome=FAILED, attempts=[an_attempt()]), HEALTHY) is None


class TestChoose:
    """Which checks are re-run in pairs."""

    def test_three_a_kind_and_p0_first(self) -> None:
        """The fourth says why it was not."""
        checks = [a_check(f"t::test_{n}", "P1", FAILED) for n in range(3)] + [a_check("t::test_p0", "P0", FAILED)]

        choice = choose(checks, {}, SCENE)
        chosen, reasons = choice.pairs, choice.reasons

        assert [check.node_id for check in chosen] == ["t::test_p0", "t::test_0", "t::test_1"]
        assert list(reasons) == ["t::test_2"]

    def test_p2_is_not_re_run(self) -> None:
        """It could not change the decision."""
        assert choose([a_check(severity="P2", outcome=FAILED)], {}, SCENE).pairs == []

    def test_what_the_platform_rations_is_not_used_up(self) -> None:
        """Ten for five pairs, or two for one; one more for the proof that production healed."""
        check = a_check(outcome=FAILED, spends={"searches": 1})

        assert choose([check], {"searches": 11}, SCENE) == Choice(pairs=[check])
        assert choose([check], {"searches": 10}, SCENE) == Choice(single=[check])
        assert choose([check], {"searches": 3}, SCENE) == Choice(single=[check])
        assert choose([check], {"searches": 2}, SCENE) == Choice(reasons={HEALTH: choose_reason("searches")})

    def test_host_bound_needs_a_pin(self) -> None:
        """On an immutable address sign-in ends up on production."""
        check = a_check(outcome=FAILED, host_bound=True)
        unpinned = Scene(candidate_id=NEW, candidate=SCENE.candidate, control=SCENE.control)

        assert choose([check], {}, SCENE).pairs == [check]
        assert choose([check], {}, unpinned).pairs == []


def choose_reason(what: str) -> str:
    """Return the sentence of a check that would use up a ration."""
    return f"re-running it would use up the platform's {what}"


class TestLedger:
    """A host-bound check without a pin is attributed from the alias and the ledger."""

    SCENE = Scene(
        candidate_id=NEW,
        candidate=SCENE.candidate,
        control=SCENE.control,
        control_source="last good of run 1",
        good=Good(deployment_id=OLD, run_id="1", recorded_at=0, passed=[HEALTH]),
    )

    def test_it_passed_when_the_last_good_was_let_stand(self) -> None:
        """Saying that it is no pair."""
        found = without_pairs(a_check(outcome=FAILED, host_bound=True), HEALTHY, self.SCENE, "no pin")

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
        """The ledger is no licence to guess."""
        assert without_pairs(check, HEALTHY, self.SCENE, "no pin").cause is Cause.UNKNOWN


def test_a_deployment_that_is_gone_is_judged_by_the_alias() -> None:
    """There is nothing left to pair; only a control that passes shows that it is the deployment."""
    gone = Scene(candidate_id=NEW, gone="deleted", control=SCENE.control, control_source="last good of run 1")

    found = from_alias(gone, control_passes=True)

    assert found.cause is Cause.DEPLOYMENT
    assert "deleted" in found.evidence
    assert from_alias(gone, control_passes=False).cause is Cause.UNKNOWN


class TestPassesP0:
    """Whether the rollback target is worth rolling back to."""

    def test_green(self) -> None:
        """What does not apply does not count."""
        inapplicable = a_check("t::test_x", outcome=Outcome.NOT_APPLICABLE)

        assert passes_p0(a_verdict(a_check(), inapplicable), pinned=True)[0]

    @pytest.mark.parametrize("outcome", [FAILED, Outcome.NOT_MEASURED, Outcome.SUPERSEDED])
    def test_not_green(self, outcome: Outcome) -> None:
        """A check that did not run did not pass."""
        assert passes_p0(a_verdict(a_check(), a_check("t::test_x", outcome=outcome)), pinned=True) == (
            False,
            f"x: {outcome}",
        )

    def test_nothing_ran(self) -> None:
        """An empty proof is none."""
        assert not passes_p0(a_verdict(), pinned=True)[0]
        assert not passes_p0(a_verdict(a_check(), complete=False), pinned=True)[0]

    def test_host_bound_checks_count_where_they_can_be_pinned(self) -> None:
        """Without a pin they ask production, which is the patient."""
        verdict = a_verdict(a_check(), a_check("t::test_sign_in", outcome=FAILED, host_bound=True))

        assert not passes_p0(verdict, pinned=True)[0]
        assert passes_p0(verdict, pinned=False)[0]


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer a status page; the root answers 500, which is an answer."""
        indicator = self.path.strip("/")
        body = json.dumps({"status": {"indicator": indicator, "description": "Outage"}}).encode()
        self.send_response(200 if indicator else 500)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def world() -> Iterator[str]:
    """Return the address of something that answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_look_around(world: str) -> None:
    """A 500 is an answer; a vendor's page that is well or cannot be read says nothing."""
    pages = {"stripe": f"{world}/major", "sentry": f"{world}/none", "supabase": f"{CLOSED}/status.json"}
    target = Target(name="t", url=world, mode="act", control_addresses=(CLOSED, world), third_parties=pages)

    around = look_around(target, ["stripe", "sentry", "supabase", "unheard-of"])

    assert around == Surroundings(target=True, controls=True, vendors={"stripe": "major (Outage)"})


def test_look_around_in_the_dark() -> None:
    """Nothing answers; and a target without control addresses cannot tell."""
    dark = look_around(Target(name="t", url=CLOSED, mode="act", control_addresses=(CLOSED,)), [])

    assert dark == Surroundings(target=False, controls=False)
    assert look_around(Target(name="t", url=CLOSED, mode="act"), []).controls is None
