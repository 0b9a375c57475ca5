"""
Runs one whole stage: checks, causes, decision, rollback, proof, notices, report. The exit code is the decision's.

An error before the decision is "cannot tell" (hold, exit 3) with a report; an error after it does not change it.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci.comparison import Comparison, identify, survey
from ci.diagnosis import Diagnosis, DiagnosisResult, has_rest
from ci.gate import EXIT_USAGE, ROLLBACK_STAGES, Judgement, decide
from ci.incidents import LET_STAND, remember, tell
from ci.obstacles import Obstacles
from ci.options import Options
from ci.process import Interrupted, Signals
from ci.report import Report, forget
from ci.rollback_flow import RollbackFlow
from ci.runs import Launch, RunError, Runs, RunUsageError, launch_pytest
from ci.steps import say
from ci.unfinished import finish, prove_healing, put_unreadable_aside
from fixtures.model import redaction
from fixtures.model.child_environment import dropped_names
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import Decision, Verdict
from fixtures.run.directory import DIFFERENCE_PAGE, EARLY_END, ReportFolder, RunDirectory, new_run_id
from fixtures.run.network import CA_VARIABLE, PROXY_VARIABLE
from fixtures.run.own_error import own_error
from fixtures.state.state import State, StateBusyError, StateError, open_state, root_of
from fixtures.target.target import Target, load
from fixtures.target.variants import asked_deployment
from fixtures.target.vercel import Vercel, VercelError


def run(options: Options, *, launch: Launch = launch_pytest) -> int:
    """Carry the stage out and return the exit code of ci/README.md. launch: starts a pytest run."""
    signals = Signals()
    with signals.caught():
        try:
            target = load(options.target, environ=options.environ)
            target.redact_secrets()
            target = replace(target, mode=options.mode or target.mode)
            if target.mode == "off":
                forget(options.reports, before=time.time())
                off = f"7P Verify is OFF for {target.name}: NOTHING was verified or will be undone (mode off)"
                sys.stdout.write(f"{off}\n")
                return 0
            with ExitStack() as held:
                directory = RunDirectory()
                held.callback(directory.remove)
                gate = _Gate(options, target, directory.path, signals, launch, held)
                held.enter_context(closing(ReportFolder(options.reports, gate.report.run_id)))
                return gate.run()
        except RunUsageError:
            return EXIT_USAGE
        except UsageError as error:
            say(redaction.redact(str(error)))
            return EXIT_USAGE


@dataclass
class _Gate:
    """One run of the stage. directory: private to the run.  held: everything that ends with it."""

    options: Options
    target: Target
    directory: Path
    signals: Signals
    launch: Launch
    held: ExitStack
    decided: bool = False
    vercel: Vercel | None = None
    comparison: Comparison = field(default_factory=Comparison)
    obstacle: str = ""

    def __post_init__(self) -> None:
        self.began, self.started = time.monotonic(), time.time()
        self.report = Report(
            run_id=new_run_id(),
            stage=self.options.command,
            target=self.target.name,
            url=self.target.url,
            mode=self.target.mode,
            dry_run=self.options.dry_run,
        )

    def run(self) -> int:
        """Start the sandbox where it is the target, judge, act, and report whatever happens."""
        try:
            if self.target.url == "sandbox":
                from fixtures.target.sandbox_process import start_process  # noqa: PLC0415  (only where one is started)

                own = self.directory / "sandbox"
                sandbox = start_process(own, stage=self.options.command, fault=self.options.fault)
                self.held.callback(sandbox.stop)
                found = load(self.options.target, environ=self.options.environ, handle=sandbox.handle)
                self.target = replace(found, mode=self.target.mode)
                self.target.redact_secrets()
                self.report.url = self.target.url
                self._mark("sandbox")
                self.began = time.monotonic()
            self._judge_and_act()
        except (RunUsageError, UsageError):
            raise
        except Interrupted as interrupted:
            self._decided(self._cannot_tell(f"ended by {interrupted} before it could decide"))
        except Exception as error:  # noqa: BLE001  (an unexpected failure must never read as a verdict)
            problem = own_error(error, self.options.reports)
            if self.decided:
                self._note(problem)
            else:
                self._decided(self._cannot_tell(problem))
        try:
            self._reported()
        except Exception as error:  # noqa: BLE001  (a report that cannot be made does not undo the decision)
            say(f"{self.report.decision} stands; the report could not be made: {own_error(error, None)}")
        return self.report.exit_code

    def _judge_and_act(self) -> None:
        state = self._open_state()
        if self.target.vercel is not None:
            self.vercel = self.held.enter_context(closing(Vercel(self.target.vercel)))
        self.obstacles = Obstacles(self.target, self.vercel, self.options.command, self.report.notes)
        self._finish_earlier_runs(state)
        candidate_id, problem = self._identify()
        if problem:
            self._decided(self._cannot_tell(problem))
            return
        runs = self._runs(state)
        started = runs.all_checks(candidate_id)
        try:
            self._survey(candidate_id, state)
        except BaseException:
            started.running.end()
            raise
        verdict = None
        try:
            verdict = started.finish()
        except RunError as error:
            problem = str(error)
        self._mark("checks")
        diagnosis = Diagnosis(self.target, self.comparison, runs)
        verdict, findings, judgement = self._judge(verdict, diagnosis, problem)
        self._mark("causes")
        if judgement.decision in LET_STAND and self.options.command != "predeploy":
            moved = self.obstacles.moved(self.comparison.candidate_id)
            judgement = self._cannot_tell(moved) if moved else judgement
        self.report.notes += findings.notes
        if verdict:
            self.report.show(verdict, findings.causes, self.options.fault)
        self.signals.too_late_for(f"the {judgement.decision}")
        if verdict and judgement.decision is Decision.ROLLBACK:
            judgement = self._roll_back(state, runs, judgement, verdict, findings)
            refused = self.report.rollback is None or self.report.rollback.step == "refused"
            if refused and has_rest(verdict, findings):
                verdict, findings = diagnosis.confirm(verdict, findings)
                self.report.show(verdict, findings.causes, self.options.fault)
        self._decided(judgement)
        if not self.options.dry_run:
            self._keep_books(verdict, state)

    def _judge(
        self, verdict: Verdict | None, diagnosis: Diagnosis, problem: str | None
    ) -> tuple[Verdict | None, DiagnosisResult, Judgement]:
        """Find the causes and decide. Where no rollback follows, the checks that an early end left out run first."""
        findings = DiagnosisResult()
        self.obstacle = self.obstacles.of(verdict) if verdict else ""
        if verdict and verdict.complete and not self.obstacle:
            verdict, findings = diagnosis.compare_errors(verdict, diagnosis.into(verdict))
        judgement = self._decide(verdict, findings, problem)
        left = verdict and not self.obstacle and judgement.decision is not Decision.ROLLBACK
        if verdict and left and has_rest(verdict, findings):
            verdict, findings = diagnosis.confirm(verdict, findings)
            judgement = self._decide(verdict, findings, problem)
        self._compare_with(diagnosis.comparison)
        return verdict, findings, judgement

    def _roll_back(
        self, state: State, runs: Runs, judgement: Judgement, verdict: Verdict, findings: DiagnosisResult
    ) -> Judgement:
        return RollbackFlow(
            options=self.options,
            target=self.target,
            comparison=self.comparison,
            state=state,
            vercel=self.vercel,
            runs=runs,
            report=self.report,
            held=self.held,
            judgement=judgement,
            verdict=verdict,
            findings=findings,
            began=self.began,
        ).roll_back()

    def _open_state(self) -> State:
        root = root_of(self.target, self.options.state)
        try:
            return open_state(root, self.target.name)
        except OSError as error:
            msg = f"--state {root}: cannot hold a state ({error.strerror}); name a directory that can be written to"
            raise UsageError(msg) from None

    def _finish_earlier_runs(self, state: State) -> None:
        """Finish an earlier run that was killed, and say so first; a dry run leaves the state as it is."""
        lines = put_unreadable_aside(state)
        if not self.options.dry_run:
            webhook = self.target.slack_webhook if self.target.mode == "act" else None
            lines += finish(state, self.vercel, self.target.host, webhook)
        self.report.notes += lines
        if dropped := dropped_names():
            ways = f"give pytest options after --, a proxy in {PROXY_VARIABLE}, certificates in {CA_VARIABLE}"
            self._note(f"these variables had no effect on the run: {', '.join(dropped)}; {ways}")
        for line in lines:
            say(redaction.redact(line))

    def _decided(self, judgement: Judgement) -> None:
        self.decided = True
        self.report.decided(judgement)

    def _keep_books(self, verdict: Verdict | None, state: State) -> None:
        """Write the ledger and tell people; an error here is a note, because the decision stands."""
        try:
            remember(self.report, verdict, state, self.target)
            if verdict and self.target.mode == "act":
                self.report.notes += prove_healing(state, verdict, self.report.deployment_id, self.report.run_id)
            elsewhere = self.report.rollback and self.report.rollback.step == "elsewhere"
            quiet = elsewhere or self.obstacle
            if verdict and verdict.complete and self.target.mode == "act" and not quiet:
                self.report.notes += tell(self.report, verdict, state, self.target.slack_webhook)
        except (StateError, StateBusyError, OSError) as error:
            self._note(f"the state is incomplete, the next run may lack facts: {error}")

    def _runs(self, state: State) -> Runs:
        sandbox = self.directory / "sandbox" / "handle.json"
        return Runs(
            stage=self.options.command,
            target=self.target.name,
            run_id=self.report.run_id,
            directory=self.directory,
            reports=self.options.reports,
            handle=sandbox if sandbox.exists() else None,
            state=root_of(self.target, self.options.state),
            rate_limits=None if self.target.handle else state.rate_limits().path,
            platform_repo=self.options.platform_repo,
            workers=self.options.workers,
            pytest_args=(*(["--all"] if self.options.all else []), *self.options.pytest_args),
            launch=self.launch,
        )

    def _identify(self) -> tuple[str | None, str | None]:
        """Return the id of the deployment that is judged, and the problem when none can be."""
        asked = asked_deployment()
        if self.vercel is None:
            self._note("this target lacks the capability vercel, so no deployment can be blamed")
            return asked, None
        try:
            judged, problem = identify(self.target, self.options.command, asked, self.vercel)
        except VercelError as error:
            self._note(f"{error}; no deployment can be blamed in this run")
            return asked, None
        self.report.deployment_id = judged
        if problem and (release := self.obstacles.look_for_release()):
            problem = f"{release}; {problem}"
        if judged is None and problem is None:
            self._note(f"it is not known which deployment is judged: the alias of {self.target.host} names none")
        return judged, problem

    def _survey(self, candidate_id: str | None, state: State) -> None:
        if self.vercel is None:
            return
        try:
            self.obstacles.look_for_release()
            self._compare_with(survey(self.target, self.options.command, candidate_id, self.vercel, state))
        except VercelError as error:
            self._note(f"{error}; no control deployment in this run")
            return
        undoable = "rollback" in self.target.capabilities and self.options.command in ROLLBACK_STAGES
        if undoable and self.comparison.control:
            (self.directory / EARLY_END).touch()
        self.report.notes += self.comparison.notes

    def _compare_with(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.report.control_id, self.report.control_source = comparison.control_id, comparison.control_source

    def _decide(self, verdict: Verdict | None, findings: DiagnosisResult, problem: str | None) -> Judgement:
        causes = {node_id: found.cause for node_id, found in findings.causes.items()}
        judgement = decide(
            verdict,
            causes,
            self.options.command,
            problem=problem or self.obstacle,
            has_control=self.comparison.control is not None,
            can_roll_back="rollback" in self.target.capabilities,
            must_see=self.target.must_see,
        )
        return replace(judgement, about=self.obstacle or findings.about)

    def _cannot_tell(self, problem: str) -> Judgement:
        return decide(None, {}, self.options.command, problem=problem)

    def _reported(self) -> None:
        self.signals.too_late_for("the report")
        self._mark("end")
        forget(self.options.reports, before=self.started)
        self.report.pages = [DIFFERENCE_PAGE] if (self.options.reports / DIFFERENCE_PAGE).exists() else []
        try:
            self.report.write(self.options.reports)
        except OSError as error:
            self._note(f"the report could not be written: {error}")
        sys.stdout.write("\n".join(["", *self.report.lines(self.options.reports), ""]))

    def _note(self, note: str) -> None:
        self.report.notes.append(note)

    def _mark(self, event: str) -> None:
        self.report.seconds[event] = round(time.monotonic() - self.began, 2)
