"""Each rule of time lets somebody wait longer than the runbook bears. The sandbox's seconds are twenty times shorter here."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fixtures.sandbox.mutants.harmful import slow
from tests.selftest.sandbox.mutants.asking import Answer, Asking, prove, rules_of, samples
from tests.selftest.sandbox.running_app import RunningApp

SHORTER = 20
BORNE_S = 2.0 / SHORTER


@pytest.fixture(autouse=True)
def _short_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second of a rule be a twentieth."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / SHORTER)

    monkeypatch.setattr(slow, "sleep", sleep)


def _over(answer: Answer, percent: int = 0) -> bool:
    return answer.seconds > BORNE_S * (1 + percent / 100)


def late(asking: Asking, part: Any) -> bool:
    """20 % over the limit: an alert at least."""
    return _over(asking.get(part), 20)


def much_too_late(asking: Asking, part: Any) -> bool:
    """80 % over the limit, on a later request too."""
    return all(_over(asking.get(part), 80) for _ in range(2))


def a_little_late(asking: Asking, part: Any) -> bool:
    return _over(asking.get(part))


def sometimes(asking: Asking, part: Any) -> bool:
    slow_ones = [_over(asking.get(part), 80) for _ in range(3)]
    return slow_ones.count(True) == 1


def signed_in(asking: Asking, part: Any) -> bool:
    return _over(asking.get(part, "student"), 80) and not _over(asking.get(part, ""))


def content(asking: Asking, page: Any) -> bool:
    return _over(asking.content(page), 80) and not _over(asking.get(page))


def later_and_later(asking: Asking, part: Any) -> bool:
    answers = [asking.get(part) for _ in range(14)]
    return _over(answers[-1], 20) and not _over(answers[0])


def at_once(asking: Asking, part: Any) -> bool:
    return any(_over(answer) for answer in asking.at_once([lambda: asking.get(part)] * 5))


def gone(asking: Asking, part: Any) -> bool:
    return asking.get(part).status == 504


def nobody_waits(asking: Asking, part: Any) -> bool:
    method, address = part.route.split()[0], asking.address(part.route)
    return asking.ask(method, address, patience=10 / SHORTER, json={}).status == 0


TABLE: dict[str, tuple[Any, ...]] = {
    "much-too-late": (much_too_late, "home", "app.css"),
    "too-late": (late, "home", "api-courses"),
    "every-third-is-late": (sometimes, "login", "api-auth-session"),
    "late-after-the-deployment": (much_too_late, "home"),
    "late-once-signed-in": (signed_in, "home", "api-courses"),
    "its-content-is-late": (content, "dashboard"),
    "later-with-each-request": (later_and_later, "api-courses"),
    "one-at-a-time": (at_once, "api-health"),
    "trickles": (much_too_late, "home", "hero.jpg"),
    "runs-out-of-time": (gone, "login"),
    "answers-after-everybody-left": (nobody_waits, "post-api-enroll-free"),
    "a-little-late": (a_little_late, "login"),
}


@pytest.mark.parametrize(("rule", "subject"), samples(TABLE))
def test_a_mutant_of_time_is_noticed(running: RunningApp, rule: str, subject: str) -> None:
    """A request takes longer than it may, and does not on a healthy build."""
    prove(running, TABLE, rule, subject)


def test_every_rule_of_time_has_an_oracle() -> None:
    """The table lacks none."""
    assert set(TABLE) == rules_of(slow)
