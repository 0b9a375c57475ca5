"""A deployment that accepts connections and answers nothing: only a control that answers proves whose fault it is."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace

import httpx
import pytest

from ci import pairs
from ci.causes import Attribution
from fixtures.model.verdict import Cause
from fixtures.target.target import Target
from fixtures.target.vercel_words import Deployment
from tests.selftest.gate.comparisons import COMPARISON, NEW, OLD

# The status that an address answers within so many seconds; None: it does not.
Answers = Callable[[float], int | None]
Found = Callable[[Answers, Answers, Answers], Attribution | None]


def at_once(_seconds: float) -> int | None:
    """Answer."""
    return 200


def never(_seconds: float) -> int | None:
    """Answer nothing."""
    return None


def failing(_seconds: float) -> int | None:
    """Answer that the server failed."""
    return 500


def slowly(seconds: float) -> int | None:
    """Answer after the first limit and before the second."""
    return 200 if seconds > pairs.SILENT_S else None


def every_second() -> Answers:
    """Return an address that answers one visitor in two."""
    turns = itertools.cycle([200, None])
    return lambda _seconds: next(turns)


def sometimes_slowly() -> Answers:
    """Return an address that lets one visitor in two wait."""
    turns = itertools.cycle([at_once, slowly])
    return lambda seconds: next(turns)(seconds)  # noqa: PLW0108


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    """Return the function that finds the cause for candidate, production and control that answer so."""

    def of(candidate: Answers, production: Answers, control: Answers) -> Attribution | None:
        addresses = {"http://candidate": candidate, "http://production": production, "http://control": control}

        def status(_client: httpx.Client, url: str, _headers: Mapping[str, str], seconds: float) -> int | None:
            return addresses[url](seconds)

        monkeypatch.setattr(pairs, "status_of", status)
        comparison = replace(
            COMPARISON,
            scheme="http",
            candidate=Deployment(id=NEW, url="candidate", state="READY", created=2),
            control=Deployment(id=OLD, url="control", state="READY", created=1),
        )
        return pairs.silence_of_candidate(Target(name="t", url="http://production", mode="act"), comparison)

    return of


def test_a_candidate_that_answers_nothing_is_proved(found: Found) -> None:
    """Its own address and production are silent, and the control answers in the same seconds."""
    attribution = found(never, never, at_once)

    assert attribution is not None
    assert attribution.cause is Cause.DEPLOYMENT
    assert attribution.evidence.startswith(f"no answer 5/5 from {NEW}")
    assert f"0/5 from {OLD}" in attribution.evidence


def test_a_candidate_that_answers_every_second_visitor_is_proved(found: Found) -> None:
    """Nobody knows which of two visitors is the next to wait for ever."""
    attribution = found(every_second(), every_second(), at_once)

    assert attribution is not None
    assert attribution.cause is Cause.DEPLOYMENT
    assert attribution.evidence.startswith("no answer 5/10")


@pytest.mark.parametrize("answers", ["candidate", "production"])
def test_one_address_that_answers_is_no_proof(found: Found, answers: str) -> None:
    """The deployment works on its own address, or users do not meet the silence."""
    candidate = at_once if answers == "candidate" else never
    production = at_once if answers == "production" else never

    assert found(candidate, production, at_once) is None


def test_a_slow_candidate_gets_more_time(found: Found) -> None:
    """A deployment that lets some visitors wait longer than the first limit works."""
    assert found(sometimes_slowly(), sometimes_slowly(), at_once) is None


def test_a_slow_control_gets_more_time(found: Found) -> None:
    """A control that answers late, perhaps because this machine is busy, answers all the same."""
    attribution = found(never, never, slowly)

    assert attribution is not None
    assert attribution.cause is Cause.DEPLOYMENT


@pytest.mark.parametrize("control", [never, failing])
def test_a_silent_or_failing_control_shows_an_older_fault(found: Found, control: Answers) -> None:
    """The region or the database may be the cause, and a rollback changes neither."""
    attribution = found(never, never, control)

    assert attribution is not None
    assert attribution.cause is Cause.EXISTING


def test_a_control_that_fails_for_some_is_no_witness(found: Found) -> None:
    """The difference between the deployments is not certain."""
    assert found(never, never, every_second()) is None


def test_without_a_control_nothing_is_proved() -> None:
    """There is nothing to compare with."""
    comparison = replace(COMPARISON, control=None)

    assert pairs.silence_of_candidate(Target(name="t", url="http://127.0.0.1:9", mode="act"), comparison) is None


def test_a_connection_that_is_taken_or_refused_and_not_answered_is_silence() -> None:
    """The edge of a deleted or crashed deployment may refuse connections."""
    with httpx.Client(timeout=0.2) as client, socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        taken = pairs.status_of(client, url, {}, 0.2)
        server.close()

        assert (taken, pairs.status_of(client, url, {}, 0.2)) == (None, None)
