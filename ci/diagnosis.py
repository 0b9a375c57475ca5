"""
Finds the causes of red checks: asks the surroundings, and runs checks again in pairs on candidate and control.

The P0 checks run on the rollback target at the same time, so that a rollback does not wait for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

import msgspec

from ci.causes import Attribution, Circumstances, at_first_answer, from_alias, look_around, without_pairs
from ci.comparison import Comparison
from ci.control import passes_p0
from ci.credentials import Credentials
from ci.error_rate import NODE_ID, compare, errors_of
from ci.gate import ROLLBACK_STAGES, red_of
from ci.pairs import (
    A_KIND,
    ROUNDS,
    Choice,
    choose,
    from_control,
    from_pairs,
    from_single,
    is_scarce,
    silence_of_candidate,
)
from ci.runs import VERDICT, RunError, Runs, Started
from ci.witnesses import hear
from fixtures.model.verdict import ACCEPTED, Cause, CheckResult, Outcome, Severity, Verdict
from fixtures.target.target import Target


@dataclass(frozen=True)
class DiagnosisResult:
    """
    causes: node id -> cause and evidence.  passes_p0: whether the control does, None: not asked.

    both_silent: neither candidate nor control answers, so that no comparison of them proves more.  about: what the
    first line of the report names.
    """

    causes: dict[str, Attribution] = field(default_factory=dict)
    passes_p0: bool | None = None
    p0_evidence: str = "it was not asked"
    notes: list[str] = field(default_factory=list)
    both_silent: bool = False
    about: str = ""

    @property
    def flaky(self) -> set[str]:
        """Return the node ids of the red checks that passed when they ran again."""
        return {node_id for node_id, found in self.causes.items() if found.cause is Cause.FLAKY}


@dataclass
class Diagnosis:
    """
    Everything that the search for causes needs.

    comparison: with another control afterwards, where the first one did not pass P0.  is_repeated: so it was.
    vendor_is_down: so its own status page says, and an urgent check needs it. No control passes P0 then, so that no
    other one is looked for.  is_proved: whether the control passes P0 is known already.
    """

    target: Target
    comparison: Comparison
    runs: Runs
    is_repeated: bool = False
    vendor_is_down: bool = False
    is_proved: bool = False

    def into(self, verdict: Verdict, known: Collection[str] = ()) -> DiagnosisResult:
        """Find the causes of the red checks of a verdict, but for those that are known."""
        red = [check for check in red_of(verdict) if check.node_id not in known]
        found = self._ask_credentials(verdict, self._settle(red, verdict) if red else DiagnosisResult())
        self.vendor_is_down = self.vendor_is_down or any(
            check.severity.is_urgent and found.causes[check.node_id].cause is Cause.THIRD_PARTY
            for check in red
            if check.node_id in found.causes
        )
        is_unfit = found.passes_p0 is False and not found.about and not self.vendor_is_down
        if is_unfit and (comparison := self._with_fit_control(verdict)):
            self.comparison, self.is_repeated = comparison, True
            return self.into(msgspec.structs.replace(verdict, left=self.runs.ledger.left()), known)
        return replace(found, causes={**found.causes, **changed(red, found.causes, verdict)})

    def _settle(self, red: list[CheckResult], verdict: Verdict) -> DiagnosisResult:
        """Find the causes with this control."""
        # The proof of the control takes longest: it begins before anybody is asked.
        unsettled = [check for check in red if at_first_answer(check, Circumstances()) is None]
        choice = self._choose(unsettled, verdict)
        control_proof = self.start_control_proof(unsettled, verdict, [*choice.single, *choice.control])
        try:
            around, silence = self._look_around(red)
            older = silence if silence and silence.cause is Cause.EXISTING else None
            causes = {check.node_id: seen for check in red if (seen := at_first_answer(check, around) or older)}
            unsettled = [check for check in unsettled if check.node_id not in causes]
            if not unsettled:
                if control_proof:
                    control_proof.running.end()
                return DiagnosisResult(causes, both_silent=older is not None)
            failing = ""
            if silence:
                causes |= {check.node_id: silence for check in unsettled}
            elif not self.comparison.gone:
                paired, failing = self._paired(unsettled, choice, around)
                causes |= paired
                unknown = [check for check in unsettled if causes[check.node_id].cause is Cause.UNKNOWN]
                causes |= self._explained(unknown, around) if self.comparison.control is None else {}
            passes, why = self._judge_control_proof(control_proof)
            if self.comparison.gone:
                causes |= {check.node_id: from_alias(self.comparison, control_passes=passes) for check in unsettled}
            if failing:
                passes, why = False, f"{failing} did not pass on it"
        except BaseException:
            if control_proof:
                control_proof.running.end()
            raise
        return DiagnosisResult(causes, passes if control_proof or failing else None, why)

    def _look_around(self, red: list[CheckResult]) -> tuple[Circumstances, Attribution | None]:
        """Ask the surroundings, and, where answers did not come, candidate and control at the same time."""
        unanswered = any("-> no answer" in line for check in red for line in (check.reason, *check.asked))
        with ThreadPoolExecutor(1) as pool:
            silence = pool.submit(silence_of_candidate, self.target, self.comparison) if unanswered else None
            named = [check.third_party for check in red if check.third_party]
            around = look_around(self.target, named if self.comparison.control else self.target.third_parties)
            return around, silence.result() if silence else None

    def confirm(self, verdict: Verdict, findings: DiagnosisResult) -> tuple[Verdict, DiagnosisResult]:
        """
        Run checks again on production: those that passed on the deployment's own address, and those left out so far.

        A check that is red again on production is not flaky: users meet the fault, and its cause is unknown.
        """
        flaky = findings.flaky
        again = [check for check in verdict.checks if check.node_id in flaky or check.outcome is Outcome.SUPERSEDED]
        try:
            second = self.runs.rest(again, self.comparison.candidate_id).finish()
        except RunError as error:
            return verdict, replace(
                findings, notes=[f"checks that passed the second time were not run on production: {error}"]
            )
        found = by_node(second.checks)
        causes = dict(findings.causes)
        for node_id in flaky:
            outcome = found[node_id].outcome if node_id in found else "not run"
            if outcome not in ACCEPTED:
                evidence = f"{causes[node_id].evidence}, yet {outcome} again on production"
                causes[node_id] = Attribution(Cause.UNKNOWN, evidence)
        merged = [check if check.node_id in flaky else found.get(check.node_id, check) for check in verdict.checks]
        spent = {"spent": second.spent, "spent_last_hour": second.spent_last_hour, "left": second.left}
        verdict = msgspec.structs.replace(verdict, checks=merged, **spent)
        # Readers of the file, `accept` among them, find every check in it; the decision does not need it.
        with suppress(OSError):
            verdict.write(self.runs.reports / VERDICT)
        causes = _of_the_same_vendor(verdict, causes)
        self.is_proved = findings.passes_p0 is not None
        later = self.into(verdict, causes)
        known = findings if later.passes_p0 is None else later
        about = later.about or findings.about
        return verdict, replace(known, causes={**causes, **later.causes}, about=about)

    def compare_errors(self, verdict: Verdict, findings: DiagnosisResult) -> tuple[Verdict, DiagnosisResult]:
        """Add the comparison of error rates to both, where server errors were seen and nothing explains them yet."""
        blamed = [node_id for node_id, found in findings.causes.items() if found.cause is Cause.DEPLOYMENT]
        comparable = self.comparison.candidate and self.comparison.control and not self.comparison.gone
        if blamed or findings.both_silent or not comparable or not (seen := errors_of(verdict.checks)):
            return verdict, findings
        check, found = compare(self.target, self.comparison, seen, verdict.left)
        verdict = msgspec.structs.replace(verdict, checks=[*verdict.checks, check])
        if check.outcome is Outcome.PASSED:
            return verdict, findings
        findings = replace(findings, causes={**findings.causes, check.node_id: found})
        if findings.passes_p0 is None and (proof := self.start_control_proof([check], verdict, [])):
            passes, why = self._judge_control_proof(proof)
            findings = replace(findings, passes_p0=passes, p0_evidence=why)
        return verdict, findings

    def _ask_credentials(self, verdict: Verdict, findings: DiagnosisResult) -> DiagnosisResult:
        """Add the sign-ins for which our own credentials are to blame."""
        ours = Credentials(self.target, self.runs.ledger, self.runs.run_id).blame(verdict.checks, findings.causes)
        if not ours:
            return findings
        found = next(iter(ours.values()))
        notes = [*findings.notes, f"{found.evidence}. {found.first_step}"]
        about = "our own credentials are refused"
        return replace(findings, causes={**findings.causes, **ours}, about=about, notes=notes)

    def _explained(self, unknown: list[CheckResult], around: Circumstances) -> dict[str, Attribution]:
        """Return the causes that can be seen without a control."""
        urgent = [check for check in unknown if check.severity.is_urgent]
        if not urgent:
            return {}
        seen = hear(self.target, urgent, ask_vercel=self.comparison.project is not None)
        found = {check.node_id: seen.explain(check, around, self.target.capabilities) for check in urgent}
        return {node_id: cause for node_id, cause in found.items() if cause}

    def _choose(self, unsettled: list[CheckResult], verdict: Verdict) -> Choice:
        comparison = self.comparison
        if comparison.candidate and comparison.control and not comparison.gone:
            # Each further round of pairs uses the platform's rate limits again.
            most = 1 if self.is_repeated else A_KIND
            return choose(unsettled, verdict.left, comparison, most, _proofs(verdict))
        reason = "there is no earlier deployment to compare with"
        if comparison.candidate is None:
            reason = "it is not known which deployment production serves"
        return Choice(reasons={check.node_id: reason for check in unsettled})

    def start_control_proof(
        self, unsettled: list[CheckResult], verdict: Verdict, single: list[CheckResult]
    ) -> Started | None:
        """
        Start the P0 proof of the control where a rollback may come of it.

        Checks of the database prove nothing about a deployment, because both use the same one. A check under a rate
        limit is proved by its one attempt on the control.
        """
        blamed = [check for check in unsettled if check.can_roll_back and check.severity.is_urgent]
        if not blamed or self.is_proved or self.comparison.control is None or self.runs.stage not in ROLLBACK_STAGES:
            return None
        p0 = [check.node_id for check in _proofs(verdict) if check.node_id not in {*by_node(single), NODE_ID}]
        return self.runs.prove_control(p0, self.comparison.variant("control"))

    def _with_fit_control(self, verdict: Verdict) -> Comparison | None:
        """
        Return the comparison with the next control that passes P0 now; None: no other does.

        Checks under a rate limit are left out: too little of the limit is left to prove several deployments.
        """
        comparison = self.comparison.with_next_control()
        limited = [check for check in verdict.checks if any(is_scarce(what) for what in check.spends)]
        red = [check for check in red_of(verdict) if check not in limited]
        while comparison:
            proof = replace(self, comparison=comparison).start_control_proof(red, verdict, limited)
            if self._judge_control_proof(proof)[0]:
                return comparison
            comparison = comparison.with_next_control()
        return None

    def _judge_control_proof(self, control_proof: Started | None) -> tuple[bool, str]:
        if control_proof is None:
            return False, "it was not asked"
        try:
            verdict = control_proof.finish()
        except RunError as error:
            return False, str(error)
        return passes_p0(verdict, pinned=self.comparison.pinned_url is not None)

    def _paired(
        self, unsettled: list[CheckResult], choice: Choice, around: Circumstances
    ) -> tuple[dict[str, Attribution], str]:
        """Return the causes, and the P0 checks under a rate limit that the control did not pass in their pair."""
        running = [self._start(choice.pairs, ROUNDS), self._start(choice.single, 1), self._start_once(choice.control)]
        reruns: dict[str, CheckResult] = {}
        reasons = dict(choice.reasons)
        for checks, started in zip((choice.pairs, choice.single, choice.control), running, strict=True):
            try:
                reruns |= by_node(started.finish().checks) if started else {}
            except RunError as error:
                reasons |= {check.node_id: str(error) for check in checks}
        causes: dict[str, Attribution] = {}
        for check in unsettled:
            rerun = reruns.get(check.node_id)
            if check.node_id in reasons:
                causes[check.node_id] = without_pairs(check, around, self.comparison, reasons[check.node_id])
            elif check in choice.single:
                causes[check.node_id] = from_single(check, rerun, self.comparison, around)
            elif check in choice.control:
                causes[check.node_id] = from_control(check, rerun, self.comparison, around)
            else:
                causes[check.node_id] = from_pairs(check, rerun, self.comparison, around)
        urgent = [check for check in [*choice.single, *choice.control] if check.severity is Severity.P0]
        return causes, "; ".join(check.title for check in urgent if not _control_passes(reruns.get(check.node_id)))

    def _start(self, checks: list[CheckResult], rounds: int) -> Started | None:
        if not checks:
            return None
        candidate, control = map(self.comparison.variant, ("candidate", "control"))
        return self.runs.pairs(checks, candidate, control, rounds=rounds)

    def _start_once(self, checks: list[CheckResult]) -> Started | None:
        node_ids = [check.node_id for check in checks]
        return self.runs.once(node_ids, self.comparison.variant("control")) if checks else None


def has_rest(verdict: Verdict, findings: DiagnosisResult) -> bool:
    """Whether checks wait for `confirm`: an early end left them out, or they passed when they ran again."""
    left_out = any(check.outcome is Outcome.SUPERSEDED for check in verdict.checks)
    return verdict.complete and (left_out or bool(findings.flaky))


def changed(red: list[CheckResult], causes: dict[str, Attribution], verdict: Verdict) -> dict[str, Attribution]:
    """
    Return the red checks that only show a redesign: an element is gone, and a journey still reaches the effect.

    A difference between two deployments is no defect. Where no journey reached the effect, it is absent.
    """
    reached = {
        check.effect: check
        for check in verdict.checks
        if check.effect and check.kind == "journey" and check.outcome is Outcome.PASSED
    }
    return {
        check.node_id: Attribution(Cause.CHANGED, f"{found.evidence}; yet passed: {reached[check.effect].title}")
        for check in red
        if (found := causes.get(check.node_id))
        and found.cause is Cause.DEPLOYMENT
        and check.effect in reached
        and not any(attempt.symptom for attempt in check.attempts)
    }


def _of_the_same_vendor(verdict: Verdict, causes: Mapping[str, Attribution]) -> dict[str, Attribution]:
    """Add the red checks of a vendor that is to blame already: each of their answers may take many seconds."""
    vendors = {
        check.third_party: causes[check.node_id].evidence
        for check in verdict.checks
        if check.third_party and check.severity.is_urgent
        if check.node_id in causes and causes[check.node_id].cause is Cause.THIRD_PARTY
    }
    more = {
        check.node_id: Attribution(Cause.THIRD_PARTY, vendors[check.third_party])
        for check in red_of(verdict)
        # A page may have a fault of its own besides.
        if check.third_party in vendors and check.kind != "journey" and check.node_id not in causes
    }
    return {**causes, **more}


def _proofs(verdict: Verdict) -> list[CheckResult]:
    """Return the checks that prove a deployment: P0, without those of the database, which every deployment shares."""
    applicable = [check for check in verdict.checks if check.outcome is not Outcome.NOT_APPLICABLE]
    return [check for check in applicable if check.severity is Severity.P0 and check.kind != "database"]


def by_node(checks: Iterable[CheckResult]) -> dict[str, CheckResult]:
    """Return the checks by node id."""
    return {check.node_id: check for check in checks}


def _control_passes(rerun: CheckResult | None) -> bool:
    outcomes = [attempt.outcome for attempt in rerun.attempts if attempt.variant == "control"] if rerun else []
    return bool(outcomes) and ACCEPTED.issuperset(outcomes)
