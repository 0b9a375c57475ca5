"""The rollback as a flow: undo the deployment, prove that production healed; in shadow mode only say so."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

from ci.comparison import PINNED, Comparison
from ci.control import left_out
from ci.diagnosis import DiagnosisResult
from ci.error_rate import NODE_ID
from ci.gate import Judgement, escalated, red_of
from ci.notify import announce
from ci.options import Options
from ci.report import Report, RollbackReport
from ci.rollback import Order, record_healing, refuse, roll_back
from ci.runs import RunError, Runs
from ci.schema_compatibility import breaking, read, unseen
from ci.unfinished import acting
from fixtures.model.verdict import ACCEPTED, Cause, Decision, Outcome, Severity, Verdict
from fixtures.run.own_error import own_error
from fixtures.state.state import State, StateBusyError, StateError
from fixtures.target.target import Target
from fixtures.target.vercel import Vercel, VercelError
from fixtures.target.vercel_words import Deployment

_LOCK_WAIT = 30.0


@dataclass(frozen=True)
class RollbackFlow:
    """
    Acts for one run, and writes each step into its report.

    began: monotonic seconds, when the platform could be asked.  held: keeps the lock on rollbacks until people have
    been told; without it another gate would tell them.
    """

    options: Options
    target: Target
    comparison: Comparison
    state: State
    vercel: Vercel | None
    runs: Runs
    report: Report
    held: ExitStack
    judgement: Judgement
    verdict: Verdict
    findings: DiagnosisResult
    began: float

    def roll_back(self) -> Judgement:
        """Undo the deployment and prove that production healed; return the decision that stands after it."""
        order = self._order()
        if order is None or self.vercel is None:
            return escalated(self.judgement, "there is no earlier deployment to roll back to")
        told = RollbackReport(from_id=order.deployment_id, to_id=order.target_id, step="intended", detail="")
        self.report.rollback = told
        if "rollback" not in self.target.capabilities:
            return self._escalate("rolling back is not a capability of this target")
        try:
            acts = self.target.mode == "act" and not self.options.dry_run
            return self._act(order, self.vercel) if acts else self._would(order, self.vercel)
        except Exception as error:  # noqa: BLE001  (after the request an error of ours needs a person, not a hold)
            expected = isinstance(error, StateError | VercelError | OSError)
            problem = str(error) if expected else own_error(error, self.options.reports)
            told.detail = problem
            return escalated(self.judgement, f"the rollback is {told.step}: {problem}")

    def _act(self, order: Order, vercel: Vercel) -> Judgement:
        try:
            self.held.enter_context(acting(self.state, self.report.run_id, wait=_LOCK_WAIT))
            self._need_no_other(order)
            announce(self.state, self.report.run_id)
        except StateBusyError as error:
            # The other gate tells people, and its exit code says whether production needs a person.
            self._tell_step("elsewhere", str(error))
            reasons = [f"this run changes nothing: {error}", *self.judgement.reasons]
            return Judgement(Decision.HOLD, self.judgement.rule, reasons)
        return self._do(order, vercel)

    def _need_no_other(self, order: Order) -> None:
        """Raise StateBusyError where another gate has rolled this deployment back since this run began."""
        since = time.time() - (time.monotonic() - self.began)
        for record in self.state.rollbacks():
            other = record.run_id != order.run_id and record.deployment_id == order.deployment_id
            if other and record.intended_at >= since and record.step not in {"abandoned", "refused"}:
                rolled = f"{record.deployment_id} back to {record.target_id}"
                msg = f"run {record.run_id} has rolled {rolled}: {record.step}"
                raise StateBusyError(msg)

    def _order(self) -> Order | None:
        if self.comparison.candidate_id is None or self.comparison.control is None:
            return None
        return Order(
            run_id=self.report.run_id,
            url=self.target.url,
            host=self.target.host,
            deployment_id=self.comparison.candidate_id,
            target_id=self.comparison.control.id,
            reason=f"7P Verify {self.report.run_id}: {self.judgement.reasons[0]}"[:200],
            cooldown=60 * self.target.rollback_cooldown_minutes,
            objection=self._objection(self.comparison.control),
        )

    def _objection(self, control: Deployment) -> str:
        """Return why the control must not serve production: its own P0 checks, or a migration since it was kept."""
        migrations = read(self.target, self.report.run_id)
        if migrations is None:
            unknown = "it is unknown whether the schema still fits the rollback target"
            self.report.notes.append(f"{unknown}: the migrations could not be read")
            migrations = []
        seen = self.comparison.good.migrations if self.comparison.good else None
        broken = breaking(unseen(migrations, seen=seen, built=control.created))
        if not self.findings.passes_p0:
            return f"the rollback target {control.id} does not pass P0 itself: {self.findings.p0_evidence}"
        return f"the code of {control.id} may not work after a later migration: {broken[0]}" if broken else ""

    def _would(self, order: Order, vercel: Vercel) -> Judgement:
        if refusal := refuse(order, self.state, vercel):
            return self._escalate(refusal)
        self._tell_step("would", "dry run" if self.options.dry_run else f"mode {self.target.mode}")
        return self.judgement

    def _do(self, order: Order, vercel: Vercel) -> Judgement:
        result = roll_back(order, self.state, vercel)
        self._tell_step(result.step, result.detail, result.proofs)
        if result.requested_at is not None:
            self.report.seconds["request"] = round(result.requested_at - self.began, 2)
        if not result.proved:
            return escalated(self.judgement, f"the rollback is {result.step}: {result.detail}")
        self.report.seconds["proved"] = round(time.monotonic() - self.began, 2)
        self.report.notes.append(PINNED)
        unhealed = self._unhealed(order)
        detail = "; ".join(unhealed) or "P0 and the checks blamed on the deployment are green on production"
        record_healing(order, self.state, healed=not unhealed, detail=detail)
        self._tell_step("not-healed" if unhealed else "healed", detail)
        if unhealed:
            return escalated(self.judgement, f"rolled back, and production is not healed: {detail}")
        self.report.seconds["healed"] = round(time.monotonic() - self.began, 2)
        return self.judgement

    def _unhealed(self, order: Order) -> list[str]:
        """Run P0 and the red P0/P1 again on production; return the P0 and blamed checks that are not green."""
        applicable = [
            check
            for check in self.verdict.checks
            if check.outcome is not Outcome.NOT_APPLICABLE and check.node_id != NODE_ID
        ]
        blamed = {node_id for node_id, found in self.findings.causes.items() if found.cause is Cause.DEPLOYMENT}
        must = [check for check in applicable if check.severity is Severity.P0 or check.node_id in blamed]
        red = {check.node_id for check in red_of(self.verdict)}
        wanted = [check for check in applicable if check in must or (check.node_id in red and check.severity.is_urgent)]
        try:
            again = self.runs.again([check.node_id for check in wanted], order.target_id).finish()
        except RunError as error:
            return [str(error)]
        outcomes = {check.node_id: check.outcome for check in again.checks}
        saved = {check.node_id for check in again.checks if left_out(check)} - red
        return [
            f"{check.severity} {check.title}: {outcomes.get(check.node_id, 'did not run')}"
            for check in must
            if outcomes.get(check.node_id) not in ACCEPTED and check.node_id not in saved
        ]

    def _escalate(self, refusal: str) -> Judgement:
        self._tell_step("refused", refusal)
        return escalated(self.judgement, f"no rollback: {refusal}")

    def _tell_step(self, step: str, detail: str, proofs: list[str] | None = None) -> None:
        rollback = self.report.rollback
        if rollback is not None:
            rollback.step, rollback.detail, rollback.proofs = step, detail, proofs or rollback.proofs
