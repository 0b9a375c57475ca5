"""A deployment that accepts connections and answers nothing: only a control that answers proves whose fault it is."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ci import pairs
from ci.pairs import silence_of_candidate
from fixtures.target.target import Target
from fixtures.target.vercel_words import Deployment
from tests.selftest.gate.comparisons import COMPARISON, NEW, OLD


class _Handler(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


@pytest.fixture
def answering() -> Iterator[str]:
    """Serve an empty page; yield host and port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def hanging() -> Iterator[str]:
    """Accept connections and never answer; yield host and port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up after a fifth of a second."""
    monkeypatch.setattr(pairs, "_SILENT", 0.2)


def said(candidate: str, production: str, control: str) -> str:
    """Return the evidence for these three addresses."""
    comparison = replace(
        COMPARISON,
        candidate=Deployment(id=NEW, url=candidate, state="READY", created=2),
        control=Deployment(id=OLD, url=control, state="READY", created=1),
    )
    return silence_of_candidate(Target(name="t", url=f"http://{production}", mode="act"), comparison)


def test_a_candidate_that_answers_nothing_is_proved(answering: str, hanging: str) -> None:
    """Its own address and production are silent, and the control answers in the same seconds."""
    evidence = said(hanging, hanging, answering)

    assert evidence.startswith(f"no answer 5/5 from {NEW}")
    assert f"0/5 from {OLD}" in evidence


def test_a_refused_connection_is_silence_too(answering: str) -> None:
    """The edge of a deleted or crashed deployment may refuse connections; the control proves that the network is up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"

    assert said(closed, closed, answering)


@pytest.mark.parametrize("answers", ["candidate", "production"])
def test_one_address_that_answers_is_no_proof(answering: str, hanging: str, answers: str) -> None:
    """The deployment works on its own address, or users do not meet the silence."""
    candidate = answering if answers == "candidate" else hanging
    production = answering if answers == "production" else hanging

    assert said(candidate, production, answering) == ""


def test_a_silent_control_proves_nothing(hanging: str) -> None:
    """The network, the region or the database may be the cause."""
    assert said(hanging, hanging, hanging) == ""


def test_a_failing_control_proves_nothing(answering: str, hanging: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control that answers 500 is no witness."""
    monkeypatch.setattr(_Handler, "status", 500)

    assert said(hanging, hanging, answering) == ""


def test_without_a_control_nothing_is_proved(hanging: str) -> None:
    """There is nothing to compare with."""
    comparison = replace(COMPARISON, control=None)

    assert silence_of_candidate(Target(name="t", url=f"http://{hanging}", mode="act"), comparison) == ""
