"""
Finds the cause of a red check without a re-run: from its answers, its surroundings, the alias and the ledger.

`pairs.py` proves the rest. No rule here blames a deployment without proof.
"""

from __future__ import annotations

from dataclasses import dataclass

from ci.circumstances import Circumstances
from ci.comparison import Comparison
from fixtures.model.verdict import Cause, CheckResult, Outcome


@dataclass(frozen=True)
class Attribution:
    """A cause, and the evidence for it in one line."""

    cause: Cause
    evidence: str


def at_first_answer(check: CheckResult, around: Circumstances) -> Attribution | None:
    """Return the cause that the run and its surroundings prove without a control deployment; None: they prove none."""
    blockers = {attempt.blocker for attempt in check.attempts if attempt.outcome is not Outcome.PASSED}
    for blocker in (Cause.BLOCKED, Cause.SELF_INFLICTED):
        if blocker in blockers:
            return Attribution(blocker, _message(check) or f"an answer showed that the runner was {blocker}")
    # "Refused" looks the same from both ends; an address outside the platform shows the difference.
    silent = not around.target or Cause.RUNNER in blockers
    if silent and check.kind != "database" and around.controls is False:
        return Attribution(
            Cause.RUNNER,
            "neither the target nor the control addresses outside the platform answer; check this runner's network",
        )
    if check.kind == "database":
        if Cause.RUNNER in blockers:
            return Attribution(Cause.RUNNER, _message(check) or "the database cannot be reached from here")
        return Attribution(
            Cause.EXISTING, "the database is the same under every deployment; a rollback does not change it"
        )
    return None


def without_pairs(check: CheckResult, around: Circumstances, comparison: Comparison, reason: str) -> Attribution:
    """Return the cause of a check that could not be paired, and why it was not."""
    trouble = around.vendors.get(check.third_party or "")
    if trouble:
        return Attribution(Cause.THIRD_PARTY, f"{check.third_party}'s own status page reports {trouble}")
    if not _host_bound_and_passed(check, comparison):
        return Attribution(Cause.UNKNOWN, reason)
    control = f"{comparison.control_name} passed this check when this suite kept it"
    ledger = f"production serves {comparison.candidate_id}, and {control}"
    return Attribution(Cause.DEPLOYMENT, f"not paired ({reason}); by alias and ledger: {ledger}")


def _host_bound_and_passed(check: CheckResult, comparison: Comparison) -> bool:
    """Without skew protection a host-bound check cannot be paired: the ledger is the only witness."""
    passed = comparison.good.passed if comparison.good else []
    return check.host_bound and comparison.pinned_url is None and check.third_party is None and check.node_id in passed


def from_alias(comparison: Comparison, *, control_passes: bool) -> Attribution:
    """Judge a deployment that is gone, so that there is nothing to pair: the alias is the evidence."""
    gone = f"production serves {comparison.candidate_id}, which by Vercel's API is {comparison.gone}"
    if control_passes:
        return Attribution(Cause.DEPLOYMENT, f"{gone}; {comparison.control_name} passes P0 (by alias, not by pairs)")
    return Attribution(Cause.UNKNOWN, f"{gone}; {comparison.control_name} did not pass P0 either")


def _message(check: CheckResult) -> str:
    messages = [attempt.message for attempt in check.attempts if attempt.blocker and attempt.message]
    return messages[-1].strip().splitlines()[0] if messages else ""
