"""Files that outlive a run (torn, foreign, locked), and folders that two runs use at the same time."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ci.bench.attacks.arena import Arena, Seen
from ci.bench.attacks.attack import GENTLE, KEPT, ROLLED_BACK, Attack, Right

_OUTAGE = "pages-500"
_FILES = ("last-good.json", "rollbacks.json", "incidents.json", "shadow.json", "rate-limits.json")
# Without its records the gate cannot know whether there was a rollback a minute ago: a human may have to decide.
_ESCALATED = Right(("rollback", "escalate"))
_CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "torn": b'[{"deployment_id": "dpl_1", "run_i',
    "null": b"null",
    "of-another-shape": b'{"version": 99, "entries": {}}',
    "of-other-types": b'[{"deployment_id": 7, "run_id": [], "recorded_at": "yesterday"}]',
    "binary": bytes(range(256)) * 40,
    "with-a-mark": b"\xef\xbb\xbf[]",
    "huge": b"[" + b" " * 50_000_000,
}


def _holding(name: str, content: bytes) -> Callable[[Arena], None]:
    def prepare(arena: Arena) -> None:
        arena.state.mkdir(parents=True)
        (arena.state / name).write_bytes(content)

    return prepare


def _directory(name: str) -> Callable[[Arena], None]:
    """Put a directory in place of the file: no user can read it as a file."""

    def prepare(arena: Arena) -> None:
        (arena.state / name).mkdir(parents=True)

    return prepare


def _link_to_itself(name: str) -> Callable[[Arena], None]:
    def prepare(arena: Arena) -> None:
        arena.state.mkdir(parents=True)
        (arena.state / name).symlink_to(arena.state / name)

    return prepare


def _record(arena: Arena, **changes: object) -> dict[str, object]:
    record: dict[str, object] = {
        "run_id": "20200101T000000-aaaaaa",
        "deployment_id": arena.candidate,
        "target_id": arena.control,
        "reason": "an earlier run",
        "intended_at": time.time() - 86_400,
    }
    return record | changes


def _rollbacks(**changes: object) -> Callable[[Arena], None]:
    def prepare(arena: Arena) -> None:
        arena.state.mkdir(parents=True)
        (arena.state / "rollbacks.json").write_bytes(msgspec.json.encode([_record(arena, **changes)]))

    return prepare


def _good(deployment_id: str) -> Callable[[Arena], None]:
    def prepare(arena: Arena) -> None:
        arena.state.mkdir(parents=True)
        good = {"deployment_id": deployment_id, "run_id": "20990101T000000-aaaaaa", "recorded_at": 4e9}
        (arena.state / "last-good.json").write_bytes(msgspec.json.encode([good]))

    return prepare


def _good_is_the_candidate(arena: Arena) -> None:
    _good(arena.candidate)(arena)


def _locked(name: str) -> Callable[[Arena], None]:
    """Hold a lock for as long as the sandbox lives."""

    def prepare(arena: Arena) -> None:
        arena.state.mkdir(parents=True)
        held = (arena.state / f"{name}.lock").open("w")
        fcntl.flock(held, fcntl.LOCK_EX)

        async def release() -> None:
            held.close()

        arena.sandbox.ends.push_async_callback(release)

    return prepare


def _left_report(name: str, content: bytes) -> Callable[[Arena], None]:
    """Leave a report of another run; the gate must not use it as its own."""

    def prepare(arena: Arena) -> None:
        arena.reports.mkdir()
        (arena.reports / name).write_bytes(content)

    return prepare


def _report_is_a_directory(name: str) -> Callable[[Arena], None]:
    def prepare(arena: Arena) -> None:
        (arena.reports / name).mkdir(parents=True)

    return prepare


def _one_move(arena: Arena, _seen: Seen) -> list[str]:
    moves = len(arena.moves)
    return [] if moves <= 1 else [f"production was asked to move {moves} times"]


class _Second:
    """A second gate that starts at some moment of the first one."""

    def __init__(self, after: Callable[[Arena], bool], *, apart: bool) -> None:
        self.after, self.apart = after, apart

    def __call__(self, arena: Arena, gate: int) -> None:
        """Start it while the first gate runs; a thread waits for its end."""
        arena.wait_for(gate, lambda: self.after(arena), "the second gate may start")
        plain = Attack(summary="the second gate", right=Right(()), arguments=self._arguments(), fault=_OUTAGE)
        arena.beside = threading.Thread(target=lambda: arena.others.append(arena.run(plain, marker="-second")))
        arena.beside.start()

    def _arguments(self) -> tuple[str, ...]:
        reports = "{folder}/second" if self.apart else "{folder}/reports"
        return (f"--reports={reports}", "--state={folder}/state")


def _both(arena: Arena, seen: Seen) -> list[str]:
    """Find a second rollback, mixed files of two runs, and an undecided end of the second gate."""
    if arena.beside is not None:
        arena.beside.join()
    problems = _one_move(arena, seen)
    if arena.moves and arena.sandbox.edge.production != arena.control:
        problems.append("production still serves the broken deployment")
    for second in arena.others:
        if second.code not in {0, 1, 2, 3, 4}:
            problems.append(f"the second gate ended with {second.code}: {second.err[-300:]}")
        if "Traceback" in second.err:
            problems.append("a traceback of the second gate")
    problems += [f"{path} is of two runs" for path in _mixed(arena.folder)]
    return problems


def _mixed(folder: Path) -> Iterator[str]:
    """Yield the folders whose decision and verdict belong to different runs."""
    for decision in folder.rglob("decision.json"):
        verdict = decision.with_name("verdict.json")
        if verdict.exists():
            ids = [_run_id(path) for path in (decision, verdict)]
            if ids[0] != ids[1]:
                yield str(decision.parent.relative_to(folder))


def _run_id(path: Path) -> Any:  # noqa: ANN401  (another program's file)
    try:
        return msgspec.json.decode(path.read_bytes()).get("run_id")
    except msgspec.DecodeError:
        return f"{path.name} cannot be read"


def _at_once(_arena: Arena) -> bool:
    return True


def _asked(arena: Arena) -> bool:
    return bool(arena.moves)


def _of_files() -> Iterator[tuple[str, Attack]]:
    for name in _FILES:
        damages = {kind: _holding(name, content) for kind, content in _CONTENTS.items()}
        damages |= {"a-directory": _directory(name), "a-link-to-itself": _link_to_itself(name)}
        if name in {"shadow.json", "rate-limits.json"}:
            damages = {kind: damages[kind] for kind in ("torn", "binary", "a-directory")}
        broken = _ESCALATED if name == "rollbacks.json" else ROLLED_BACK
        for kind, prepare in damages.items():
            about = f"{name} is {kind.replace('-', ' ')}"
            yield (
                f"{name}/{kind}/broken",
                Attack(summary=f"{about}; every page answers 500", right=broken, fault=_OUTAGE, prepare=prepare),
            )
            if kind in {"torn", "a-directory"}:
                yield (
                    f"{name}/{kind}/healthy",
                    Attack(summary=f"{about}; the deployment is healthy", right=KEPT, prepare=prepare),
                )


def _of_records() -> Iterator[tuple[str, Attack]]:
    day, future = time.time() - 86_400, time.time() + 10 * 86_400
    escalated = Right(("escalate", "hold"))
    rows: dict[str, tuple[str, Callable[[Arena], None], Right]] = {
        "rolled-back-just-now": (
            "a rollback a minute ago",
            _rollbacks(intended_at=day + 86_340, step="healed"),
            escalated,
        ),
        "rolled-back-in-the-future": (
            "a rollback in ten days",
            _rollbacks(intended_at=future, step="healed"),
            _ESCALATED,
        ),
        "intended-yesterday": ("a rollback that was never asked for", _rollbacks(step="intended"), _ESCALATED),
        "requested-yesterday": ("a rollback that nobody proved", _rollbacks(step="requested"), _ESCALATED),
        "step-unknown": ("a step that no version knows", _rollbacks(step="dreamt"), _ESCALATED),
        "good-unknown": ("the last good deployment is not the project's", _good("dpl_" + "x" * 28), ROLLED_BACK),
        "good-of-no-form": ("the last good deployment is a path", _good("../../v13/deployments"), ROLLED_BACK),
    }
    for name, (summary, prepare, right) in rows.items():
        yield name, Attack(summary=summary, right=right, fault=_OUTAGE, prepare=prepare, proof=_one_move)
    yield (
        "good-is-the-candidate",
        Attack(
            summary="the broken deployment is recorded as good",
            right=ROLLED_BACK,
            fault=_OUTAGE,
            prepare=_good_is_the_candidate,
        ),
    )


def _of_locks() -> Iterator[tuple[str, Attack]]:
    yield (
        "rollback-locked",
        Attack(
            summary="another gate holds the lock of the rollback, and does nothing",
            right=Right(("escalate", "hold")),
            fault=_OUTAGE,
            prepare=_locked("rollback"),
            proof=_one_move,
        ),
    )


def _of_two() -> Iterator[tuple[str, Attack]]:
    for apart in (True, False):
        where = "apart" if apart else "in-one-folder"
        for moment, after in (("at-once", _at_once), ("asked", _asked)):
            yield (
                f"two-gates-{moment}-{where}",
                Attack(
                    summary=f"two gates on one target, {moment.replace('-', ' ')}, reports {where.replace('-', ' ')}",
                    right=Right(("rollback", "keep", "alert", "hold", "usage")),
                    fault=_OUTAGE,
                    during=_Second(after, apart=apart),
                    proof=_both,
                    # Each gate would count the other's processes as leftovers.
                    leaves=True,
                ),
            )


def _of_reports() -> Iterator[tuple[str, Attack]]:
    old = msgspec.json.encode({"schema": 1, "run_id": "20200101T000000-aaaaaa", "complete": True, "checks": []})
    for name in ("verdict.json", "decision.json"):
        for kind, content in (("old", old), ("torn", old[:30])):
            prepare = _left_report(name, content)
            yield f"left-{name}/{kind}", Attack(summary=f"a {kind} {name} is there", right=KEPT, prepare=prepare)
        yield (
            f"left-{name}/a-directory",
            Attack(
                summary=f"{name} is a directory",
                right=Right((*GENTLE, "hold", "usage")),
                prepare=_report_is_a_directory(name),
                unseen=True,
            ),
        )
    leftovers = {"torn": b'{"enrolments": [', "foreign": b'[{"id": 7}]', "binary": bytes(range(256))}
    for kind, content in leftovers.items():
        prepare = _left_report("leftovers.json", content)
        yield f"leftovers-{kind}", Attack(summary=f"leftovers.json is {kind}", right=KEPT, prepare=prepare)


ATTACKS = dict(_of_files()) | dict(_of_records()) | dict(_of_locks()) | dict(_of_two()) | dict(_of_reports())
