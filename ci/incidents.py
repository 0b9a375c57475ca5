"""Turns the red checks of a run into incidents: people are told of new ones and of those that are over."""

from __future__ import annotations

import time

import msgspec

from ci.notify import Message, Status, compare
from ci.outbox import deliver, queue
from ci.red_checks import RedCheck
from ci.report import Report
from fixtures.model.verdict import Cause, Decision, Outcome, Severity, Verdict
from fixtures.state.state import Incident, State

_SHOWN = 10


def tell(report: Report, verdict: Verdict, state: State, webhook: str | None) -> list[str]:
    """
    Open and resolve incidents in the state and tell Slack; return notes for the report.

    An incident that a rollback has healed is reported as resolved and not kept: if the same build is promoted again,
    that is a new incident. The outbox keeps a message that could not be sent. Raises StateError, StateBusyError.
    """
    red = [check for check in report.red if check.severity != Severity.P3 and check.cause != Cause.FLAKY]
    passed = {check.node_id for check in verdict.checks if check.outcome is Outcome.PASSED}
    change = compare(state.incidents(), [_incident(check, report) for check in red], passed)
    shown = {check.node_id: check for check in red}
    messages = [_opened(report, change.opened, shown)] if change.opened else []
    messages += [_resolved(change.resolved)] if change.resolved else []
    if webhook is None:
        state.replace_incidents([*change.open, *change.resolved])
        return ["no notice was sent: the target has no Slack webhook"] if messages else []
    queue(state, messages, told_of=report.run_id)
    open_ = [one for one in change.open if not _repaired(report, one)]
    state.replace_incidents([msgspec.structs.replace(one, notified=True) for one in open_])
    return deliver(state, webhook)


def _incident(check: RedCheck, report: Report) -> Incident:
    return Incident(
        check=check.node_id,
        cause=check.cause,
        severity=check.severity,
        title=check.title,
        run_id=report.run_id,
        opened_at=time.time(),
    )


def _opened(report: Report, opened: list[Incident], red: dict[str, RedCheck]) -> Message:
    worst = min(opened, key=lambda incident: incident.severity)
    more = f" and {len(opened) - 1} more" if len(opened) > 1 else ""
    lines = [_line(red[incident.check]) for incident in opened[:_SHOWN]]
    return Message(
        title=f"{worst.title}{more} ({report.target}: {report.decision})",
        severity=worst.severity,
        status=_status(report, opened),
        impact=f"{len(opened)} checks of {report.target} red at {report.stage}, deployment {report.deployment_id}",
        lines=[f"What was done: {report.deed()}", *lines],
    )


def _resolved(resolved: list[Incident]) -> Message:
    worst = min(resolved, key=lambda incident: incident.severity)
    more = f" and {len(resolved) - 1} more" if len(resolved) > 1 else ""
    return Message(
        title=f"{worst.title}{more}",
        severity=worst.severity,
        status="Resolved",
        impact="none: green again",
        lines=[f"{incident.title}: green again ({incident.cause})" for incident in resolved[:_SHOWN]],
    )


def _line(check: RedCheck) -> str:
    why = f"{check.cause}: {check.evidence}"
    return f"{check.severity} {check.title}: {check.measured}. {why}. First: {check.first_action}"


def _status(report: Report, opened: list[Incident]) -> Status:
    if all(_repaired(report, incident) for incident in opened):
        return "Resolved"
    if report.decision == Decision.HOLD or any(incident.cause == Cause.UNKNOWN for incident in opened):
        return "Investigating"
    return "Identified"


def _repaired(report: Report, incident: Incident) -> bool:
    """Return whether the rollback healed it: P0 and the checks blamed on the deployment were green afterwards."""
    healed = report.rollback is not None and report.rollback.step == "healed"
    return healed and (incident.cause == Cause.DEPLOYMENT or incident.severity == Severity.P0)
