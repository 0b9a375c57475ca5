"""Verdicts made by hand, and a stand-in of the suite that judges a sandbox without running pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from fixtures.model.verdict import Attempt, Cause, CheckResult, Judges, Outcome, Severity, Verdict
from fixtures.run.directory import ID_VARIABLE
from fixtures.target.blindness import blind_spots
from fixtures.target.variants import read_variants

HEALTH = "tests/smoke/test_health.py::test_health"
PAGES = "tests/smoke/test_pages.py::test_pages"


def a_check(  # noqa: PLR0913  (one argument a word of the verdict)
    node_id: str = HEALTH,
    severity: str = "P0",
    outcome: Outcome = Outcome.PASSED,
    *,
    kind: str = "smoke",
    judges: str = "function",
    effect: str = "",
    host_bound: bool = False,
    third_party: str | None = None,
    attempts: Sequence[Attempt] = (),
    spends: Mapping[str, int] | None = None,
    lacks: Sequence[str] = (),
) -> CheckResult:
    """Return one check's entry."""
    return CheckResult(
        node_id=node_id,
        title=node_id.rpartition("::test_")[2],
        kind=kind,
        severity=Severity(severity),
        section="application-health",
        judges=Judges(judges),
        effect=effect,
        host_bound=host_bound,
        third_party=third_party,
        outcome=outcome,
        first_action="Look at the deployment",
        attempts=list(attempts),
        spends=dict(spends or {}),
        lacks=list(lacks),
    )


def a_verdict(
    *checks: CheckResult,
    stage: str = "postdeploy",
    complete: bool = True,
    run_id: str = "run",
    due: Sequence[str] = (),
) -> Verdict:
    """Return a verdict of these checks."""
    return Verdict(
        run_id=run_id,
        stage=stage,
        target="sandbox",
        mode="act",
        url="http://127.0.0.1",
        started="2026-01-01T00:00:00Z",
        complete=complete,
        due=list(due),
        blind=blind_spots(checks),
        checks=list(checks),
    )


def an_attempt(
    outcome: Outcome = Outcome.FAILED,
    variant: str = "target",
    deployment: str | None = None,
    blocker: Cause | None = None,
    message: str = "",
) -> Attempt:
    """Return one attempt; it is identified when it names a deployment."""
    named = [deployment] if deployment else []
    return Attempt(
        outcome=outcome,
        seconds=0.1,
        variant=variant,
        deployments=named,
        identified=bool(named),
        blocker=blocker,
        message=message,
    )


@dataclass
class Ended:
    """A run that is over."""

    code: int = 1

    def wait(self, limit: float) -> int:
        """Return its exit code."""
        return self.code if limit else 0

    def end(self) -> None:
        """Do nothing: it is over."""


@dataclass
class Suite:
    """
    Starts "runs" that write the verdict the real suite would, by what production serves at that moment.

    checks: what there is.  broken: node id -> deployments on which it is red, "*" for all.  once: node ids that are
    red in the first run only.  runs: the arguments of every run started.  before, after: called with the arguments of
    each run, around it.  complete, writes: whether the verdicts are whole, and whether there are any.  due: node ids
    that are due besides `checks`.  run_id: in place of the run's own.
    """

    production_url: str
    checks: list[CheckResult]
    broken: dict[str, set[str]] = field(default_factory=dict)
    once: set[str] = field(default_factory=set)
    runs: list[list[str]] = field(default_factory=list)
    before: Callable[[list[str]], None] = lambda _: None
    after: Callable[[list[str]], None] = lambda _: None
    complete: bool = True
    writes: bool = True
    due: list[str] = field(default_factory=list)
    run_id: str | None = None

    def launch(self, arguments: Sequence[str], environ: Mapping[str, str], _log: Path | None) -> Ended:
        """Write the verdict at once."""
        given = list(arguments)
        self.runs.append(given)
        self.before(given)
        if self.writes:
            self._write(given, self.run_id or environ[ID_VARIABLE])
        self.once.clear()
        self.after(given)
        return Ended()

    def started(self, option: str) -> int:
        """Return how many runs had this option."""
        return sum(_value(run, option) is not None for run in self.runs)

    def _write(self, given: list[str], run_id: str) -> None:
        chosen = self._chosen(given)
        variants_file, reports, stage = (_value(given, f"--{name}") for name in ("variants", "reports", "stage"))
        if variants_file:
            variants = read_variants(Path(variants_file))
            rounds = int(_value(given, "--rounds") or 1)
            turns = [(variant.name, variant.deployment_id or "") for _ in range(rounds) for variant in variants]
        else:
            served = httpx.get(self.production_url, trust_env=False).headers.get("x-deployment-id", "")
            turns = [("target", served)]
        judged = [self._judged(check, turns) for check in chosen]
        due = [*self.due, *(check.node_id for check in chosen)]
        verdict = a_verdict(*judged, stage=stage or "", complete=self.complete, run_id=run_id, due=due)
        verdict.write(Path(reports or "") / "verdict.json")

    def _chosen(self, given: list[str]) -> list[CheckResult]:
        only_file = _value(given, "--only")
        only = Path(only_file).read_text().splitlines() if only_file else None
        return [check for check in self.checks if only is None or check.node_id in only]

    def _judged(self, check: CheckResult, turns: list[tuple[str, str]]) -> CheckResult:
        attempts = [an_attempt(self._outcome(check, name), variant, name) for variant, name in turns]
        red = any(attempt.outcome is Outcome.FAILED for attempt in attempts)
        return a_check(
            check.node_id,
            check.severity,
            Outcome.FAILED if red else check.outcome,
            kind=check.kind,
            judges=check.judges,
            third_party=check.third_party,
            attempts=attempts,
        )

    def _outcome(self, check: CheckResult, deployment: str) -> Outcome:
        red_on = self.broken.get(check.node_id, set())
        return Outcome.FAILED if check.node_id in self.once or red_on & {deployment, "*"} else Outcome.PASSED


def _value(arguments: list[str], option: str) -> str | None:
    """Return the value of `option=value`."""
    return next((given.partition("=")[2] for given in arguments if given.startswith(f"{option}=")), None)
