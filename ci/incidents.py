"""
The facts that a run leaves: the deployment that it kept, its decision in shadow mode, and its incidents.

People are told of new incidents and of those that are over. Incidents are the same when check and cause are.
"""

from __future__ import annotations

import time

import msgspec

from ci.notify import Message, Status, deliver, queue
from ci.red_checks import RedCheck
from ci.report import Report
from ci.schema_compatibility import read
from fixtures.model.verdict import Cause, Decision, Outcome, Severity, Verdict
from fixtures.state.state import Good, Incident, ShadowEntry, State
from fixtures.target.target import Target

LET_STAND = frozenset({Decision.KEEP, Decision.ALERT})
_SHOWN = 10


def remember(report: Report, verdict: Verdict | None, state: State, target: Target) -> None:
    """
    Write to the ledger, in shadow also to the shadow log. Raises StateError.

    Only a complete run that nobody narrowed enters the ledger: the decision of any other is hold.
    """
    if report.mode == "shadow":
        state.record_shadow(
            ShadowEntry(
                run_id=report.run_id,
                recorded_at=time.time(),
                deployment_id=report.deployment_id,
                decision=report.decision,
                exit_code=report.exit_code,
                reasons=report.reasons,
                would=[report.deed()] if report.rollback else [],
            )
        )
    good = report.decision in LET_STAND and report.stage != "predeploy"
    if verdict is None or report.deployment_id is None or not good:
        return
    migrations = read(target, report.run_id)
    passed = [check.node_id for check in verdict.checks if check.outcome is Outcome.PASSED]
    state.record_good(
        Good(
            deployment_id=report.deployment_id,
            run_id=report.run_id,
            recorded_at=time.time(),
            passed=passed,
            migrations=None if migrations is None else [migration.version for migration in migrations],
        )
    )


def tell(report: Report, verdict: Verdict, state: State, webhook: str | None) -> list[str]:
    """
    Open and resolve incidents in the state and tell Slack; return notes for the report.

    An incident that a rollback has healed is reported as resolved and not kept: if the same build is promoted again,
    that is a new incident. The outbox keeps a message that could not be sent. Raises StateError, StateBusyError.
    """
    red = [check for check in report.red if check.severity != Severity.P3 and check.cause != Cause.FLAKY]
    passed = {check.node_id for check in verdict.checks if check.outcome is Outcome.PASSED}
    known = state.incidents()
    before = {(incident.check, incident.cause): incident for incident in known}
    # A check that is red for another cause opens a new incident in place of the old one.
    now = [before.get((check.node_id, check.cause)) or _incident(check, report) for check in red]
    shown = {check.node_id: check for check in red}
    # A fault that was accepted is a new incident on the day after it expires.
    accepted = {check.node_id for check in verdict.checks if check.outcome is Outcome.KNOWN}
    gone = [incident for incident in known if incident.check not in {*shown, *accepted}]
    resolved = [incident for incident in gone if incident.check in passed]
    # An incident whose check was not judged stays.
    still_open = [incident for incident in gone if incident.check not in passed] + now
    # One that was never reported is opened again.
    opened = [incident for incident in now if not incident.notified]
    messages = [_opened(report, opened, shown)] if opened else []
    messages += [_resolved(resolved)] if resolved else []
    if webhook is None:
        state.replace_incidents([*still_open, *resolved])
        return ["no notice was sent: the target has no Slack webhook"] if messages else []
    queue(state, messages, told_of=report.run_id)
    kept = [incident for incident in still_open if not _repaired(report, incident)]
    state.replace_incidents([msgspec.structs.replace(incident, notified=True) for incident in kept])
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
    worst, title = _worst(opened)
    lines = [_line(red[incident.check]) for incident in opened[:_SHOWN]]
    return Message(
        title=f"{title} ({report.target}: {report.decision})",
        severity=worst.severity,
        status=_status(report, opened),
        impact=f"{len(opened)} checks of {report.target} red at {report.stage}, deployment {report.deployment_id}",
        lines=[f"What was done: {report.deed()}", *lines],
    )


def _resolved(resolved: list[Incident]) -> Message:
    worst, title = _worst(resolved)
    return Message(
        title=title,
        severity=worst.severity,
        status="Resolved",
        impact="none: green again",
        lines=[f"{incident.title}: green again ({incident.cause})" for incident in resolved[:_SHOWN]],
    )


def _worst(incidents: list[Incident]) -> tuple[Incident, str]:
    """Return the worst incident, and a title for all of them."""
    worst = min(incidents, key=lambda incident: incident.severity)
    return worst, f"{worst.title} and {len(incidents) - 1} more" if incidents[1:] else worst.title


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
