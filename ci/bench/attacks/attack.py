"""An attack as plain data: what is done to a run, and which ends of the run are right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fixtures.sandbox.app.call import Build

if TYPE_CHECKING:
    from ci.bench.attacks.arena import Arena, Seen
    from fixtures.sandbox.sandbox import Sandbox

# A run that is not attacked takes about eight seconds; the rest is for slow machines and for the target's bounds.
SECONDS = 120.0
GENTLE = ("keep", "alert")
# A shell starts the gate, so that it can close descriptors and set limits first. "$@" is the command.
PLAIN = 'exec "$@"'


@dataclass(frozen=True)
class Right:
    """
    The right answer.

    ends: decisions, each with its own exit code; "usage" is exit 2 with one line and without a decision, "off" exit 0
    without one, "stopped" the end by the signal that was sent.
    said, unsaid: texts that the terminal must show, and must not show.
    """

    ends: tuple[str, ...]
    said: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    seconds: float = SECONDS


KEPT = Right(GENTLE)
ROLLED_BACK = Right(("rollback",))
REFUSED = Right(("usage",), seconds=20)
# The attack took something away that the run needs: it may say so and hold, or go on without it. It may not accuse.
KEPT_OR_HELD = Right((*GENTLE, "hold", "usage"))
# The deployment is broken: nothing that the attack does may turn this into `keep`.
NOT_KEPT = Right(("rollback", "hold", "incident", "escalate", "usage"))


@dataclass(frozen=True)
class Break:
    """Something that is wrong with the sandbox: with the candidate's build, or around it."""

    build: Callable[[Build], None] | None = None
    sandbox: Callable[[Sandbox], Awaitable[None]] | None = None


def _nothing(_arena: Arena) -> None:
    """Prepare nothing."""


def _watch(_arena: Arena, _gate: int) -> None:
    """Let the run alone."""


def _no_more(_arena: Arena, _seen: Seen) -> list[str]:
    """Demand nothing beyond the right answer."""
    return []


@dataclass(frozen=True, kw_only=True)
class Attack:
    """
    One attack.

    fault: of the sandbox's catalogue.  breaks: something else that is wrong, None: the platform is healthy.
    environment: variables over those of the bench; `{folder}` stands for the attack's own directory.
    arguments: of ci/verify, after the stage, with `{folder}` and `{url}`; command: the stage, or another command.
    shell: how a shell starts the gate.  prepare: comes before the run.  during: attacks while it runs; gets the
    process id of the gate.  proof: further demands, as sentences about what is wrong.
    again: the right answer of a second run, which is not attacked; None: there is none.
    leaves: the run may leave processes or private directories (only where the gate itself was killed).
    unseen: the bench may not find the decision's file (the disk is another one's, or full): the exit code says it all.
    """

    summary: str
    right: Right
    fault: str | None = None
    breaks: Break | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str = "postdeploy"
    arguments: tuple[str, ...] = ()
    shell: str = PLAIN
    prepare: Callable[[Arena], None] = _nothing
    during: Callable[[Arena, int], None] = _watch
    proof: Callable[[Arena, Seen], list[str]] = _no_more
    again: Right | None = None
    leaves: bool = False
    unseen: bool = False
