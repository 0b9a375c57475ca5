"""Kills parts of a run at named moments; the next run must end in the right state."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from ci.bench.attacks.arena import Arena, Seen
from ci.bench.attacks.attack import KEPT, KEPT_OR_HELD, NOT_KEPT, PLACES, ROLLED_BACK, Attack, Right
from ci.bench.attacks.moments import MOMENTS, Moment, member, step
from fixtures.sandbox.edge.state import RefusedError

OUTAGE = "pages-500"
_KILLED = Right(("stopped", "rollback"))
_FINISHED = Right(("rollback", "keep", "alert"))


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Kill a process, unless it has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _after(moment: Moment, number: signal.Signals, *, times: int = 1, group: bool = False) -> Moment:
    """Send the gate a signal at a moment."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        for _ in range(times):
            with suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(gate, number)

    return during


def _at_the_request(*, taken: bool) -> Moment:
    """Kill the gate while Vercel handles its rollback request; then carry the request out, or not."""

    def during(arena: Arena, gate: int) -> None:
        edge = arena.sandbox.edge
        healthy = edge.request_alias

        def killing(kind: str, deployment: object) -> None:
            edge.request_alias = healthy  # type: ignore[method-assign]  # the sandbox is broken by assignment
            kill(gate)
            if not taken:
                raise RefusedError(500, "internal_server_error", "killed")
            healthy(kind, deployment)  # type: ignore[arg-type]  # handed on as it came

        edge.request_alias = killing  # type: ignore[method-assign]

    return during


def _while_telling(arena: Arena, gate: int) -> None:
    """Kill the gate after Slack has accepted its message and before Slack answers."""

    class Killing(list[dict[str, object]]):
        def append(self, message: dict[str, object]) -> None:
            super().append(message)
            kill(gate)

    arena.sandbox.sinks.slack.messages = Killing()


def _part(moment: Moment, words: str, number: signal.Signals = signal.SIGKILL) -> Moment:
    """Wait for a process of the run with these words in its command, and kill it."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        arena.wait_for(gate, lambda: member(gate, words) is not None, f"a process with {words} runs")
        found = member(gate, words)
        if found is not None:
            kill(found.pid, number)

    return during


def _worker(arena: Arena, gate: int) -> None:
    """Kill the xdist worker that drives the browser."""
    MOMENTS["browser-up"](arena, gate)
    driver = member(gate, "run-driver")
    if driver is not None:
        kill(driver.parent)


def _postgres(arena: Arena, gate: int) -> None:
    MOMENTS["pytest-up"](arena, gate)
    kill(arena.sandbox.postgres.pid)


def _edge(moment: Moment, *, everywhere: bool) -> Moment:
    """Cut production's address at a moment, or the runner's whole network."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        sandbox = arena.sandbox
        arena.do(sandbox.cut_network() if everywhere else sandbox.edge.production_listener.cut())

    return during


def _vercel(moment: Moment) -> Moment:
    """Cut Vercel's API at a moment."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        port = int(arena.sandbox.handle.api_url.rpartition(":")[2])
        for listener in arena.sandbox.listeners.opened:
            if listener.port == port:
                arena.do(listener.cut())

    return during


def _slack(moment: Moment) -> Moment:
    """Let Slack refuse messages from a moment on."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        arena.sandbox.sinks.slack.refusal = (500, "rollup_error")

    return during


def _finished(arena: Arena, _seen: Seen) -> list[str]:
    """Find a missing or second rollback, an unproved record, and a missing message to people."""
    problems = []
    if arena.sandbox.edge.production != arena.control:
        problems.append("production still serves the broken deployment")
    if arena.moves != [(arena.candidate, arena.control)]:
        problems.append(f"production was asked to move {len(arena.moves)} times")
    if step(arena) not in {"proved", "healed", "not-healed"}:
        problems.append(f"the record of the rollback ends at {step(arena) or 'nothing'}")
    if not arena.told:
        problems.append("nobody was told")
    if any(times > 1 for times in Counter(arena.told).values()):
        problems.append("a message came twice, and the second does not say so")
    if arena.enrolments() != arena.enrolments_before:
        problems.append("an enrolment was left behind")
    return problems


def _one_move(arena: Arena, _seen: Seen) -> list[str]:
    return [f"production was asked to move {len(arena.moves)} times"] if len(arena.moves) > 1 else []


def rolls_back(
    summary: str,
    during: Moment,
    right: Right = _KILLED,
    *,
    leaves: bool = True,
    prepare: Callable[[Arena], None] = lambda _: None,
) -> Attack:
    """Return an attack on a run that rolls back; the run after it finishes the work."""
    return Attack(
        summary=summary,
        right=right,
        fault=OUTAGE,
        prepare=prepare,
        during=during,
        again=_FINISHED,
        proof=_finished,
        leaves=leaves,
    )


def _of_the_gate() -> Iterator[tuple[str, Attack]]:
    for name, moment in MOMENTS.items():
        if name in {"at-once", "enrolled"}:
            continue
        about = name.replace("-", " ")
        yield f"gate-{name}", rolls_back(f"kill -9 of the gate: {about}", _after(moment, signal.SIGKILL))
    for taken in (True, False):
        what = "takes" if taken else "loses"
        summary = f"kill -9 of the gate while Vercel {what} its request"
        yield f"gate-request-{what}", rolls_back(summary, _at_the_request(taken=taken))
    yield "gate-telling", rolls_back("kill -9 of the gate while Slack takes its message", _while_telling)


def _by_signal() -> Iterator[tuple[str, Attack]]:
    stopped = Right(("hold", "stopped"), unsaid=("Traceback",), seconds=60)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        word = number.name.lower()
        for times in (1, 2):
            often = "" if times == 1 else "-twice"
            for name in ("pytest-up", "browser-up"):
                during = _after(MOMENTS[name], number, times=times, group=True)
                yield (
                    f"{word}{often}-{name}",
                    Attack(
                        summary=f"{number.name}{often} of the run: {name.replace('-', ' ')}",
                        right=stopped,
                        during=during,
                    ),
                )
            late = _after(MOMENTS["asked"], number, times=times, group=True)
            summary = f"{number.name}{often} while Vercel rolls back: too late"
            yield f"{word}{often}-asked", rolls_back(summary, late, ROLLED_BACK, leaves=False)
        early = _after(MOMENTS["at-once"], number, group=True)
        summary = f"{number.name} before the run begins"
        yield f"{word}-at-once", Attack(summary=summary, right=stopped, during=early)


def _of_parts() -> Iterator[tuple[str, Attack]]:
    healthy = {
        "pytest": (_part(MOMENTS["browser-up"], "-m pytest"), KEPT_OR_HELD),
        "pytest-stopped": (_part(MOMENTS["browser-up"], "-m pytest", signal.SIGTERM), KEPT_OR_HELD),
        "browser": (_part(MOMENTS["browser-up"], "--remote-debugging-pipe"), KEPT_OR_HELD),
        "renderer": (_part(MOMENTS["browser-up"], "--type=renderer"), KEPT_OR_HELD),
        "gpu-process": (_part(MOMENTS["browser-up"], "--type=gpu-process"), KEPT),
        "network-service": (_part(MOMENTS["browser-up"], "--type=utility"), KEPT_OR_HELD),
        "driver": (_part(MOMENTS["browser-up"], "run-driver"), KEPT_OR_HELD),
        "enrolment": (_part(MOMENTS["enrolled"], "-m pytest"), KEPT_OR_HELD),
    }
    for name, (during, right) in healthy.items():
        about = name.replace("-", " ")
        yield name, Attack(summary=f"{about} is killed in a healthy run", right=right, during=during, again=KEPT)
    yield (
        "worker",
        Attack(
            summary="an xdist worker is killed in a healthy run",
            right=KEPT_OR_HELD,
            arguments=(*PLACES, "-n", "2"),
            during=_worker,
        ),
    )
    red = {
        "pytest-in-diagnosis": _part(MOMENTS["diagnosis"], "-m pytest"),
        "pytest-in-healing": _part(MOMENTS["healing"], "-m pytest"),
    }
    for name, during in red.items():
        summary = f"{name.replace('-', ' ')} is killed while the gate rolls back"
        ends = Right(("rollback", "hold", "incident", "escalate"))
        yield name, replace(rolls_back(summary, during, ends, leaves=False), again=_FINISHED)


def _of_surroundings() -> Iterator[tuple[str, Attack]]:
    yield "postgres", Attack(summary="kill -9 of PostgreSQL during a run", right=NOT_KEPT, during=_postgres)
    yield (
        "network-browser-up",
        Attack(
            summary="the runner's network ends during a run",
            right=Right(("hold", "incident"), seconds=180),
            during=_edge(MOMENTS["browser-up"], everywhere=True),
        ),
    )
    yield (
        "production-browser-up",
        Attack(
            summary="production's address refuses connections from the middle of a run on",
            right=Right(("rollback", "hold", "incident", "escalate"), seconds=180),
            during=_edge(MOMENTS["browser-up"], everywhere=False),
            proof=_one_move,
        ),
    )
    broken = Right(("hold", "incident", "escalate", "rollback"), seconds=180)
    for name in ("pytest-up", "diagnosis", "asked", "moved"):
        about = name.replace("-", " ")
        yield (
            f"vercel-{name}",
            Attack(
                summary=f"Vercel's API is gone: {about}",
                right=broken,
                fault=OUTAGE,
                during=_vercel(MOMENTS[name]),
                proof=_one_move,
            ),
        )
    yield (
        "network-asked",
        Attack(
            summary="the runner's network ends after the request to roll back",
            right=broken,
            fault=OUTAGE,
            during=_edge(MOMENTS["asked"], everywhere=True),
            proof=_one_move,
        ),
    )
    yield (
        "slack",
        Attack(
            summary="Slack refuses every message",
            right=ROLLED_BACK,
            fault=OUTAGE,
            during=_slack(MOMENTS["pytest-up"]),
            proof=_one_move,
        ),
    )


def attacks() -> dict[str, Attack]:
    """Return the attacks at named moments."""
    return dict(_of_the_gate()) | dict(_by_signal()) | dict(_of_parts()) | dict(_of_surroundings())
