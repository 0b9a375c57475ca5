"""Incidents are reported once and resolved once, by the runbook's template and without a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ci.incidents import tell
from ci.notify import Message, send
from ci.red_checks import RedCheck
from ci.report import Report, RollbackReport
from fixtures.model import redaction
from fixtures.model.verdict import Outcome
from fixtures.state.state import State
from tests.selftest.gate.verdicts import HEALTH, PAGES, a_check, a_verdict

MESSAGE = Message("Health is red", "P0", "Identified", "everybody", ["first: look"])


@dataclass
class Slack:
    """A webhook. answers: status and headers in turn, then 200 for ever."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def statuses(self) -> list[str]:
        """Return the status of each message."""
        return [post["text"].rpartition(", ")[2].removesuffix(")") for post in self.posts]


@pytest.fixture
def slack() -> Iterator[Slack]:
    """Return a webhook on the loopback."""
    webhook = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take a message."""
            webhook.posts.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            status, headers = webhook.answers.pop(0) if webhook.answers else (200, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok" if status == 200 else b"no_service")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        webhook.url = f"http://127.0.0.1:{server.server_port}/services/T0/B0/secret-part"
        yield webhook
        server.shutdown()
        thread.join()


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Return an empty state."""
    return State(tmp_path)


def a_report(*red: tuple[str, str, str], step: str | None = None, decision: str = "incident") -> Report:
    """Return a report of (node id, severity, cause), after a rollback that came to `step`."""
    return Report(
        run_id="run-1",
        stage="postdeploy",
        target="sandbox",
        url="http://127.0.0.1",
        mode="act",
        decision=decision,
        deployment_id="dpl_b",
        red=[
            RedCheck(
                node_id=node_id,
                severity=severity,
                title=node_id.rpartition("_")[2],
                measured="500",
                cause=cause,
                evidence="red 5/5",
                first_action="Look at the deployment",
                judges="function",
            )
            for node_id, severity, cause in red
        ],
        rollback=RollbackReport(from_id="dpl_b", to_id="dpl_a", step=step, detail="") if step else None,
    )


RED = (HEALTH, "P0", "existing")
RED_VERDICT = a_verdict(a_check(outcome=Outcome.FAILED), a_check(PAGES))
GREEN_VERDICT = a_verdict(a_check(), a_check(PAGES))


class TestLifeOfAnIncident:
    """An incident is opened once and resolved once."""

    def test_opened_once_and_resolved_once(self, slack: Slack, state: State) -> None:
        """Four runs, two messages."""
        for report, verdict in [
            (a_report(RED), RED_VERDICT),
            (a_report(RED), RED_VERDICT),
            (a_report(), GREEN_VERDICT),
            (a_report(), GREEN_VERDICT),
        ]:
            tell(report, verdict, state, slack.url)

        assert slack.statuses == ["Identified", "Resolved"]
        assert state.incidents() == []

    def test_another_cause_is_another_incident(self, slack: Slack, state: State) -> None:
        """The new incident replaces the old one."""
        tell(a_report(RED), RED_VERDICT, state, slack.url)
        tell(a_report((HEALTH, "P0", "unknown")), RED_VERDICT, state, slack.url)

        assert slack.statuses == ["Identified", "Investigating"]
        assert [incident.cause for incident in state.incidents()] == ["unknown"]

    def test_a_check_that_did_not_run_keeps_its_incident(self, slack: Slack, state: State) -> None:
        """Silence is not green."""
        tell(a_report(RED), RED_VERDICT, state, slack.url)
        tell(a_report(), a_verdict(a_check(PAGES)), state, slack.url)

        assert len(slack.posts) == 1
        assert [incident.check for incident in state.incidents()] == [HEALTH]

    def test_rolled_back_and_healed_is_told_as_resolved(self, slack: Slack, state: State) -> None:
        """When the same build is promoted again, people are told again."""
        report = a_report((HEALTH, "P0", "deployment"), step="healed", decision="rollback")
        tell(report, RED_VERDICT, state, slack.url)
        tell(report, RED_VERDICT, state, slack.url)

        assert slack.statuses == ["Resolved", "Resolved"]
        assert "rolled back dpl_b -&gt; dpl_a" in slack.posts[0]["blocks"][2]["text"]["text"]

    def test_not_healed_stays_open(self, slack: Slack, state: State) -> None:
        """A human is needed."""
        report = a_report((HEALTH, "P0", "deployment"), step="not-healed", decision="escalate")
        tell(report, RED_VERDICT, state, slack.url)

        assert slack.statuses == ["Identified"]
        assert [incident.notified for incident in state.incidents()] == [True]

    @pytest.mark.parametrize("red", [(HEALTH, "P0", "flaky"), (HEALTH, "P3", "unknown")])
    def test_what_nobody_is_woken_for(self, slack: Slack, state: State, red: tuple[str, str, str]) -> None:
        """Such a red check is only in the report."""
        tell(a_report(red), RED_VERDICT, state, slack.url)

        assert (slack.posts, state.incidents()) == ([], [])

    def test_many_red_checks_are_one_message(self, slack: Slack, state: State) -> None:
        """Slack takes about one a second; a tired engineer takes one."""
        tell(a_report((PAGES, "P1", "existing"), RED), RED_VERDICT, state, slack.url)

        assert len(slack.posts) == 1
        assert slack.posts[0]["blocks"][0]["text"]["text"].startswith("[INCIDENT] health and 1 more")

    def test_who_could_not_be_told_is_told_by_the_next_run(self, slack: Slack, state: State) -> None:
        """The run reports it too."""
        slack.answers = [(404, {})]
        notes = tell(a_report(RED), RED_VERDICT, state, slack.url)
        assert notes == ["the notice to Slack failed: 404 no_service"]

        tell(a_report(RED), RED_VERDICT, state, slack.url)

        assert slack.statuses == ["Identified", "Identified"]
        assert [incident.notified for incident in state.incidents()] == [True]

    def test_a_resolution_that_could_not_be_told_is_told_later(self, slack: Slack, state: State) -> None:
        """Otherwise somebody keeps looking for the fault."""
        tell(a_report(RED), RED_VERDICT, state, slack.url)
        slack.answers = [(404, {})]
        tell(a_report(), GREEN_VERDICT, state, slack.url)
        tell(a_report(), GREEN_VERDICT, state, slack.url)

        assert slack.statuses == ["Identified", "Resolved", "Resolved"]
        assert state.incidents() == []

    def test_no_webhook(self, state: State) -> None:
        """The run says so, and the incident is reported once there is one."""
        assert "no Slack webhook" in tell(a_report(RED), RED_VERDICT, state, None)[0]
        assert [incident.notified for incident in state.incidents()] == [False]


class TestSend:
    """Delivery."""

    @pytest.mark.parametrize(("status", "headers", "wait"), [(429, {"retry-after": "3"}, 3.0), (500, {}, 0.5)])
    def test_again_after_a_passing_refusal(
        self, slack: Slack, status: int, headers: dict[str, str], wait: float
    ) -> None:
        """As long as Slack asks for."""
        slack.answers = [(status, headers)]
        waits: list[float] = []

        assert send(slack.url, MESSAGE, sleep=waits.append) is None
        assert waits == [wait]

    def test_three_times_at_most(self, slack: Slack) -> None:
        """An hour of Retry-After is not waited either."""
        slack.answers = [(429, {"retry-after": "3600"})] * 5
        waits: list[float] = []

        assert send(slack.url, MESSAGE, sleep=waits.append) == "the notice to Slack failed: 429 no_service"
        assert (len(slack.posts), waits) == (3, [10.0, 10.0])

    def test_nobody_answers_and_the_url_is_not_told(self) -> None:
        """The URL is the secret."""
        problem = send("http://127.0.0.1:9/services/secret-part", MESSAGE, sleep=lambda _: None)

        assert problem == "the notice to Slack failed: no answer (ConnectError)"


class TestMessage:
    """The runbook's template within Slack's limits."""

    def test_template(self) -> None:
        """Title, severity, status, impact, expected time."""
        payload = MESSAGE.payload()

        fields = [entry["text"] for entry in payload["blocks"][1]["fields"]]
        assert payload["text"] == "[INCIDENT] Health is red (P0, Identified)"
        assert fields == [
            "*Severity*\nP0",
            "*Status*\nIdentified",
            "*Impact*\neverybody",
            "*ETA*\nresponse in under 15 min",
        ]

    def test_limits(self) -> None:
        """Slack refuses the whole message otherwise."""
        blocks = Message("x" * 999, "P0", "Identified", "y" * 9999, ["z" * 9999]).payload()["blocks"]

        assert len(blocks[0]["text"]["text"]) == 150
        assert max(len(entry["text"]) for entry in blocks[1]["fields"]) == 2000
        assert len(blocks[2]["text"]["text"]) == 3000

    def test_no_secret_and_no_markup_of_others(self) -> None:
        """A check may quote both."""
        redaction.register(["canary-secret-1"])
        payload = json.dumps(Message("t", "P0", "Identified", "i", ["<!channel> canary-secret-1 & co"]).payload())

        assert "canary-secret-1" not in payload
        assert f"&lt;!channel&gt; {redaction.SHOWN} &amp; co" in payload
