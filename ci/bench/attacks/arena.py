"""An arena is a sandbox in this process; it starts runs of ci/verify and measures time, memory, processes and files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import psycopg

from ci.bench.attacks.attack import PLACES, PLAIN, Attack
from fixtures.run.rate_limits import FILE
from fixtures.sandbox.sandbox import Sandbox
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE
from tests.selftest.processes import Process, family, survivors, table

ROOT = Path(__file__).parents[3]
# Far above every bound of a run; it protects the machine of the bench.
MOST_MEMORY_MB = 3000.0
STARTS_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.25
_ENDS_WITHIN_S = 10.0
_POLL_S = 0.01
_KEPT_VARIABLES = ("SYNTHETIC_BROWSER", "SYNTHETIC_POSTGRES", "SYNTHETIC_CACHE")

Result = TypeVar("Result")


class NotReachedError(Exception):
    """The run ended, or took too long, before it reached the moment of the attack."""


@dataclass(frozen=True)
class Seen:
    """
    One run of ci/verify. code: minus the signal that ended it; None: the bench had to end it.

    decision: the contents of this run's decision.json, {}: there is none.  peak_mb: memory of all its processes.
    left: processes and private directories that it left behind.
    """

    code: int | None
    out: str
    err: str
    decision: dict[str, Any]
    seconds: float
    peak_mb: int
    left: list[str]

    @property
    def decided(self) -> str:
        """The decision, or "none"."""
        return str(self.decision.get("decision", "none"))


@dataclass
class Arena:
    """
    One sandbox with its candidate, and a folder in which the runs on it write.

    folder: contains `reports`, `state` and `tmp`.  control: the target of a rollback.
    beside: the thread that waits for a second gate; others: the ends of second gates.
    """

    sandbox: Sandbox
    loop: asyncio.AbstractEventLoop
    folder: Path
    beside: Thread | None = None
    others: list[Seen] = field(default_factory=list)
    candidate: str = field(init=False)
    control: str = field(init=False)
    enrolments_before: set[tuple[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.candidate, self.control = self.sandbox.candidate.id, self.sandbox.control.id
        self._earlier_moves = len(self.sandbox.edge.alias_requests)
        self.enrolments_before = self.enrolments()

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the sandbox's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(STARTS_WITHIN_S)

    @property
    def reports(self) -> Path:
        """The directory of the runs' reports."""
        return self.folder / "reports"

    @property
    def state(self) -> Path:
        """The directory of the state that the runs keep of this target."""
        return self.folder / "state" / "sandbox"

    @property
    def moves(self) -> list[tuple[str | None, str]]:
        """The requests to move production since the sandbox started, as (from, to)."""
        return [(job.from_id, job.to_id) for job in self.sandbox.edge.alias_requests[self._earlier_moves :]]

    @property
    def told(self) -> list[str]:
        """First lines of the messages that Slack has accepted."""
        return [str(message["text"]) for message in self.sandbox.sinks.slack.messages]

    def enrolments(self) -> set[tuple[str, str]]:
        """Return the enrolments of the database, as (user, course)."""
        with psycopg.connect(self.sandbox.postgres.superuser_dsn) as connection:
            rows = connection.execute(
                "SELECT user_id::text, course_id::text FROM public.enrollments WHERE cancelled_at IS NULL"
            )
            return {(user, course) for user, course in rows}

    def wait_for(self, gate: int, condition: Callable[[], bool], moment: str) -> None:
        """Wait for a moment of a run; raises NotReachedError."""
        until = time.monotonic() + STARTS_WITHIN_S
        while not condition():
            if time.monotonic() > until or not _runs(gate):
                msg = f"the run never came to this moment: {moment}"
                raise NotReachedError(msg)
            time.sleep(_POLL_S)

    def let_run(self, gate: int, seconds: float) -> None:
        """Wait for this time, or until the run ends."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and _runs(gate):
            time.sleep(_POLL_S)

    def forget_rate_limits(self) -> None:
        """Reset the rate limits: a second run needs sign-ins as well."""
        self.sandbox.platform.limits.spent.clear()
        (Path(self.sandbox.handle.run_dir) / FILE).unlink(missing_ok=True)

    def run(self, attack: Attack, *, attacked: bool = True, marker: str = "") -> Seen:
        """Run ci/verify to its end, attacked or not. marker: distinguishes two runs at the same time."""
        words = {"folder": str(self.folder), "url": self.sandbox.edge.production_url}
        arguments = attack.arguments if attacked and attack.arguments else PLACES
        arguments = tuple(argument.format(**words) for argument in arguments)
        reports = next((flag.partition("=")[2] for flag in arguments if flag.startswith("--reports=")), "")
        report = self.folder / reports / "decision.json"
        before = _changed_at(report)
        process = self._start(attack, arguments, words, marker, attacked=attacked)
        with Watch(process) as watch:
            if attacked:
                attack.during(self, process.pid)
            code = watch.wait(attack.right.seconds + _ENDS_WITHIN_S)
        decision: dict[str, Any] = {}
        with suppress(OSError, msgspec.DecodeError):
            decision = msgspec.json.decode(report.read_bytes()) if _changed_at(report) != before else {}
        out, err = ((self.folder / f"{name}{marker}").read_text(errors="replace") for name in ("stdout", "stderr"))
        left = survivors([*watch.seen.values(), *_started_below(self.folder)])
        left += [path.name for path in (self.folder / "tmp").glob("7p-*")]
        return Seen(code, out, err, decision, watch.seconds, watch.peak_mb, left)

    def _start(
        self, attack: Attack, arguments: tuple[str, ...], words: dict[str, str], marker: str, *, attacked: bool
    ) -> subprocess.Popen[bytes]:
        """Start ci/verify in a process group of its own, as a shell does."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SYNTHETIC_", "PYTEST_"))}
        kept |= {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        kept |= {"TMPDIR": str(self.folder / "tmp"), SANDBOX_VARIABLE: str(self.folder / "handle.json")}
        shell = PLAIN
        if attacked:
            kept |= {name: value.format(**words) for name, value in attack.environment.items()}
            shell = attack.shell.format(**words)
        command = [sys.executable, str(ROOT / "ci" / "verify"), attack.command, *arguments]
        with (self.folder / f"stdout{marker}").open("wb") as out, (self.folder / f"stderr{marker}").open("wb") as err:
            return subprocess.Popen(  # noqa: S603  (the catalogue's own words)
                ["/bin/bash", "-c", shell, "attack", *command],
                # An empty path in an argument means this directory, and must not mean the checkout.
                cwd=self.folder,
                env=kept,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                process_group=0,
            )


class Watch:
    """Watches the processes of a run: it measures their memory and remembers them."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.began = time.monotonic()
        self.seconds = 0.0
        self.peak_mb = 0
        self.seen: dict[int, Process] = {}
        self._over = False
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.end()
        self._over = True
        self._thread.join()

    def wait(self, limit: float) -> int | None:
        """Return the exit code; None when the bench ended the run because of the limit or of its memory."""
        code: int | None = None
        try:
            code = self.process.wait(max(1.0, limit - (time.monotonic() - self.began)))
        except subprocess.TimeoutExpired:
            self.end()
        self.seconds = round(time.monotonic() - self.began, 1)
        return None if self.peak_mb > MOST_MEMORY_MB else code

    def end(self) -> None:
        """End every process of the run that is still there."""
        for pid in [self.process.pid, *self.seen]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _look(self) -> None:
        while not self._over:
            members = family(self.process.pid)
            self.seen |= {member.pid: member for member in members}
            self.peak_mb = max(self.peak_mb, round(sum(_memory_mb(member.pid) for member in members)))
            if self.peak_mb > MOST_MEMORY_MB:
                for member in members:
                    with suppress(ProcessLookupError):
                        os.kill(member.pid, signal.SIGKILL)
            time.sleep(_LOOK_EVERY_S)


def _changed_at(path: Path) -> int:
    """Return when a file was written last (ns); 0: it does not exist."""
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _runs(pid: int) -> bool:
    """Tell whether a process has not ended; its parent may not have fetched its exit code yet."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _started_below(folder: Path) -> list[Process]:
    """Return the processes whose environment names this folder; the watch misses orphans that were just started."""
    found = []
    for process in table().values():
        with suppress(OSError):
            if bytes(folder) in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.append(process)
    return found


def _memory_mb(pid: int) -> float:
    """Return a process's share of memory (PSS): shared pages count once in the sum."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
