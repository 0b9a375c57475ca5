"""A stage that may not act or cannot tell never ends green by accident."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.run.directory import DIFFERENCE_PAGE
from fixtures.state.state import RollbackRecord
from tests.selftest.gate.verdicts import HEALTH
from tests.selftest.gate.world import World, a_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a world of its own."""
    with a_world(tmp_path, monkeypatch) as world:
        yield world


class TestPredeploy:
    """Before the promotion."""

    def test_block(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Production is left alone, and is the control."""
        staged = world.running.publish()
        monkeypatch.setenv("SYNTHETIC_DEPLOYMENT", staged.id)
        world.suite.broken = {HEALTH: {staged.id}}
        # The run itself asks the candidate's own address; the stand-in of the suite asks production.
        world.suite.once = {HEALTH}

        assert world.run(replace(world.options, command="predeploy")) == 1
        assert world.decision["decision"] == "block"
        assert world.decision["control_id"] == world.bad.id
        assert world.posts == 0

    def test_a_fault_that_production_has_too_does_not_block(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The repair may be in this build."""
        staged = world.running.publish()
        monkeypatch.setenv("SYNTHETIC_DEPLOYMENT", staged.id)
        world.suite.broken = {HEALTH: {staged.id, world.bad.id}}

        assert world.run(replace(world.options, command="predeploy")) == 4


class TestModes:
    """The modes limit the actions."""

    @pytest.mark.parametrize("only_said", ["shadow", "dry run"])
    def test_decides_alike_and_does_nothing(self, world: World, only_said: str) -> None:
        """The report names the rollback that it would make."""
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
        earlier = [
            world.options.reports / name for name in ("decision.json", "summary.md", "verdict.json", DIFFERENCE_PAGE)
        ]
        for path in earlier:
            path.parent.mkdir(exist_ok=True)
            path.write_text("{}")

        assert world.run(replace(world.options, mode="off")) == 0
        # Whoever reads a decision there would read that of another run.
        assert [path for path in earlier if path.exists()] == []
        assert "NOTHING was verified" in capsys.readouterr().out
        assert world.suite.runs == []


class TestCannotTell:
    """Never green by accident."""

    def test_wrong_usage(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Wrong usage gives one line and exit 2, and no check runs."""
        assert world.run(replace(world.options, target="nowhere")) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert world.suite.runs == []

    def test_a_torn_verdict(self, world: World) -> None:
        """After an incomplete verdict the gate re-runs nothing and rolls back nothing."""
        world.suite.broken, world.suite.complete = {HEALTH: {world.bad.id}}, False

        assert world.run() == 3
        assert len(world.suite.runs) == 1

    def test_a_verdict_of_another_run(self, world: World) -> None:
        """Two runs that share a folder, or a file that was copied there, must not decide about this deployment."""
        world.suite.run_id = "20200101T000000-abcdef"

        assert world.run() == 3
        assert "its verdict is of another run: 20200101T000000-abcdef" in world.decision["reasons"][0]
        assert world.state.last_good() is None

    def test_no_verdict(self, world: World) -> None:
        """An old one is not taken for it."""
        world.run()
        world.suite.writes = False

        assert world.run() == 3
        assert "left no verdict" in world.decision["reasons"][0]

    def test_an_exception_in_the_gate(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Hold with a report; the traceback is in a file, without its secrets."""

        def fail(_arguments: list[str]) -> None:
            message = f"the token is {world.running.edge.token}"
            raise RuntimeError(message)

        world.suite.before = fail
        world.options.reports.mkdir(exist_ok=True)
        (world.options.reports / DIFFERENCE_PAGE).write_text("of an earlier run")

        assert world.run() == 3
        assert world.decision["pages"] == []

        captured = capsys.readouterr()
        assert "an error of the suite itself, not of the target: RuntimeError" in captured.out
        assert "Traceback" not in captured.out + captured.err
        assert world.running.edge.token not in captured.out + captured.err + json.dumps(world.decision)

    @pytest.mark.parametrize("name", ["last-good", "rollbacks", "incidents", "shadow", "outbox", "acting"])
    @pytest.mark.parametrize("content", ["{", "", "[1]", '[{"run_id": 7}]', "\x00\xff"])
    def test_a_torn_state_file_does_not_stop_the_judging_of_an_outage(
        self, world: World, name: str, content: str
    ) -> None:
        """The gate names the file, keeps it under another name, and takes no facts from it."""
        (world.state.path / f"{name}.json").write_bytes(content.encode("latin-1"))
        world.suite.broken = {HEALTH: {world.bad.id}}

        assert world.run() == 1
        assert (name == "acting") == (not any(f"{name}.json" in note for note in world.decision["notes"]))
        assert (name == "acting") == (not list(world.state.path.glob(f"{name}.json.unreadable-*")))

    def test_a_torn_record_of_rollbacks_leads_to_no_second_one(self, world: World) -> None:
        """The pieces that are left of it still name the deployment."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        assert world.run() == 1

        async def promote() -> None:
            world.running.edge.promote(world.bad.id)

        world.running.do(promote())
        record = world.state.path / "rollbacks.json"
        record.write_bytes(record.read_bytes()[:-20])

        assert world.run() == 5
        assert world.posts == 1
        assert "it is tried once" in world.decision["rollback"]["detail"]

    def test_vercel_does_not_answer(self, world: World) -> None:
        """A red P0 cannot be blamed on anything then, and users suffer all the same."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        world.running.edge.token = "another"  # noqa: S105

        assert world.run() == 4
        assert world.causes == {HEALTH: "unknown"}

    def test_a_killed_gate_is_told_of_by_the_next(self, world: World) -> None:
        """Its rollback was never requested and may be tried again."""
        record = RollbackRecord(
            run_id="0", deployment_id=world.bad.id, target_id=world.good.id, reason="", intended_at=time.time()
        )
        world.state.record_rollback(record)
        world.suite.broken = {HEALTH: {world.bad.id}}

        assert world.run() == 1
        assert "the gate of run 0 died" in world.decision["notes"][0]
