"""
Messages to Slack's incoming webhook, in the runbook's words: one when an incident opens, one when it is over.

Incidents are the same when check and cause are. The webhook's URL is a secret: no message, error or repr shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

import httpx

from ci.web import new_client
from fixtures.model import escaping, redaction
from fixtures.state.state import Incident

Status = Literal["Investigating", "Identified", "Monitoring", "Resolved"]
# The runbook's response times.
_ETA = {"P0": "response in under 15 min", "P1": "response in under 30 min", "P2": "response in under 2 hours"}
_TRIES = 3
_LONGEST_WAIT = 10.0
_HEADER, _SECTION, _FIELD = 150, 3000, 2000
_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY})


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


@dataclass(frozen=True)
class Change:
    """The change that a run makes. opened: people are told now; resolved: over; open: kept in the state."""

    opened: list[Incident] = field(default_factory=list)
    resolved: list[Incident] = field(default_factory=list)
    open: list[Incident] = field(default_factory=list)


def compare(known: list[Incident], red: list[Incident], passed: set[str]) -> Change:
    """
    Compare the open incidents with the checks that are red now.

    An incident whose check passed is resolved; one whose check was not judged stays; a check that is red for another
    cause opens a new incident in place of the old one. An incident that was never reported is opened again.
    """
    before = {(incident.check, incident.cause): incident for incident in known}
    now = {(incident.check, incident.cause): before.get((incident.check, incident.cause), incident) for incident in red}
    red_checks = {check for check, _ in now}
    waiting = [incident for incident in known if incident.check not in red_checks and incident.check not in passed]
    return Change(
        opened=[incident for incident in now.values() if not incident.notified],
        resolved=[incident for incident in known if incident.check in passed and incident.check not in red_checks],
        open=[*waiting, *now.values()],
    )


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


def _text(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": escaping.slack(text)[:_FIELD]}
