"""A whole stage against a real edge: fault, decision, exit code, and production afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.model.verdict import Outcome, Verdict
from fixtures.run.directory import EARLY_END
from fixtures.sandbox.app.call import Build
from fixtures.state.state import Good
from tests.selftest.gate.verdicts import HEALTH, PAGES, a_check
from tests.selftest.gate.world import ACCESS, CHECKS, HEADERS, World, a_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a world of its own."""
    with a_world(tmp_path, monkeypatch) as world:
        yield world


class TestRollback:
    """The deployment is to blame."""

    def test_rolled_back_proved_and_healed(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit 1, production serves the previous one, and P0 was seen green on it."""
        world.suite.broken = {HEALTH: {world.bad.id}}

        assert world.run() == 1

        assert world.running.served() == world.good.id
        assert world.causes == {HEALTH: "deployment"}
        assert world.decision["rollback"]["step"] == "healed"
        assert [record.step for record in world.state.rollbacks()] == ["healed"]
        printed = capsys.readouterr().out
        assert "ROLLBACK (exit 1" in printed
        assert f"rolled back {world.bad.id} -> {world.good.id}" in printed
        # The moment at which it begins is when people have to know it.
        assert "note: a rollback pins production" in printed

    def test_a_p1_too(self, world: World) -> None:
        """A P1 leads to a rollback too."""
        world.suite.broken = {PAGES: {world.bad.id}}

        assert world.run() == 1
        assert world.running.served() == world.good.id

    def test_the_last_good_of_the_ledger_wins_over_the_previous_one(self, world: World) -> None:
        """Two bad deployments in a row do not go back to the first of them."""
        worse = world.running.publish(promote=True)
        world.state.record_good(Good(deployment_id=world.good.id, run_id="0", recorded_at=1))
        world.suite.broken = {HEALTH: {world.bad.id, worse.id}}

        assert world.run() == 1
        assert world.running.served() == world.good.id
        assert world.decision["control_source"] == "last good of run 0"

    def test_it_is_not_repeated(self, world: World) -> None:
        """The same build needs a person when it is promoted again."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        world.run()

        async def promote() -> None:
            world.running.edge.promote(world.bad.id)

        world.running.do(promote())

        assert world.run() == 5
        assert world.posts == 1
        assert "tried once" in world.decision["rollback"]["detail"]

    def test_a_deployment_that_is_gone_is_judged_by_the_alias(self, world: World) -> None:
        """Production answers the platform's own 404; there is nothing left to pair."""
        world.suite.broken = {HEALTH: {""}}
        world.bad.deleted = True

        assert world.run() == 1
        assert world.running.served() == world.good.id
        assert "by alias, not by pairs" in world.decision["red"][0]["evidence"]
        assert world.suite.started("--rounds") == 1


class TestEscalate:
    """The deployment is rejected, and production still needs a person: exit 5."""

    def test_refused_by_vercel(self, world: World) -> None:
        """Hobby plan: only the immediately previous one."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        world.running.edge.rollback_status = 402

        assert world.run() == 5
        assert world.decision["decision"] == "escalate"
        assert "402" in world.decision["rollback"]["detail"]
        assert world.running.served() == world.bad.id

    def test_the_target_does_not_pass_p0_itself(self, world: World) -> None:
        """One check blames the deployment, and another P0 is red on the old one."""
        world.suite.checks = [*CHECKS, a_check("tests/smoke/test_pay.py::test_pay")]
        world.suite.broken = {HEALTH: {world.bad.id}, "tests/smoke/test_pay.py::test_pay": {"*"}}

        assert world.run() == 5
        assert world.posts == 0
        assert "does not pass P0 itself: pay: failed" in world.decision["rollback"]["detail"]

    def test_not_healed(self, world: World) -> None:
        """The alias moved, and production is red on the earlier deployment too."""
        world.suite.broken = {HEALTH: {world.bad.id}}

        def fall_ill(arguments: list[str]) -> None:
            if any("rerun/healed" in argument for argument in arguments):
                world.suite.broken = {HEALTH: {"*"}}

        world.suite.before = fall_ill

        assert world.run() == 5
        assert world.decision["rollback"]["step"] == "not-healed"
        assert [record.step for record in world.state.rollbacks()] == ["not-healed"]

    def test_nothing_to_roll_back_to(self, world: World) -> None:
        """Without a control no rollback can repair what users meet: people are told."""
        world.good.deleted = True
        world.suite.broken = {HEALTH: {world.bad.id}}

        assert world.run() == 4
        assert world.causes == {HEALTH: "unknown"}


class TestNoRollback:
    """Something is wrong that a rollback would not repair."""

    def test_it_was_so_before(self, world: World) -> None:
        """The check is red on both deployments: incident, exit 4."""
        world.suite.broken = {HEALTH: {"*"}}

        assert world.run() == 4
        assert (world.causes, world.posts) == ({HEALTH: "existing"}, 0)

    def test_the_database(self, world: World) -> None:
        """A check of the database is never paired, and a red one is an incident."""
        world.suite.broken = {ACCESS: {"*"}}

        assert world.run() == 4
        assert world.suite.started("--variants") == 0

    def test_the_runner_is_blind(self, world: World) -> None:
        """Neither production nor anything outside answers: hold, exit 3."""
        world.suite.broken = {HEALTH: {"*"}}

        def cut(_arguments: list[str]) -> None:
            world.running.do(world.running.edge.production_listener.cut())
            world.running.do(world.outside.cut())

        world.suite.after = cut

        assert world.run() == 3
        assert world.causes == {HEALTH: "runner"}
        assert world.posts == 0

    def test_mild(self, world: World) -> None:
        """A P2 is reported, and the deployment stays."""
        world.suite.broken = {HEADERS: {world.bad.id}}

        assert world.run() == 0
        assert world.decision["decision"] == "alert"
        assert world.state.last_good() is not None

    def test_flaky(self, world: World) -> None:
        """Red once: alert, after it was seen green on production."""
        world.suite.once = {HEALTH}

        assert world.run() == 0
        assert world.causes == {HEALTH: "flaky"}
        assert world.suite.started("--only") == 3

    def test_green_on_its_own_address_and_red_on_production_is_no_flake(self, world: World) -> None:
        """The alias, DNS or the edge is wrong, and users are there."""
        suite = world.suite

        def break_production_only(arguments: list[str]) -> None:
            paired = any(argument.startswith("--variants") for argument in arguments)
            suite.broken = {} if paired else {HEALTH: {"*"}}

        suite.before = break_production_only

        assert world.run() == 3
        assert "again on production" in world.decision["red"][0]["evidence"]


class TestToTheEnd:
    """A red P0 ends the run early only where a rollback may follow."""

    @pytest.mark.parametrize("stage", ["postdeploy", "daily"])
    def test_the_run_may_end_early_only_where_a_rollback_may_follow(self, world: World, stage: str) -> None:
        """The file in the private directory says so; in any other stage the first red P0 hides nothing."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        seen: list[bool] = []

        def look(arguments: list[str]) -> None:
            only = next((given.partition("=")[2] for given in arguments if given.startswith("--only=")), "")
            seen.extend([Path(only).with_name(EARLY_END).exists()] if only else [])

        world.suite.before = look
        world.run(replace(world.options, command=stage))

        assert set(seen) == {stage == "postdeploy"}

    def test_without_a_rollback_the_rest_runs_before_the_decision(self, world: World) -> None:
        """The first red P0 would hide everything else, although nothing can be undone."""
        world.suite.checks = [a_check(HEALTH), a_check(PAGES, "P1", Outcome.SUPERSEDED)]
        world.suite.broken = {HEALTH: {"*"}}

        def heal(arguments: list[str]) -> None:
            if any("rerun/rest" in argument for argument in arguments):
                world.suite.checks = [a_check(HEALTH), a_check(PAGES, "P1")]
                world.suite.broken |= {PAGES: {"*"}}

        world.suite.before = heal

        assert world.run() == 4
        assert world.causes == {HEALTH: "existing", PAGES: "existing"}
        # `accept` finds them in the file.
        written = Verdict.read(world.options.reports / "verdict.json")
        assert [check.outcome for check in written.checks] == [Outcome.FAILED, Outcome.FAILED]
        assert [run for run in world.suite.runs if "--all" in run] == [run for run in world.suite.runs if _is_rest(run)]

    def test_all_reaches_the_run(self, world: World) -> None:
        """`ci/verify postdeploy --all` measures everything, whatever follows."""
        world.run(replace(world.options, all=True))

        assert "--all" in world.suite.runs[0]


def _is_rest(arguments: list[str]) -> bool:
    return any("rerun/rest" in argument for argument in arguments)


class TestKeep:
    """Healthy."""

    def test_it_becomes_the_last_good(self, world: World) -> None:
        """The ledger names the checks that it passed."""
        assert world.run() == 0

        good = world.state.last_good()
        assert good is not None
        assert (good.deployment_id, good.passed[0]) == (world.bad.id, HEALTH)
        assert world.decision["decision"] == "keep"

    def test_a_narrowed_run_proves_nothing_of_the_deployment(self, world: World) -> None:
        """A check that is due and did not run did not pass; it is named, and the ledger does not learn of the run."""
        world.suite.due = [f"tests/smoke/test_left_out.py::test_{number}" for number in range(4)]

        assert world.run() == 3
        assert world.decision["rule"] == 2
        assert "4 checks that are due did not run (tests/smoke/test_left_out.py::test_0" in world.decision["reasons"][0]
        assert world.state.last_good() is None

    def test_production_moved_meanwhile(self, world: World) -> None:
        """A verdict about two deployments proves nothing about either."""
        world.suite.after = lambda _: world.running.do(push())

        async def push() -> None:
            await world.running.edge.publish(Build(), promote=True)

        assert world.run() == 3
        assert world.state.last_good() is None

    def test_the_deployment_that_was_asked_for_is_not_live(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a rollback a push is live nowhere until it is promoted."""
        staged = world.running.publish()
        monkeypatch.setenv("SYNTHETIC_DEPLOYMENT", staged.id)

        assert world.run() == 3
        assert "never promoted" in world.decision["reasons"][0]
        assert world.suite.runs == []
