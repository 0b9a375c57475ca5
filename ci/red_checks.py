"""
One red check as a person reads it: what was measured against which limit, why it is red, and what to do first.

The verdict has all of it; here the few lines that matter are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ci.causes import Attribution
from ci.gate import red_of
from fixtures.checks.failure_text import shortened
from fixtures.model.verdict import Cause, CheckResult, Verdict

_LINE = 300
_RAISED = "AssertionError: "


class RedCheck(msgspec.Struct, kw_only=True):
    """
    One red check. measured: against its limit, or what the check said.  answer: what was wrong with it, and its body.

    asked: exchanges, where `measured` shows none.  evidence: of the cause.  files: its own.
    """

    node_id: str
    severity: str
    title: str
    measured: str
    cause: str
    evidence: str
    first_action: str
    rollback_eligible: bool
    answer: list[str] = []
    asked: list[str] = []
    files: list[str] = []


def red_checks(verdict: Verdict, causes: Mapping[str, Attribution]) -> list[RedCheck]:
    """Return what is red, worst first, with its cause."""
    unknown = Attribution(Cause.UNKNOWN, "no cause was looked for")
    found = {check.node_id: causes.get(check.node_id, unknown) for check in red_of(verdict)}
    return [
        RedCheck(
            node_id=check.node_id,
            severity=check.severity,
            title=check.title,
            measured=measured(check),
            cause=found[check.node_id].cause,
            evidence=found[check.node_id].evidence,
            first_action=_first_action(check, found[check.node_id].cause, verdict.url),
            rollback_eligible=check.rollback_eligible,
            answer=_answer(check),
            asked=check.asked_besides([measured(check)]),
            files=check.evidence,
        )
        for check in sorted(red_of(verdict), key=lambda check: (check.severity, check.node_id))
    ]


def measured(check: CheckResult) -> str:
    """Return what was measured against which limit; without numbers, the first line of what the check said."""
    over = [
        f"{found.name} {found.value:g} {found.unit}, limit {found.limit:g} {found.unit} ({found.samples} samples)"
        for found in check.measurements
        if found.limit is not None and found.value > found.limit
    ]
    said = check.reason.strip().removeprefix(_RAISED).splitlines()
    return "; ".join(over) or (said[0] if said else "red")


def _answer(check: CheckResult) -> list[str]:
    """Return what follows an exchange in what the check said: what was wrong with it, and the beginning of its body."""
    first, *rest = check.reason.strip().removeprefix(_RAISED).splitlines() or [""]
    return [shortened(line, _LINE) for line in rest[:2]] if " -> " in first else []


def silence(lines: Iterable[str]) -> str:
    """Return why nothing was answered, as the exchanges among these lines say; "" where something was."""
    said = {line.partition(" -> ")[2].partition(" in ")[0] for line in lines if " -> " in line}
    return said.pop() if len(said) == 1 and min(said).startswith("no answer") else ""


def _first_action(check: CheckResult, cause: Cause, url: str) -> str:
    if silence([measured(check), *check.asked]):
        return f"`curl -sv {url}` from here and from another network: is it this runner's, or the site, that is down?"
    if cause is Cause.THIRD_PARTY:
        return f"Follow the vendor's status page: nothing of ours mends it. If all is well there: {check.first_action}"
    return check.first_action
