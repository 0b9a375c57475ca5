"""
Notices that wait to be sent, kept in the state: a notice is written down, then sent, then crossed out.

A gate that dies in between leaves the notice behind, and the next run sends it. A notice whose sending had begun is
marked "again", because it may have arrived.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from ci.notify import Message, send
from fixtures.state.state import RollbackRecord, State

NAME = "outbox"
_KEPT = 50
_LOCK_WAIT = 30.0
_STEPS = {
    "intended": "it is not known whether the request was made",
    "requested": "the request was made and not proved",
    "proved": "production serves the earlier deployment; whether it healed is checked now",
}


class Notice(msgspec.Struct, kw_only=True):
    """A message that waits.  begun: its sending began, and it is not known how it ended."""

    message: Message
    begun: bool = False


class Outbox(msgspec.Struct, kw_only=True):
    """The notices of a target. waiting: oldest first.  rollbacks: ids of runs whose rollback was not reported yet."""

    waiting: list[Notice] = []
    rollbacks: list[str] = []


def announce(state: State, run_id: str) -> None:
    """Note, before a rollback is requested, that people must be told of it. Raises StateError."""
    with state.lock(NAME, wait=_LOCK_WAIT):
        box = _read(state)
        box.rollbacks = [*box.rollbacks, run_id]
        state.keep_document(NAME, box)


def queue(state: State, messages: Iterable[Message], *, told_of: str | None = None) -> None:
    """
    Write down messages, and one for each rollback that was not reported yet. Raises StateError, StateBusyError.

    told_of: id of the run whose rollback these messages report.
    """
    new = list(messages)
    with state.lock(NAME, wait=_LOCK_WAIT):
        box = _read(state)
        untold = [run_id for run_id in box.rollbacks if not new or run_id != told_of]
        new += _of_rollbacks(state.rollbacks(), untold)
        if new:
            waiting = [*box.waiting, *(Notice(message=message) for message in new)]
            state.keep_document(NAME, Outbox(waiting=waiting[-_KEPT:]))


def deliver(state: State, webhook: str) -> list[str]:
    """Send the waiting notices; return notes for the report. Raises StateError, StateBusyError."""
    notes: list[str] = []
    unsent: list[Notice] = []
    with state.lock(NAME, wait=_LOCK_WAIT):
        waiting = _read(state).waiting
        for place, notice in enumerate(waiting, start=1):
            message = notice.message
            shown = replace(message, title=f"{message.title} (again: it may have arrived)") if notice.begun else message
            begun = Notice(message=message, begun=True)
            state.keep_document(NAME, Outbox(waiting=[*unsent, begun, *waiting[place:]]))
            problem = send(webhook, shown)
            notes.append(problem or f"sent to Slack: {shown.title} ({shown.status})")
            unsent += [notice] if problem else []
            state.keep_document(NAME, Outbox(waiting=[*unsent, *waiting[place:]]))
    return notes


def _of_rollbacks(records: list[RollbackRecord], run_ids: list[str]) -> Iterable[Message]:
    for record in records:
        if record.run_id in run_ids and record.step != "abandoned":
            became = _STEPS.get(record.step, f"the rollback is {record.step}: {record.detail}")
            yield Message(
                title=f"{record.deployment_id} was rolled back to {record.target_id}: {record.step}",
                severity="P0",
                status="Resolved" if record.step == "healed" else "Identified",
                impact=f"run {record.run_id} ended before it sent its notice",
                lines=[became, f"Reason: {record.reason}"],
            )


def _read(state: State) -> Outbox:
    return state.document(NAME, Outbox) or Outbox()
