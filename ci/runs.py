"""
The pytest runs of one stage: the run itself, the pairs, the rollback target's P0 checks, and P0 again after a rollback.

Every run leaves a verdict; a run that leaves none is a `RunError` in words, and its log is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from ci.child import Child, ChildTimeoutError
from fixtures.model.child_environment import child_environment
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import CheckResult, Verdict
from fixtures.run.directory import DIRECTORY_VARIABLE, ID_VARIABLE, RERUN_VARIABLE, clear, need_writable
from fixtures.run.own_error import ERROR_FILE
from fixtures.run.rate_limits import FILE, RATE_LIMITS_VARIABLE, RateLimitLedger
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE
from fixtures.target.target import PLATFORM_REPO_VARIABLE
from fixtures.target.variants import DEPLOYMENT_VARIABLE, Variant, write_variants

VERDICT = "verdict.json"
# pytest's own code for wrong usage, and the suite's.
_USAGE = frozenset({2, 4})
# Seconds, far above what a run needs: a hung browser must not hang the gate.
_LIMIT = {"predeploy": 600.0, "postdeploy": 600.0, "daily": 3600.0}
_RERUN_LIMIT = 180.0


class RunError(Exception):
    """A run left no verdict that can be read; the message says which and where its output is."""


class RunUsageError(Exception):
    """pytest refused its arguments; it has said so itself."""


class Running(Protocol):
    """A run that has been started."""

    def wait(self, limit: float) -> int:
        """Return its exit code; raises ChildTimeoutError, Interrupted."""

    def end(self) -> None:
        """End it, with everything it started."""


Launch = Callable[[Sequence[str], Mapping[str, str], Path | None], Running]


def launch_pytest(arguments: Sequence[str], environ: Mapping[str, str], log: Path | None) -> Running:
    """Start pytest in a child process; log: where its output goes, None: to the terminal."""
    reports = next(given.partition("=")[2] for given in arguments if given.startswith("--reports="))
    return Child(arguments, environ, log=log, errors=Path(reports) / ERROR_FILE.format("pytest"))


@dataclass(frozen=True)
class Started:
    """
    A run under way.

    belongs_to: run id, target and stage that its verdict must name.  log: where its output goes, None: the terminal.
    """

    name: str
    running: Running
    verdict: Path
    limit: float
    belongs_to: tuple[str, str, str]
    log: Path | None = None

    def finish(self) -> Verdict:
        """Wait for it and read its verdict; raises RunError, RunUsageError."""
        try:
            code = self.running.wait(self.limit)
            problem = f"the {self.name} ended with exit code {code}"
        except ChildTimeoutError as error:
            code, problem = None, f"the {self.name}: {error}"
        try:
            verdict = Verdict.read(self.verdict)
        except FileNotFoundError:
            if code in _USAGE and self.log is None:
                raise RunUsageError from None
            _need_room(self.verdict.parent, problem)
            where = f"; its output: {self.log}" if self.log else ""
            msg = f"{problem} and left no verdict{where}"
            raise RunError(msg) from None
        except (OSError, ValueError, msgspec.DecodeError) as error:
            msg = f"{problem} and its verdict {self.verdict} cannot be read: {error}"
            raise RunError(msg) from error
        found = (verdict.run_id, verdict.target, verdict.stage)
        if found != self.belongs_to:
            msg = f"{problem} and its verdict is of another run: {' / '.join(found)}, not {' / '.join(self.belongs_to)}"
            raise RunError(msg)
        if not verdict.complete:
            _need_room(self.verdict.parent, problem)
        return verdict


def _need_room(reports: Path, problem: str) -> None:
    """Raise RunError where nothing more can be written: that is the reason why a run left half a verdict."""
    try:
        need_writable("--reports", reports)
    except UsageError as error:
        msg = f"{problem}; {error}"
        raise RunError(msg) from None


@dataclass(frozen=True)
class Runs:
    """
    Starts the runs of one stage.

    directory: private to the run (sessions, request budget); reports: public.  handle: the sandbox's, where it is one.
    state: where every target's is.
    rate_limits: the file of requests counted so far; None: the sandbox's own.  platform_repo: None: the variable's.
    """

    stage: str
    target: str
    run_id: str
    directory: Path
    reports: Path
    handle: Path | None = None
    state: Path | None = None
    rate_limits: Path | None = None
    platform_repo: Path | None = None
    workers: int = 0
    pytest_args: tuple[str, ...] = ()
    launch: Launch = launch_pytest

    @property
    def ledger(self) -> RateLimitLedger:
        """The requests under rate limits that its runs have sent."""
        return RateLimitLedger(self.rate_limits or self.directory / FILE)

    def all_checks(self, deployment_id: str | None) -> Started:
        """Start the stage's own run; its output goes to the terminal."""
        workers = [f"-n{self.workers}"] if self.workers else []
        return self._start(f"{self.stage} run", [*workers, *self.pytest_args], self.reports, deployment_id, proof=False)

    def rest(self, checks: Iterable[CheckResult], deployment_id: str | None) -> Started:
        """Start the checks that an early end left out."""
        return self._rerun("rest", [check.node_id for check in checks], deployment_id, proof=False, every=True)

    def pairs(self, checks: Iterable[CheckResult], candidate: Variant, control: Variant, *, rounds: int) -> Started:
        """Start the checks on candidate and control, in turns, in one process."""
        node_ids, variants = [check.node_id for check in checks], [candidate, control]
        return self._rerun(f"pairs-{rounds}", node_ids, candidate.deployment_id, variants, rounds=rounds)

    def once(self, node_ids: Iterable[str], control: Variant) -> Started:
        """Start checks once, on the control alone."""
        return self._rerun("once", node_ids, None, variants=[control])

    def prove_control(self, node_ids: Iterable[str], control: Variant) -> Started:
        """Start the P0 checks on the rollback target."""
        return self._rerun("control", node_ids, None, [control])

    def again(self, node_ids: Iterable[str], deployment_id: str) -> Started:
        """Start these checks on production once more, after a rollback."""
        return self._rerun("healed", node_ids, deployment_id)

    def _rerun(
        self,
        name: str,
        node_ids: Iterable[str],
        deployment_id: str | None,
        variants: Sequence[Variant] = (),
        *,
        rounds: int = 1,
        proof: bool = True,
        every: bool = False,
    ) -> Started:
        wanted = list(node_ids)
        only = self.directory / f"{name}.only"
        only.write_text("\n".join(wanted), encoding="utf-8")
        # Only their files are collected; the verdict has the messages, so tracebacks are not worth their time.
        files = sorted({node_id.partition("::")[0] for node_id in wanted})
        arguments = [f"--only={only}", "--tb=line", *(["--all"] if every else []), *files]
        if variants:
            variants_file = self.directory / f"{name}.variants"
            write_variants(variants_file, list(variants))
            arguments += [f"--variants={variants_file}", f"--rounds={rounds}"]
        reports = self.reports / "rerun" / name
        return self._start(f"re-run ({name})", arguments, reports, deployment_id, proof=proof)

    def _start(
        self, name: str, arguments: list[str], reports: Path, deployment_id: str | None, *, proof: bool
    ) -> Started:
        reports.mkdir(parents=True, exist_ok=True)
        verdict = reports / VERDICT
        clear(verdict)
        log = None if reports == self.reports else reports / "output.log"
        # With "=": pytest takes a value that stands alone for a path before it knows the option, and looks for its
        # configuration there.
        common = ["-m", self.stage, f"--stage={self.stage}", f"--target={self.target}", f"--reports={reports}"]
        common += [f"--state={self.state}"] if self.state else []
        own = {
            DIRECTORY_VARIABLE: self.directory,
            ID_VARIABLE: self.run_id,
            # A browser that is killed leaves its files, and the directory goes with the gate.
            "TMPDIR": self.directory,
            RERUN_VARIABLE: "1" if proof else None,
            DEPLOYMENT_VARIABLE: deployment_id,
            RATE_LIMITS_VARIABLE: self.rate_limits,
            SANDBOX_VARIABLE: self.handle,
            PLATFORM_REPO_VARIABLE: self.platform_repo,
        }
        given = {name: str(value) for name, value in own.items() if value}
        environ = child_environment(given, without={DEPLOYMENT_VARIABLE, RERUN_VARIABLE})
        running = self.launch([*common, *arguments], environ, log)
        limit = _RERUN_LIMIT if proof else _LIMIT[self.stage]
        return Started(name, running, verdict, limit, (self.run_id, self.target, self.stage), log)
