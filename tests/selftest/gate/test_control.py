"""The control without a ledger, and Vercel's words that nobody has documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import JSONResponse

from fixtures.sandbox.app.call import Build
from fixtures.sandbox.edge.deployments import Deployment
from fixtures.state.state import RollbackRecord
from tests.selftest.gate.verdicts import HEALTH, PAGES, a_check
from tests.selftest.gate.world import World, a_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a world of its own."""
    with a_world(tmp_path, monkeypatch) as world:
        yield world


def pile(world: World, count: int) -> None:
    """Put staged builds on top of all others, which only the API knows."""
    edge = world.running.edge
    newest = max(known.created for known in edge.deployments.values())
    for number in range(1, count + 1):
        staged = Deployment(Build(), f"127.0.0.1:{number}", newest + number)
        edge.deployments[staged.id] = staged


def promote_a_bad_one(world: World) -> Deployment:
    """Let production serve a bad deployment that is newer than all others."""
    newest = world.running.publish(promote=True)
    newest.created = max(known.created for known in world.running.edge.deployments.values()) + 1
    world.suite.broken = {HEALTH: {newest.id}}
    return newest


class TestWithoutALedger:
    """It is the newest that served production, was not rolled back from, and passes P0 now."""

    @pytest.mark.parametrize("staged", [25, 130])
    def test_it_is_found_below_a_pile_of_staged_builds(self, world: World, staged: int) -> None:
        """They were pushed while production was pinned; the list has pages."""
        pile(world, staged)
        promote_a_bad_one(world)

        assert world.run() == 1
        assert world.running.served() == world.bad.id

    @pytest.mark.parametrize("also_red", [HEALTH, PAGES], ids=["the same check", "another one"])
    def test_one_that_does_not_pass_p0_is_no_control(self, world: World, also_red: str) -> None:
        """Two bad deployments in a row: the one before both passes, and production goes back to it."""
        world.suite.checks[1].severity = world.suite.checks[0].severity
        newest = promote_a_bad_one(world)
        world.suite.broken.setdefault(also_red, set()).add(world.bad.id)

        assert world.run() == 1

        assert world.running.served() == world.good.id
        assert f"after {world.bad.id} did not pass P0" in world.decision["control_source"]
        assert world.decision["rollback"]["from_id"] == newest.id

    def test_three_are_tried(self, world: World) -> None:
        """A fault that all of them have is an older one; the search has an end."""
        for _ in range(3):
            world.running.publish(promote=True)
        promote_a_bad_one(world)
        world.suite.broken = {HEALTH: {"*"}}

        assert world.run() == 4
        assert world.causes == {HEALTH: "existing"}
        proofs = [run for run in world.suite.runs if any("control.variants" in argument for argument in run)]
        assert len(proofs) == 3

    def test_no_other_is_tried_while_a_vendor_is_down(self, world: World) -> None:
        """Its own status page says so: every deployment fails where it is needed, and people wait for the notice."""
        down = JSONResponse({"status": {"indicator": "critical", "description": "down"}})
        page = world.running.do(world.running.edge.listeners.open(down))
        told = json.loads((world.options.reports.parent / "handle.json").read_text())
        (world.options.reports.parent / "handle.json").write_text(
            json.dumps({**told, "third_parties": {"stripe": page.url}})
        )
        world.suite.checks.append(a_check("tests/smoke/test_pay.py::test_pay", "P1", third_party="stripe"))
        promote_a_bad_one(world)
        world.suite.broken = {HEALTH: {"*"}, "tests/smoke/test_pay.py::test_pay": {"*"}}

        assert world.run() == 4
        assert world.causes["tests/smoke/test_pay.py::test_pay"] == "third-party"
        proofs = [run for run in world.suite.runs if any("control.variants" in argument for argument in run)]
        assert len(proofs) == 1

    def test_one_that_was_rolled_back_from_is_no_control(self, world: World) -> None:
        """Our own state knows it, or Vercel's last request."""
        promote_a_bad_one(world)
        record = RollbackRecord(
            run_id="0", deployment_id=world.bad.id, target_id=world.good.id, reason="", intended_at=1, step="healed"
        )
        world.state.record_rollback(record)

        assert world.run() == 1
        assert world.running.served() == world.good.id


class TestNewWords:
    """Vercel adds words without notice: none stops the gate, and none changes who is blamed."""

    @pytest.mark.parametrize("bad", [True, False])
    @pytest.mark.parametrize(
        "words",
        [
            {"READY": "SERVING"},
            {"PROMOTED": "LIVE", "STAGED": "PREPARED"},
            {"production": "live"},
            {"succeeded": "done", "pending": "queued", "in-progress": "moving"},
            {"rollback": "restore", "promote": "release"},
        ],
        ids=["state", "substate", "target", "job status", "type"],
    )
    def test_a_bad_build_is_rolled_back_and_a_good_one_kept(
        self, world: World, words: dict[str, str], *, bad: bool
    ) -> None:
        """The decision is the one in known words."""
        world.running.edge.other_words = words
        world.suite.broken = {HEALTH: {world.bad.id}} if bad else {}

        assert world.run() == (1 if bad else 0)
        assert world.causes == ({HEALTH: "deployment"} if bad else {})

    def test_a_job_in_a_failed_state_is_no_proof(self, world: World) -> None:
        """Only documented words say no, and they still do."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        world.running.edge.job_outcome = "failed"

        assert world.run() == 5
