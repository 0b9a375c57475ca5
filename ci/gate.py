"""
Turns a verdict and causes into a decision: a pure function, the table of ci/README.md, first row that matches.

It is never green by default: every applicable P0/P1 check is required, and a check that did not run did not pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from fixtures.model.verdict import ACCEPTED, Cause, CheckResult, Decision, Outcome, Verdict

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
    Decision.KEEP: "the deployment stays",
    Decision.ALERT: "the deployment stays; look at the red checks today",
    Decision.ROLLBACK: "rolled back and verified",
    Decision.BLOCK: "promotion blocked",
    Decision.HOLD: "cannot tell; nothing was changed",
    Decision.INCIDENT: "something is wrong that a rollback would not repair",
    Decision.ESCALATE: "rejected, and production still needs a person",
}
ROLLBACK_STAGES = frozenset({"postdeploy", "watch"})
# These causes say nothing about the platform.
OURS = frozenset({Cause.RUNNER, Cause.BLOCKED, Cause.SELF_INFLICTED})
_NO_DEFECT = OURS | {Cause.FLAKY, Cause.CHANGED}
_OLDER = frozenset({Cause.EXISTING, Cause.THIRD_PARTY})
_NAMED = 3
_RAN = ACCEPTED | {Outcome.FAILED}
_MISSING = frozenset({Outcome.NOT_MEASURED, Outcome.SUITE_ERROR, Outcome.SUPERSEDED})


@dataclass(frozen=True)
class Judgement:
    """
    The decision, the row of the table it comes from, and why, one line a check.

    about: what the first line of the report names besides.
    """

    decision: Decision
    rule: int
    reasons: list[str] = field(default_factory=list)
    about: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code of this decision."""
        return EXIT[self.decision]

    @property
    def meaning(self) -> str:
        """Return the meaning of the decision in words."""
        return MEANING[self.decision]


def escalated(judgement: Judgement, reason: str) -> Judgement:
    """Return the decision after a rollback that was refused, was not proved or did not heal production."""
    return Judgement(Decision.ESCALATE, judgement.rule, [reason, *judgement.reasons])


def red_of(verdict: Verdict) -> list[CheckResult]:
    """Return the checks that failed."""
    return [check for check in verdict.checks if check.outcome is Outcome.FAILED]


def decide(
    verdict: Verdict | None,
    causes: Mapping[str, Cause],
    stage: str,
    *,
    problem: str | None = None,
    has_control: bool = True,
    can_roll_back: bool = True,
    must_see: Collection[str] = (),
) -> Judgement:
    """
    Judge a verdict.

    causes: node id of a red check -> why it is red; a red check that is not in it is `unknown`.
    problem: why the verdict cannot be trusted, in words; it wins over everything else.
    has_control: whether another deployment could be asked.  can_roll_back: whether the target allows a rollback.
    must_see: capabilities whose checks must apply.
    """
    if verdict is None:
        return Judgement(Decision.HOLD, 2, [problem or "there is no verdict"])
    if torn := problem or _torn(verdict, stage):
        return Judgement(Decision.HOLD, 2, [torn])

    red = [(check, causes.get(check.node_id, Cause.UNKNOWN)) for check in red_of(verdict)]
    urgent = [pair for pair in red if pair[0].severity.is_urgent]
    undoable = can_roll_back and stage in ROLLBACK_STAGES
    blamed = [pair for pair in urgent if undoable and pair[0].can_roll_back and pair[1] is Cause.DEPLOYMENT]
    blocking = [pair for pair in urgent if _blocks(pair[1], has_control=has_control)]
    # In predeploy nothing is undone either, but an unknown cause must not let the candidate pass.
    final = not has_control or (not can_roll_back and stage in ROLLBACK_STAGES) or stage == "daily"
    lasting = [pair for pair in urgent if _lasting(*pair, final=final)]
    unsettled = [pair for pair in urgent if pair[1] is not Cause.FLAKY]

    table = [
        (3, Decision.ROLLBACK, _lines(blamed)),
        (4, Decision.BLOCK, _lines(blocking) if stage == "predeploy" else []),
        (5, Decision.INCIDENT, _lines(lasting)),
        (6, Decision.HOLD, _lines(unsettled) + _unmeasured(verdict) + _unseen(verdict, must_see)),
        (7, Decision.ALERT, _lines(red) + known_lines(verdict)),
    ]
    for rule, decision, reasons in table:
        if reasons:
            return Judgement(decision, rule, reasons)
    counts = Counter(check.outcome for check in verdict.checks)
    kept = f"{counts[Outcome.PASSED]} checks passed, none is red, every required one that applies was measured"
    left_out = counts[Outcome.NOT_APPLICABLE]
    kept += f"; {left_out} do not apply to this target, and summary.md names them" if left_out else ""
    return Judgement(Decision.KEEP, 8, [kept])


def _torn(verdict: Verdict, stage: str) -> str | None:
    if verdict.stage != stage:
        return f"the verdict is of stage {verdict.stage}, not {stage}"
    if not verdict.complete:
        return f"the verdict is incomplete: the run ended before its last check ({len(verdict.checks)} judged)"
    if not any(check.outcome in _RAN for check in verdict.checks):
        counts = Counter(check.outcome for check in verdict.checks)
        tally = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        return f"no check ran: {tally or 'none was selected'}"
    if verdict.missing:
        named = ", ".join(verdict.missing[:_NAMED])
        return f"the run was narrowed: {len(verdict.missing)} checks that are due did not run ({named}, …)"
    return None


def _blocks(cause: Cause, *, has_control: bool) -> bool:
    """Whether a red check refuses the promotion. The build may repair an older fault, so that one does not."""
    return cause is Cause.DEPLOYMENT or (not has_control and cause not in _NO_DEFECT | _OLDER)


def _lasting(check: CheckResult, cause: Cause, *, final: bool) -> bool:
    """Whether people must act. final: no comparison and no rollback follows, so that nothing else becomes known."""
    return cause not in _NO_DEFECT and (cause in _OLDER or not check.can_roll_back or final)


def _unmeasured(verdict: Verdict) -> list[str]:
    return [
        f"{check.severity} {check.title}: {check.outcome}"
        + next((f", cause {attempt.blocker}" for attempt in check.attempts if attempt.blocker), "")
        + (f" ({check.reason})" if check.reason else "")
        for check in verdict.checks
        if check.severity.is_urgent and check.outcome in _MISSING
    ]


def _unseen(verdict: Verdict, must_see: Collection[str]) -> list[str]:
    return [
        f"blind to {spot.subject or spot.capability}: {spot.why}, and must_see names it"
        for spot in verdict.blind
        if spot.capability in must_see
    ]


def blind_to(verdict: Verdict) -> str:
    """Return what the run cannot see of the P0 and P1 promises, and why, for the first line; "" for nothing."""
    spots = [spot for spot in verdict.blind if spot.urgent and spot.subject]
    lacks = ", ".join(spot.capability for spot in spots)
    return f"blind to {', '.join(spot.subject for spot in spots)}: the target lacks {lacks}" if spots else ""


def known_lines(verdict: Verdict) -> list[str]:
    """Return one line for each known fault of the run: the check, by whom, until when, and why."""
    return [f"{check.severity} {by}" for check in verdict.checks for by in check.known_by]


def _lines(pairs: Iterable[tuple[CheckResult, Cause]]) -> list[str]:
    return [f"{check.severity} {check.title}: failed, cause {cause}{_no_rollback(check)}" for check, cause in pairs]


def _no_rollback(check: CheckResult) -> str:
    return "" if check.can_roll_back else f", judges {check.judges}: no rollback repairs it"
