"""Kills parts of a run at named and at random moments; the next run must end in the right state."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import msgspec

from ci.bench.attacks.arena import Arena, Seen
from ci.bench.attacks.attack import KEPT, KEPT_OR_HELD, NOT_KEPT, ROLLED_BACK, Attack, Right
from fixtures.sandbox.edge.state import RefusedError
from fixtures.state.state import RollbackRecord
from tests.selftest.processes import Process, family

_OUTAGE = "pages-500"
_RANDOM_MOMENTS = 30
# A run that rolls back takes about nine seconds on a fast machine.
_LONGEST_S = 10.0
_BROWSER = "--remote-debugging-pipe"
_KILLED = Right(("stopped", "rollback"))
_FINISHED = Right(("rollback", "keep", "alert"))
_Moment = Callable[[Arena, int], None]


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _member(gate: int, words: str) -> Process | None:
    return next((one for one in family(gate) if words in one.command and one.pid != gate), None)


def _step(arena: Arena) -> str:
    """Return the step of the newest rollback in the state."""
    with suppress(OSError, msgspec.DecodeError):
        records = msgspec.json.decode((arena.state / "rollbacks.json").read_bytes(), type=list[RollbackRecord])
        return records[-1].step if records else ""
    return ""


def _browser_up(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, lambda: _member(gate, _BROWSER) is not None, "a browser runs")


def _pytest_up(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, lambda: _member(gate, "-m pytest") is not None, "pytest runs")


def _verdict_there(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, (arena.reports / "verdict.json").exists, "the verdict is there")


def _enrolled(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, (arena.reports / "leftovers.json").exists, "a student was enrolled")


def _intended(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, lambda: bool(_step(arena)), "the rollback is intended")


def _asked(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, lambda: bool(arena.moves), "Vercel was asked to roll back")


def _moved(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, lambda: arena.sandbox.edge.production == arena.control, "the alias moved")


def _proved(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, lambda: _step(arena) in {"proved", "healed"}, "the rollback is proved")


def _healing(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, (arena.reports / "rerun" / "healed").exists, "the proof of healing runs")


def _healed(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, lambda: _step(arena) == "healed", "production is healed")


def _told(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, lambda: bool(arena.told), "Slack was told")


def _pairs(arena: Arena, gate: int) -> None:
    arena.wait_for(gate, (arena.reports / "rerun").exists, "a re-run looks for the cause")


_MOMENTS: dict[str, _Moment] = {
    "pytest-up": _pytest_up,
    "browser-up": _browser_up,
    "verdict-there": _verdict_there,
    "diagnosis": _pairs,
    "intended": _intended,
    "asked": _asked,
    "moved": _moved,
    "proved": _proved,
    "healing": _healing,
    "healed": _healed,
    "told": _told,
}


def _after(moment: _Moment, number: signal.Signals, *, times: int = 1, group: bool = False) -> _Moment:
    """Send the gate a signal at a moment."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        for _ in range(times):
            with suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(gate, number)

    return during


def _at_the_request(*, taken: bool) -> _Moment:
    """Kill the gate while Vercel handles its rollback request; then carry the request out, or not."""

    def during(arena: Arena, gate: int) -> None:
        edge = arena.sandbox.edge
        healthy = edge.request_alias

        def killing(kind: str, deployment: object) -> None:
            edge.request_alias = healthy  # type: ignore[method-assign]  # the sandbox is broken by assignment
            _kill(gate)
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
            _kill(gate)

    arena.sandbox.sinks.slack.messages = Killing()


def _part(moment: _Moment, words: str, number: signal.Signals = signal.SIGKILL) -> _Moment:
    """Wait for a process of the run with these words in its command, and kill it."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        arena.wait_for(gate, lambda: _member(gate, words) is not None, f"a process with {words} runs")
        found = _member(gate, words)
        if found is not None:
            _kill(found.pid, number)

    return during


def _worker(arena: Arena, gate: int) -> None:
    """Kill the xdist worker that drives the browser."""
    _browser_up(arena, gate)
    driver = _member(gate, "run-driver")
    if driver is not None:
        _kill(driver.parent)


def _postgres(arena: Arena, gate: int) -> None:
    _pytest_up(arena, gate)
    _kill(arena.sandbox.postgres.pid)


def _edge(moment: _Moment, *, everywhere: bool) -> _Moment:
    """Cut production's address at a moment, or the runner's whole network."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        sandbox = arena.sandbox
        arena.do(sandbox.cut_network() if everywhere else sandbox.edge.production_listener.cut())

    return during


def _vercel(moment: _Moment) -> _Moment:
    """Cut Vercel's API at a moment."""

    def during(arena: Arena, gate: int) -> None:
        moment(arena, gate)
        port = int(arena.sandbox.handle.api_url.rpartition(":")[2])
        for listener in arena.sandbox.listeners.opened:
            if listener.port == port:
                arena.do(listener.cut())

    return during


def _slack(moment: _Moment) -> _Moment:
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
    if _step(arena) not in {"proved", "healed", "not-healed"}:
        problems.append(f"the record of the rollback ends at {_step(arena) or 'nothing'}")
    if not arena.told:
        problems.append("nobody was told")
    return problems


def _one_move(arena: Arena, _seen: Seen) -> list[str]:
    return [f"production was asked to move {len(arena.moves)} times"] if len(arena.moves) > 1 else []


def _rolls_back(summary: str, during: _Moment, right: Right = _KILLED, *, leaves: bool = True) -> Attack:
    return Attack(
        summary=summary, right=right, fault=_OUTAGE, during=during, again=_FINISHED, proof=_finished, leaves=leaves
    )


def _of_the_gate() -> Iterator[tuple[str, Attack]]:
    for name, moment in _MOMENTS.items():
        about = name.replace("-", " ")
        yield f"gate-{name}", _rolls_back(f"kill -9 of the gate: {about}", _after(moment, signal.SIGKILL))
    for taken in (True, False):
        what = "takes" if taken else "loses"
        summary = f"kill -9 of the gate while Vercel {what} its request"
        yield f"gate-request-{what}", _rolls_back(summary, _at_the_request(taken=taken))
    yield "gate-telling", _rolls_back("kill -9 of the gate while Slack takes its message", _while_telling)


def _by_signal() -> Iterator[tuple[str, Attack]]:
    stopped = Right(("hold", "stopped"), unsaid=("Traceback",), seconds=60)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        word = number.name.lower()
        for times in (1, 2):
            often = "" if times == 1 else "-twice"
            for name in ("pytest-up", "browser-up"):
                during = _after(_MOMENTS[name], number, times=times, group=True)
                yield (
                    f"{word}{often}-{name}",
                    Attack(
                        summary=f"{number.name}{often} of the run: {name.replace('-', ' ')}",
                        right=stopped,
                        during=during,
                    ),
                )
            late = _after(_asked, number, times=times, group=True)
            summary = f"{number.name}{often} while Vercel rolls back: too late"
            yield f"{word}{often}-asked", _rolls_back(summary, late, ROLLED_BACK, leaves=False)
        early = _after(lambda _arena, _gate: None, number, group=True)
        summary = f"{number.name} before the run begins"
        yield f"{word}-at-once", Attack(summary=summary, right=stopped, during=early)


def _of_parts() -> Iterator[tuple[str, Attack]]:
    healthy = {
        "pytest": (_part(_browser_up, "-m pytest"), KEPT_OR_HELD),
        "pytest-stopped": (_part(_browser_up, "-m pytest", signal.SIGTERM), KEPT_OR_HELD),
        "browser": (_part(_browser_up, _BROWSER), KEPT_OR_HELD),
        "renderer": (_part(_browser_up, "--type=renderer"), KEPT_OR_HELD),
        "gpu-process": (_part(_browser_up, "--type=gpu-process"), KEPT),
        "network-service": (_part(_browser_up, "--type=utility"), KEPT_OR_HELD),
        "driver": (_part(_browser_up, "run-driver"), KEPT_OR_HELD),
        "enrolment": (_part(_enrolled, "-m pytest"), KEPT_OR_HELD),
    }
    for name, (during, right) in healthy.items():
        about = name.replace("-", " ")
        yield name, Attack(summary=f"{about} is killed in a healthy run", right=right, during=during, again=KEPT)
    yield (
        "worker",
        Attack(
            summary="an xdist worker is killed in a healthy run",
            right=KEPT_OR_HELD,
            arguments=("--reports={folder}/reports", "--state={folder}/state", "-n", "2"),
            during=_worker,
        ),
    )
    red = {
        "pytest-in-diagnosis": _part(_pairs, "-m pytest"),
        "pytest-in-healing": _part(_healing, "-m pytest"),
    }
    for name, during in red.items():
        summary = f"{name.replace('-', ' ')} is killed while the gate rolls back"
        ends = Right(("rollback", "hold", "incident", "escalate"))
        yield name, replace(_rolls_back(summary, during, ends, leaves=False), again=_FINISHED)


def _of_surroundings() -> Iterator[tuple[str, Attack]]:
    yield "postgres", Attack(summary="kill -9 of PostgreSQL during a run", right=NOT_KEPT, during=_postgres)
    loss = Right(("hold", "incident"), seconds=180)
    yield (
        "network-browser-up",
        Attack(
            summary="the runner's network ends during a run", right=loss, during=_edge(_browser_up, everywhere=True)
        ),
    )
    yield (
        "production-browser-up",
        Attack(
            summary="production's address refuses connections from the middle of a run on",
            right=Right(("rollback", "hold", "incident", "escalate"), seconds=180),
            during=_edge(_browser_up, everywhere=False),
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
                fault=_OUTAGE,
                during=_vercel(_MOMENTS[name]),
                proof=_one_move,
            ),
        )
    yield (
        "network-asked",
        Attack(
            summary="the runner's network ends after the request to roll back",
            right=broken,
            fault=_OUTAGE,
            during=_edge(_asked, everywhere=True),
            proof=_one_move,
        ),
    )
    yield (
        "slack",
        Attack(
            summary="Slack refuses every message",
            right=ROLLED_BACK,
            fault=_OUTAGE,
            during=_slack(_pytest_up),
            proof=_one_move,
        ),
    )


def _at_random(seed: int) -> Iterator[tuple[str, Attack]]:
    moments = random.Random(seed)  # noqa: S311  (moments, not secrets)
    for number in range(1, _RANDOM_MOMENTS + 1):
        seconds = moments.uniform(0.2, _LONGEST_S)

        def during(arena: Arena, gate: int, seconds: float = seconds) -> None:
            arena.let_run(gate, seconds)
            _kill(gate)

        yield f"random-{number:02}", _rolls_back(f"kill -9 of the gate after {seconds:.1f} s", during)


def attacks(seed: int) -> dict[str, Attack]:
    """Return the attacks of this group; the seed chooses the random moments."""
    named = dict(_of_the_gate()) | dict(_by_signal()) | dict(_of_parts()) | dict(_of_surroundings())
    return named | dict(_at_random(seed))
