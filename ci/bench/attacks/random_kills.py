"""Kills a run that rolls back at random moments; the next run must end in the right state."""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from ci.bench.attacks.arena import Arena
from ci.bench.attacks.attack import ROLLED_BACK, Attack, Right
from ci.bench.attacks.kills import OUTAGE, kill, rolls_back
from ci.bench.attacks.moments import MOMENTS, member
from ci.bench.attacks.sandboxes import Sandboxes
from tests.selftest.processes import family

_MOMENTS = 30
_FIRST_S = 0.2


def _gate(gate: int) -> None:
    kill(gate)


def _group(gate: int) -> None:
    """Kill the process group of the gate, as a terminal or a CI system does."""
    with suppress(ProcessLookupError):
        os.killpg(gate, signal.SIGKILL)


def _everything(gate: int) -> None:
    """Kill every process of the run at once, as a container does that runs out of memory."""
    for process in family(gate):
        kill(process.pid)


def _pytest(gate: int) -> None:
    """Kill the pytest that runs now; between two of them the gate."""
    found = member(gate, "-m pytest")
    kill(found.pid if found else gate)


# The way of each kill and its share of all kills.
_WAYS: dict[str, tuple[Callable[[int], None], int]] = {
    "the gate": (_gate, 4),
    "the gate's process group": (_group, 2),
    "every process": (_everything, 2),
    "pytest": (_pytest, 2),
}
# A run whose pytest is killed goes on, and the kill of one that has ended does nothing.
_ENDS = Right(("stopped", "rollback"))
_ENDS_OF_PYTEST = Right(("stopped", "rollback", "hold", "incident", "escalate"))


@cache
def _parts() -> dict[str, float]:
    """
    Measure once how many seconds each part of a run that rolls back takes on this machine, by its first moment.

    Moments count from the beginning of their part: this machine may become slower or faster meanwhile.
    """
    attack = Attack(summary="nothing is killed", right=ROLLED_BACK, fault=OUTAGE)
    with (
        tempfile.TemporaryDirectory(prefix="7p-chaos-") as folder,
        Sandboxes() as sandboxes,
        sandboxes.arena(Path(folder), attack) as arena,
    ):
        seen = arena.run(attack)
    marks = seen.decision["seconds"]
    early = seen.seconds - marks["end"]
    return {
        "at-once": early + marks["checks"],
        "diagnosis": marks["request"] - marks["checks"],
        "asked": marks["end"] - marks["request"],
    }


def _wait(arena: Arena, gate: int, share: float) -> None:
    """Wait until this share of the run is over."""
    left = share * sum(_parts().values())
    for moment, seconds in _parts().items():
        if left < seconds:
            MOMENTS[moment](arena, gate)
            arena.let_run(gate, max(_FIRST_S, left))
            return
        left -= seconds


def attacks(seed: int) -> dict[str, Attack]:
    """Return the attacks; the seed chooses the moments, uniform over a run, and the ways."""
    # Moments, not secrets.
    chance = random.Random(seed)  # noqa: S311
    found: dict[str, Attack] = {}
    for number in range(1, _MOMENTS + 1):
        share = chance.random()
        (way,) = chance.choices(list(_WAYS), [weight for _, weight in _WAYS.values()])

        def during(arena: Arena, gate: int, share: float = share, way: str = way) -> None:
            _wait(arena, gate, share)
            _WAYS[way][0](gate)

        summary = f"kill -9 of {way} after {share:.0%} of a run"
        found[f"random-{number:02}"] = rolls_back(
            summary, during, _ENDS_OF_PYTEST if way == "pytest" else _ENDS, prepare=_measure
        )
    return found


def _measure(_arena: Arena) -> None:
    """Measure the parts before the run begins."""
    _parts()
