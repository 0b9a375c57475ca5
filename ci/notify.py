"""
Notices to Slack's incoming webhook, in the runbook's words. A notice is written down, then sent, then crossed out.

A gate that dies in between leaves the notice behind, and the next run sends it. A notice whose sending had begun is
marked "again", because it may have arrived. The webhook's URL is a secret: no message, error or repr shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Literal

import httpx
import msgspec

from ci.web import new_client
from fixtures.model import escaping, redaction
from fixtures.state.state import RollbackRecord, State

OUTBOX = "outbox"
Status = Literal["Investigating", "Identified", "Resolved"]
# The runbook's response times.
_ETA = {"P0": "response in under 15 min", "P1": "response in under 30 min", "P2": "response in under 2 hours"}
_TRIES = 3
_LONGEST_WAIT = 10.0
_HEADER, _SECTION, _FIELD = 150, 3000, 2000
_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY})
_KEPT = 50
_LOCK_WAIT = 30.0
_STEPS = {
    "intended": "it is not known whether the request was made",
    "requested": "the request was made and not proved",
    "proved": "production serves the earlier deployment; whether it healed is checked now",
}


@dataclass(frozen=True)
class Message:
    """One message by the runbook's template. lines: one for each check, with its fault and the first step."""

    title: str
    severity: str
    status: Status
    impact: str
    lines: list[str]

    def payload(self) -> dict[str, Any]:
        """Return the body for Slack's incoming webhook, within its limits and without any secret."""
        head = redaction.redact(f"[INCIDENT] {self.title}")
        eta = "resolved" if self.status == "Resolved" else _ETA.get(self.severity, "response in under 1 day")
        facts = {"Severity": self.severity, "Status": self.status, "Impact": self.impact, "ETA": eta}
        body = "\n".join(redaction.redact(line) for line in self.lines)
        return {
            "text": escaping.slack(f"{head} ({self.severity}, {self.status})")[:_SECTION],
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": escaping.one_line(head)[:_HEADER]}},
                {
                    "type": "section",
                    "fields": [_text(f"*{name}*\n{redaction.redact(text)}") for name, text in facts.items()],
                },
                {"type": "section", "text": {"type": "mrkdwn", "text": escaping.slack(body)[:_SECTION] or " "}},
            ],
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
    with state.lock(OUTBOX, wait=_LOCK_WAIT):
        box = _read(state)
        box.rollbacks = [*box.rollbacks, run_id]
        state.keep_document(OUTBOX, box)


def queue(state: State, messages: Iterable[Message], *, told_of: str | None = None) -> None:
    """
    Write down messages, and one for each rollback that was not reported yet. Raises StateError, StateBusyError.

    told_of: id of the run whose rollback these messages report.
    """
    new = list(messages)
    with state.lock(OUTBOX, wait=_LOCK_WAIT):
        box = _read(state)
        untold = [run_id for run_id in box.rollbacks if not new or run_id != told_of]
        new += _of_rollbacks(state.rollbacks(), untold)
        if new:
            waiting = [*box.waiting, *(Notice(message=message) for message in new)]
            state.keep_document(OUTBOX, Outbox(waiting=waiting[-_KEPT:]))


def deliver(state: State, webhook: str) -> list[str]:
    """Send the waiting notices; return notes for the report. Raises StateError, StateBusyError."""
    notes: list[str] = []
    unsent: list[Notice] = []
    with state.lock(OUTBOX, wait=_LOCK_WAIT):
        waiting = _read(state).waiting
        for place, notice in enumerate(waiting, start=1):
            message = notice.message
            shown = replace(message, title=f"{message.title} (again: it may have arrived)") if notice.begun else message
            begun = Notice(message=message, begun=True)
            state.keep_document(OUTBOX, Outbox(waiting=[*unsent, begun, *waiting[place:]]))
            problem = send(webhook, shown)
            notes.append(problem or f"sent to Slack: {shown.title} ({shown.status})")
            unsent += [notice] if problem else []
            state.keep_document(OUTBOX, Outbox(waiting=[*unsent, *waiting[place:]]))
    return notes


def send(webhook: str, message: Message, *, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Post it; return why it could not be, None when Slack took it. Tries again after 429, 5xx and no answer."""
    problem = ""
    with new_client(5.0) as client:
        for attempt in range(_TRIES):
            wait = 0.5 * 2**attempt
            try:
                response = client.post(webhook, json=message.payload())
            except httpx.HTTPError as error:
                problem = f"no answer ({type(error).__name__})"
            else:
                if response.is_success:
                    return None
                problem = f"{response.status_code} {redaction.redact(response.text)[:80]}".strip()
                if response.status_code not in _AGAIN:
                    break
                after = response.headers.get("retry-after", "")
                wait = min(float(after), _LONGEST_WAIT) if after.isdecimal() else wait
            if attempt < _TRIES - 1:
                sleep(wait)
    return f"the notice to Slack failed: {problem}"


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
    return state.document(OUTBOX, Outbox) or Outbox()


def _text(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": escaping.slack(text)[:_FIELD]}
