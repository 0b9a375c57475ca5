"""The named moments of a run at which an attack may begin."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec

from ci.bench.attacks.arena import Arena
from fixtures.state.state import RollbackRecord
from tests.selftest.processes import Process, family

Moment = Callable[[Arena, int], None]
_BROWSER = "--remote-debugging-pipe"


def member(gate: int, words: str) -> Process | None:
    """Return a process of the run with these words in its command; None: there is none now."""
    return next((one for one in family(gate) if words in one.command and one.pid != gate), None)


def step(arena: Arena) -> str:
    """Return the step of the newest rollback in the state; empty: there is none."""
    with suppress(OSError, msgspec.DecodeError):
        records = msgspec.json.decode((arena.state / "rollbacks.json").read_bytes(), type=list[RollbackRecord])
        return records[-1].step if records else ""
    return ""


def _when(moment: str, condition: Callable[[Arena, int], bool]) -> Moment:
    """Make a function that waits for a moment of the run."""

    def wait(arena: Arena, gate: int) -> None:
        arena.wait_for(gate, lambda: condition(arena, gate), moment)

    return wait


MOMENTS: dict[str, Moment] = {
    name: _when(name.replace("-", " "), condition)
    for name, condition in {
        "at-once": lambda _arena, _gate: True,
        "pytest-up": lambda _arena, gate: member(gate, "-m pytest") is not None,
        "browser-up": lambda _arena, gate: member(gate, _BROWSER) is not None,
        "enrolled": lambda arena, _gate: (arena.reports / "leftovers.json").exists(),
        "verdict-there": lambda arena, _gate: (arena.reports / "verdict.json").exists(),
        "diagnosis": lambda arena, _gate: (arena.reports / "rerun").exists(),
        "intended": lambda arena, _gate: bool(step(arena)),
        "asked": lambda arena, _gate: bool(arena.moves),
        "moved": lambda arena, _gate: arena.sandbox.edge.production == arena.control,
        "proved": lambda arena, _gate: step(arena) in {"proved", "healed"},
        "healing": lambda arena, _gate: (arena.reports / "rerun" / "healed").exists(),
        "healed": lambda arena, _gate: step(arena) == "healed",
        "told": lambda arena, _gate: bool(arena.told),
    }.items()
}
