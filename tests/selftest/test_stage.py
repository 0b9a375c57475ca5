"""A whole stage against a real edge: fault, decision, exit code, and what production serves afterwards."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from ci.options import Options
from ci.stage import run
from fixtures.sandbox.build import Build
from fixtures.sandbox.deployments import Deployment
from fixtures.sandbox.handle import VARIABLE, Handle
from fixtures.sandbox.listeners import Listener
from fixtures.state import DirectoryState, Good, RollbackRecord, open_state
from tests.selftest.running_edge import RunningEdge, run_edge
from tests.selftest.verdicts import HEALTH, PAGES, Suite, a_check

ACCESS = "tests/database/test_access.py::test_access"
HEADERS = "tests/smoke/test_headers.py::test_headers"
CHECKS = [
    a_check(HEALTH),
    a_check(PAGES, "P1"),
    a_check(ACCESS, "P1", kind="database", eligible=False),
    a_check(HEADERS, "P2", eligible=False),
]


@dataclass
class World:
    """A platform whose production serves `bad`, after `good`; and a stage to run on it."""

    running: RunningEdge
    good: Deployment
    bad: Deployment
    outside: Listener
    suite: Suite
    options: Options
    state: DirectoryState

    def run(self, options: Options | None = None) -> int:
        """Run the stage."""
        return run(options or self.options, launch=self.suite.launch)

    @property
    def decision(self) -> dict[str, Any]:
        """What decision.json says."""
        report: dict[str, Any] = json.loads((self.options.reports / "decision.json").read_text())
        return report

    @property
    def causes(self) -> dict[str, str]:
        """Node id of every red check -> its cause."""
        return {check["node_id"]: check["cause"] for check in self.decision["red"]}

    @property
    def posts(self) -> int:
        """How often a rollback was asked for."""
        return self.running.edge.api_requests["POST /v9/projects/{project}/rollback/{deployment}"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a world of its own."""
    with run_edge() as running:
        edge = running.edge
        good, bad = running.publish(promote=True), running.publish(promote=True)
        outside = running.do(edge.listeners.open(PlainTextResponse("ok")))
        handle = Handle(
            pid=os.getpid(),
            run_dir=str(tmp_path),
            production_url=edge.production_url,
            candidate_id=bad.id,
            candidate_url=bad.base_url,
            previous_id=good.id,
            previous_url=good.base_url,
            api_url=running.api.url,
            control_url=outside.url,
            control_addresses=[outside.url],
            third_parties={},
            sinks={"slack": f"{outside.url}/canary-slack"},
            database_dsn="postgresql://monitor:canary-dsn-password@127.0.0.1/platform",
            vercel_token=edge.token,
            project_id=edge.project.id,
            project_name=edge.project.name,
            bypass_secret=edge.bypass_secret,
            enrolment_code="canary-code",
            stripe_webhook_secret="canary-webhook",  # noqa: S106
            accounts={},
            control_token="canary-control",  # noqa: S106
        )
        handle.write(tmp_path / "handle.json")
        monkeypatch.setenv(VARIABLE, str(tmp_path / "handle.json"))
        monkeypatch.delenv("SYNTHETIC_TARGET", raising=False)
        monkeypatch.delenv("SYNTHETIC_DEPLOYMENT", raising=False)
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        suite = Suite(edge.production_url, CHECKS)
        options = Options(stage="postdeploy", reports=tmp_path / "reports", state=tmp_path / "state")
        yield World(running, good, bad, outside, suite, options, open_state(tmp_path / "state", "sandbox"))


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

    def test_a_p1_too(self, world: World) -> None:
        """High severity undoes as well."""
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
        """Promoted again, the same build needs a human."""
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
    """Rejected, and production still needs a human: exit 5."""

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
        """The alias moved, and production is red on the good one too by then."""
        world.suite.broken = {HEALTH: {world.bad.id}}

        def fall_ill(arguments: list[str]) -> None:
            if any("rerun/healed" in argument for argument in arguments):
                world.suite.broken = {HEALTH: {"*"}}

        world.suite.before = fall_ill

        assert world.run() == 5
        assert world.decision["rollback"]["step"] == "not-healed"
        assert [record.step for record in world.state.rollbacks()] == ["not-healed"]

    def test_nothing_to_roll_back_to(self, world: World) -> None:
        """Blamed by the ledger alone can be a deployment without any control; here there is none to pair either."""
        world.good.deleted = True
        world.suite.broken = {HEALTH: {world.bad.id}}

        assert world.run() == 3
        assert world.causes == {HEALTH: "unknown"}


class TestNoRollback:
    """Something is wrong, and undoing the deployment would not mend it."""

    def test_it_was_so_before(self, world: World) -> None:
        """Red on both: incident, exit 4."""
        world.suite.broken = {HEALTH: {"*"}}

        assert world.run() == 4
        assert (world.causes, world.posts) == ({HEALTH: "existing"}, 0)

    def test_the_database(self, world: World) -> None:
        """It is never paired."""
        world.suite.broken = {ACCESS: {"*"}}

        assert world.run() == 4
        assert world.suite.started("--sides") == 0

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
        """P2 is told and let stand."""
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
            paired = any(argument.startswith("--sides") for argument in arguments)
            suite.broken = {} if paired else {HEALTH: {"*"}}

        suite.before = break_production_only

        assert world.run() == 3
        assert "again on production" in world.decision["red"][0]["evidence"]


class TestKeep:
    """Healthy."""

    def test_it_becomes_the_last_good(self, world: World) -> None:
        """With what it passed."""
        assert world.run() == 0

        good = world.state.last_good()
        assert good is not None
        assert (good.deployment_id, good.passed[0]) == (world.bad.id, HEALTH)
        assert world.decision["decision"] == "keep"

    def test_a_narrowed_run_proves_nothing_of_the_deployment(self, world: World) -> None:
        """`-k health` is for a person, not for the ledger."""
        assert world.run(replace(world.options, pytest_args=("-k", "health"))) == 0
        assert world.state.last_good() is None

    def test_production_moved_meanwhile(self, world: World) -> None:
        """A verdict over two deployments is one over neither."""
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


class TestPredeploy:
    """Before the promotion."""

    def test_block(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Production is left alone, and is the control."""
        staged = world.running.publish()
        monkeypatch.setenv("SYNTHETIC_DEPLOYMENT", staged.id)
        world.suite.broken = {HEALTH: {staged.id, world.bad.id}}

        assert world.run(replace(world.options, stage="predeploy")) == 1
        assert world.decision["decision"] == "block"
        assert world.decision["control_id"] == world.bad.id
        assert world.posts == 0


class TestModes:
    """What may be done."""

    @pytest.mark.parametrize("only_said", ["shadow", "dry run"])
    def test_decides_alike_and_does_nothing(self, world: World, only_said: str) -> None:
        """And says what it would do."""
        world.suite.broken = {HEALTH: {world.bad.id}}

        shadow, dry_run = replace(world.options, mode="shadow"), replace(world.options, dry_run=True)

        assert world.run(shadow if only_said == "shadow" else dry_run) == 1

        assert (world.posts, world.running.served()) == (0, world.bad.id)
        assert world.decision["rollback"]["step"] == "would"
        assert world.state.rollbacks() == []
        assert (world.state.path / "shadow.json").exists() == (only_said == "shadow")

    def test_a_refused_rollback_is_an_escalation_in_shadow_too(self, world: World) -> None:
        """The score of the shadow log would be wrong otherwise."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        record = RollbackRecord(
            run_id="0", deployment_id="dpl_x", target_id="dpl_y", reason="", intended_at=time.time(), step="healed"
        )
        world.state.record_rollback(record)

        assert world.run(replace(world.options, mode="shadow")) == 5

    def test_off_is_loud_and_verifies_nothing(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Break-glass."""
        assert world.run(replace(world.options, mode="off")) == 0
        assert "NOTHING was verified" in capsys.readouterr().out
        assert world.suite.runs == []


class TestCannotTell:
    """Never green by accident."""

    def test_wrong_usage(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """One line, exit 2, nothing ran."""
        assert world.run(replace(world.options, target="nowhere")) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert world.suite.runs == []

    def test_a_torn_verdict(self, world: World) -> None:
        """Nothing is re-run, nothing undone."""
        world.suite.broken, world.suite.complete = {HEALTH: {world.bad.id}}, False

        assert world.run() == 3
        assert len(world.suite.runs) == 1

    def test_no_verdict(self, world: World) -> None:
        """An old one is not taken for it."""
        world.run()
        world.suite.writes = False

        assert world.run() == 3
        assert "left no verdict" in world.decision["reasons"][0]

    def test_an_exception_in_the_gate(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Hold with a report; the traceback is masked."""

        def fail(_arguments: list[str]) -> None:
            message = f"the token is {world.running.edge.token}"
            raise RuntimeError(message)

        world.suite.before = fail

        assert world.run() == 3

        captured = capsys.readouterr()
        assert "the gate itself failed: RuntimeError" in captured.out
        assert world.running.edge.token not in captured.out + captured.err + json.dumps(world.decision)

    def test_state_that_cannot_be_read(self, world: World) -> None:
        """It is named, not guessed."""
        (world.state.path / "rollbacks.json").write_text("{")

        assert world.run() == 3
        assert "rollbacks.json" in world.decision["reasons"][0]

    def test_vercel_does_not_answer(self, world: World) -> None:
        """A red P0 cannot be blamed on anything then."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        world.running.edge.token = "another"  # noqa: S105

        assert world.run() == 3
        assert world.causes == {HEALTH: "unknown"}

    def test_a_killed_gate_is_told_of_by_the_next(self, world: World) -> None:
        """And its rollback, which never left, may be tried again."""
        record = RollbackRecord(
            run_id="0", deployment_id=world.bad.id, target_id=world.good.id, reason="", intended_at=time.time()
        )
        world.state.record_rollback(record)
        world.suite.broken = {HEALTH: {world.bad.id}}

        assert world.run() == 1
        assert "the gate of run 0 died" in world.decision["notes"][0]
