"""A gate may be killed at any point: the next run finishes its record, tells people, and rolls nothing back twice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import incidents, notify, rollback, rollback_flow
from ci.notify import Message, Notice, Outbox, announce, deliver, queue
from ci.unfinished import acting
from fixtures.state.state import RollbackRecord, State, StateBusyError
from tests.selftest.gate.verdicts import HEALTH
from tests.selftest.gate.world import World, a_world

MESSAGE = Message("Health is red", "P0", "Identified", "everybody", ["first: look"])
OTHER = Message("Pages are red", "P1", "Identified", "everybody", [])
HOOK = "http://127.0.0.1:9/hook"


class Killed(BaseException):
    """Stands for kill -9: nothing handles it, and nothing after it runs."""


class Slack:
    """Takes messages in place of `send`. dies_at: the number of the message during which the gate is killed."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.dies_at = -1
        self.problem: str | None = None

    def send(self, _webhook: str, message: Message) -> str | None:
        """Take one."""
        if self.problem is None:
            self.titles.append(message.title)
        if len(self.titles) == self.dies_at:
            raise Killed
        return self.problem


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Slack:
    """Return the stand-in that takes every message from now on."""
    taker = Slack()
    monkeypatch.setattr(notify, "send", taker.send)
    return taker


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Return an empty state."""
    return State(tmp_path / "state")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a world whose candidate is to blame."""
    with a_world(tmp_path, monkeypatch) as world:
        world.suite.broken = {HEALTH: {world.bad.id}}
        yield world


class TestOutbox:
    """A notice arrives at least once, and a repeat says so."""

    def test_told_once(self, state: State, slack: Slack) -> None:
        """Messages are sent once, in the order in which they were queued."""
        queue(state, [MESSAGE, OTHER])
        notes = deliver(state, HOOK)

        assert slack.titles == [MESSAGE.title, OTHER.title]
        assert notes == ["sent to Slack: Health is red (Identified)", "sent to Slack: Pages are red (Identified)"]
        assert deliver(state, HOOK) == []

    def test_killed_while_it_tells(self, state: State, slack: Slack) -> None:
        """The first may have arrived and is marked; the second had not been begun."""
        queue(state, [MESSAGE, OTHER])
        slack.dies_at = 1
        with pytest.raises(Killed):
            deliver(state, HOOK)
        slack.dies_at = -1
        deliver(state, HOOK)

        assert slack.titles == [MESSAGE.title, f"{MESSAGE.title} (again: it may have arrived)", OTHER.title]

    def test_slack_refuses(self, state: State, slack: Slack) -> None:
        """A later run sends the notice, without the mark "again"."""
        queue(state, [MESSAGE])
        slack.problem = "the notice to Slack failed: 404"
        assert deliver(state, HOOK) == ["the notice to Slack failed: 404"]
        slack.problem = None
        deliver(state, HOOK)

        assert slack.titles == [MESSAGE.title]

    def test_a_rollback_that_nobody_was_told_of(self, state: State, slack: Slack) -> None:
        """It is reported with its result; a rollback that its own run has reported is not repeated."""
        for run_id in ("1", "2"):
            announce(state, run_id)
            record = RollbackRecord(run_id=run_id, deployment_id="x", target_id="y", reason="r", intended_at=1)
            record.step = "healed"
            state.record_rollback(record)
        queue(state, [MESSAGE], told_of="2")
        deliver(state, HOOK)

        assert slack.titles == [MESSAGE.title, "x was rolled back to y: healed"]
        assert state.document(notify.OUTBOX, Outbox) == Outbox()

    def test_it_does_not_grow_for_ever(self, state: State) -> None:
        """A webhook that is gone must not fill the disk."""
        queue(state, [MESSAGE] * 200)

        box = state.document(notify.OUTBOX, Outbox)
        assert box is not None
        assert box.waiting == [Notice(message=MESSAGE)] * 50


def die(*_arguments: object, **_words: object) -> None:
    """Be killed here."""
    raise Killed


class TestKilled:
    """Kill -9 of a gate that rolls back, at each point of the way."""

    @pytest.mark.parametrize(
        ("module", "name", "step"),
        [
            (rollback_flow, "announce", None),
            (rollback_flow, "roll_back", None),
            (rollback_flow, "record_healing", "proved"),
            (incidents, "queue", "healed"),
            (incidents, "deliver", "healed"),
        ],
        ids=lambda part: part if isinstance(part, str) else "",
    )
    def test_the_next_run_finishes(
        self, world: World, monkeypatch: pytest.MonkeyPatch, slack: Slack, module: object, name: str, step: str | None
    ) -> None:
        """Production ends on the good deployment, one request was made, and somebody was told."""
        with monkeypatch.context() as patch:
            patch.setattr(module, name, die)
            with pytest.raises(Killed):
                world.run()
        assert [record.step for record in world.state.rollbacks()] == ([step] if step else [])

        code = world.run()

        assert world.running.served() == world.good.id
        assert world.posts == 1
        assert code == (0 if step else 1)
        assert [record.step for record in world.state.rollbacks()] == ["healed"]
        assert len(slack.titles) == 1

    @pytest.mark.parametrize(("at", "asked"), [("ask", False), ("prove", True)])
    def test_between_the_intent_and_the_proof(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        slack: Slack,
        at: str,
        asked: bool,  # noqa: FBT001
    ) -> None:
        """The next run sends a request that was not sent; it proves a request that was sent, and does not repeat it."""
        with monkeypatch.context() as patch:
            patch.setattr(rollback._Attempt, at, die)  # noqa: SLF001  (the only place between the two)
            with pytest.raises(Killed):
                world.run()

        code = world.run()

        assert world.running.served() == world.good.id
        assert world.posts == 1
        assert code == (0 if asked else 1)
        assert world.state.rollbacks()[-1].step == "healed"
        assert slack.titles

    def test_a_red_run_says_that_production_did_not_heal(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The record must not end as proved."""
        with monkeypatch.context() as patch:
            patch.setattr(rollback_flow, "record_healing", die)
            with pytest.raises(Killed):
                world.run()
        world.suite.broken = {HEALTH: {"*"}}

        world.run()

        assert [record.step for record in world.state.rollbacks()] == ["not-healed"]

    def test_the_first_lines_say_what_happened(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A person reads these first."""
        with monkeypatch.context() as patch:
            patch.setattr(rollback._Attempt, "prove", die)  # noqa: SLF001
            with pytest.raises(Killed):
                world.run()
        capsys.readouterr()

        world.run()

        assert "died while it rolled" in capsys.readouterr().err.splitlines()[0]


class TestTwoGates:
    """One gate acts; the other names it and notifies nobody."""

    def test_the_other_gate_is_named(self, state: State) -> None:
        """The error names the run, process and time of the other gate."""
        with acting(state, "run-1", wait=0):
            expected = rf"the gate of run run-1 \(process {os.getpid()}\) rolls back since 20..-..-.. ..:..:.. UTC"
            with pytest.raises(StateBusyError, match=expected), acting(state, "run-2", wait=0):
                pass
        with acting(state, "run-2", wait=0):
            pass

    def test_the_other_gate_acts_now(self, world: World, monkeypatch: pytest.MonkeyPatch, slack: Slack) -> None:
        """Hold, not escalate; it tells people itself."""
        monkeypatch.setattr(rollback_flow, "_LOCK_WAIT", 0.1)
        with acting(world.state, "run-1", wait=0):
            assert world.run() == 3

        assert (world.posts, slack.titles) == (0, [])
        assert "this run changes nothing: the gate of run run-1" in world.decision["reasons"][0]
        assert world.decision["rollback"]["step"] == "elsewhere"

    def test_the_other_gate_has_acted_meanwhile(self, world: World, slack: Slack) -> None:
        """A deployment that another gate has undone needs no human."""

        def act(arguments: list[str]) -> None:
            if any("rerun/pairs" in argument for argument in arguments):
                world.state.record_rollback(
                    RollbackRecord(
                        run_id="run-1",
                        deployment_id=world.bad.id,
                        target_id=world.good.id,
                        reason="",
                        intended_at=time.time(),
                        step="healed",
                    )
                )

        world.suite.before = act

        assert world.run() == 3
        assert (world.posts, slack.titles) == (0, [])
        assert "run run-1 has rolled" in world.decision["reasons"][0]
