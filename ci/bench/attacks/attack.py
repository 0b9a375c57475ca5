"""An attack as plain data: an action against a run, and the right ends of the run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fixtures.sandbox.app.call import Build

if TYPE_CHECKING:
    from ci.bench.attacks.arena import Arena, Seen
    from fixtures.sandbox.sandbox import Sandbox

# An ordinary run takes about eight seconds; slow machines and slow targets need more.
SECONDS = 120.0
GENTLE = ("keep", "alert")
# A shell starts the gate: it can close descriptors and set limits first. "$@" is the command.
PLAIN = 'exec "$@"'
# Where a run writes and remembers, unless an attack names other places.
PLACES = ("--reports={folder}/reports", "--state={folder}/state")


@dataclass(frozen=True)
class Right:
    """
    The right answer.

    ends: decisions, each with its own exit code; "usage" is exit 2 with a message, "stopped" the end by a signal.
    said, unsaid: texts that the terminal must show, and must not show.  seconds: the maximum of the whole run.
    """

    ends: tuple[str, ...]
    said: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    seconds: float = SECONDS


KEPT = Right(GENTLE)
ROLLED_BACK = Right(("rollback",))
REFUSED = Right(("usage",), seconds=20)
# The run lacks something because of the attack: it may say so and hold, or go on. It must not blame the deployment.
KEPT_OR_HELD = Right((*GENTLE, "hold", "usage"))
# The deployment is broken: no attack may turn this into `keep`.
NOT_KEPT = Right(("rollback", "hold", "incident", "escalate", "usage"))


@dataclass(frozen=True)
class Break:
    """A fault without a name: it changes the candidate's build, or the rest of the sandbox."""

    build: Callable[[Build], None] | None = None
    sandbox: Callable[[Sandbox], Awaitable[None]] | None = None


def _nothing(_arena: Arena) -> None:
    """Prepare nothing."""


def _watch(_arena: Arena, _gate: int) -> None:
    """Do not interfere with the run."""


def _no_more(_arena: Arena, _seen: Seen) -> list[str]:
    """Find no further problem."""
    return []


@dataclass(frozen=True, kw_only=True)
class Attack:
    """
    One attack.

    fault: name of a fault of the sandbox.  breaks: another fault; both None: the platform is healthy.
    environment: variables over those of the bench; `{folder}` is the attack's own directory.
    arguments: of ci/verify, after the stage, with `{folder}` and `{url}`.  command: a stage, or another command.
    shell: starts the gate.  prepare: is called before the run.  during: is called while the gate with this process id
    runs.  proof: returns one sentence for each further problem.
    again: the right answer of a second run, which is not attacked; None: there is none.
    leaves: the run may leave processes and private directories behind, because the gate itself was killed.
    unseen: the file of the decision may be missing (a full disk, a mount of the run): the exit code decides.
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

    @property
    def only_surrounds(self) -> bool:
        """Whether it leaves the sandbox as it is: a run rolls back at most, and the next one finds all as before."""
        return self.breaks is None and self.during is _watch
