"""
From verdict and causes to a decision: a pure function, the table of ci/README.md, first row that matches.

Never green by default: required is every applicable P0/P1 check, and a check that did not run did not pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fixtures.outcomes import Cause, CheckResult, Decision, Outcome, Severity, Verdict

EXIT_USAGE = 2
EXIT = {
    Decision.KEEP: 0,
    Decision.ALERT: 0,
    Decision.ROLLBACK: 1,
    Decision.BLOCK: 1,
    Decision.HOLD: 3,
    Decision.INCIDENT: 4,
    Decision.ESCALATE: 5,
}
MEANING = {
    0: "go on",
    1: "this deployment was rejected (blocked, or rolled back and healed)",
    2: "wrong usage or configuration",
    3: "cannot tell",
    4: "something is wrong that a rollback would not mend",
    5: "rejected, and production still needs a human",
}
ROLLBACK_STAGES = frozenset({"postdeploy", "watch"})
# Red for a reason that says nothing about the platform.
OURS = frozenset({Cause.RUNNER, Cause.BLOCKED, Cause.SELF_INFLICTED})
_URGENT = frozenset({Severity.P0, Severity.P1})


@dataclass(frozen=True)
class Judgement:
    """The decision, the row of the table it comes from, and why, one line a check."""

    decision: Decision
    rule: int
    reasons: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """The exit code this decision ends with."""
        return EXIT[self.decision]


def decide(
    verdict: Verdict | None,
    causes: Mapping[str, Cause],
    stage: str,
    *,
    problem: str | None = None,
) -> Judgement:
    """
    Judge a verdict.

    causes: node id of a red check -> why it is red; a red check that is not in it is `unknown`.
    problem: why the verdict cannot be trusted, in words; it wins over everything else.
    """
    torn = problem or _torn(verdict, stage)
    if torn or verdict is None:
        return Judgement(Decision.HOLD, 2, [torn or "there is no verdict"])

    red = [check for check in verdict.checks if check.outcome is Outcome.FAILED]
    urgent = [(check, causes.get(check.node_id, Cause.UNKNOWN)) for check in red if check.severity in _URGENT]

    if stage in ROLLBACK_STAGES:
        guilty = [pair for pair in urgent if pair[0].rollback_eligible and pair[1] is Cause.DEPLOYMENT]
        if guilty:
            return Judgement(Decision.ROLLBACK, 3, _lines(guilty))
    if stage == "predeploy":
        blocking = [pair for pair in urgent if pair[1] not in OURS]
        if blocking:
            return Judgement(Decision.BLOCK, 4, _lines(blocking))
    lasting = [pair for pair in urgent if _lasting(*pair, stage)]
    if lasting:
        return Judgement(Decision.INCIDENT, 5, _lines(lasting))
    open_questions = _lines(pair for pair in urgent if pair[1] is not Cause.FLAKY) + _unmeasured(verdict)
    if open_questions:
        return Judgement(Decision.HOLD, 6, open_questions)
    mild = [(check, causes.get(check.node_id, Cause.UNKNOWN)) for check in red]
    if mild:
        return Judgement(Decision.ALERT, 7, _lines(mild))
    passed = sum(check.outcome is Outcome.PASSED for check in verdict.checks)
    return Judgement(Decision.KEEP, 8, [f"{passed} checks passed, none is red, every required one was measured"])


def _torn(verdict: Verdict | None, stage: str) -> str | None:
    if verdict is None:
        return "there is no verdict"
    if verdict.stage != stage:
        return f"the verdict is of stage {verdict.stage}, not {stage}"
    if not verdict.complete:
        return f"the verdict is torn: the run ended before its last check ({len(verdict.checks)} judged)"
    if not verdict.checks:
        return "no check ran"
    if all(check.outcome is Outcome.NOT_APPLICABLE for check in verdict.checks):
        return f"none of the {len(verdict.checks)} checks applies to this target"
    return None


def _lasting(check: CheckResult, cause: Cause, stage: str) -> bool:
    if cause in OURS or cause is Cause.FLAKY:
        return False
    return cause in {Cause.EXISTING, Cause.THIRD_PARTY} or not check.rollback_eligible or stage == "daily"


def _unmeasured(verdict: Verdict) -> list[str]:
    red_p0 = any(check.outcome is Outcome.FAILED and check.severity is Severity.P0 for check in verdict.checks)
    missing = {Outcome.NOT_MEASURED} if red_p0 else {Outcome.NOT_MEASURED, Outcome.SUPERSEDED}
    return [
        f"{check.severity} {check.node_id}: {check.outcome}{f' ({check.reason})' if check.reason else ''}"
        for check in verdict.checks
        if check.severity in _URGENT and check.outcome in missing
    ]


def _lines(pairs: Iterable[tuple[CheckResult, Cause]]) -> list[str]:
    return [
        f"{check.severity} {check.node_id}: failed, cause {cause}{'' if check.rollback_eligible else ', not eligible'}"
        for check, cause in pairs
    ]
