"""
Each rule of time lets somebody wait longer than the runbook bears.

A rule's seconds pass on a clock of their own, so that a busy machine neither shortens nor adds one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.sandbox.mutants.harmful import slow
from fixtures.sandbox.mutants.served import Served
from fixtures.sandbox.mutants.subjects import Page
from tests.selftest.sandbox.mutants.asking import Answer, Asking, prove, rules_of, samples
from tests.selftest.sandbox.running_app import RunningApp

BORNE_S = 2.0
slept = [0.0]


@pytest.fixture(autouse=True)
def _own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the seconds of a rule pass at once, and count them."""

    async def sleep(seconds: float) -> None:
        slept[0] += seconds
        await asyncio.sleep(0)

    monkeypatch.setattr(slow, "sleep", sleep)


def _waits(ask: Callable[[], Answer]) -> float:
    """Return the seconds that a client waits for a right answer."""
    before = slept[0]
    assert ask().status != 0
    return slept[0] - before


def _is_over(asking: Asking, part: Served, percent: int = 0, account: str | None = None) -> bool:
    return _waits(lambda: asking.get(part, account)) > BORNE_S * (1 + percent / 100)


def _late(asking: Asking, part: Served) -> bool:
    return _is_over(asking, part, 20) and not _is_over(asking, part, 80)


def _much_too_late(asking: Asking, part: Served) -> bool:
    return all(_is_over(asking, part, 80) for _ in range(3))


def _a_little_late(asking: Asking, part: Served) -> bool:
    return _is_over(asking, part) and not _is_over(asking, part, 20)


def _sometimes(asking: Asking, part: Served) -> bool:
    return [_is_over(asking, part, 80) for _ in range(3)].count(True) == 1


def _signed_in(asking: Asking, part: Served) -> bool:
    return _is_over(asking, part, 80, "student") and not _is_over(asking, part, 0, "")


def _content(asking: Asking, page: Page) -> bool:
    return _waits(lambda: asking.content(page)) > BORNE_S * 1.8 and not _is_over(asking, page)


def _later_and_later(asking: Asking, part: Served) -> bool:
    found = [_is_over(asking, part, 80) for _ in range(20)]
    return found[-1] and not found[0]


def _at_once(asking: Asking, part: Served) -> bool:
    """See whether one visitor waits little, and the last of five that come together too long."""

    def five() -> Answer:
        return asking.at_once([lambda: asking.get(part)] * 5)[-1]

    return not _is_over(asking, part) and _waits(five) > BORNE_S * 1.8


def _gone(asking: Asking, part: Served) -> bool:
    return _is_over(asking, part, 80) and asking.get(part).status == 504


def _nobody_waits(asking: Asking, part: Served) -> bool:
    method, address = part.route.split()[0], asking.address(part.route)
    return _waits(lambda: asking.ask(method, address, json={})) > 10


TABLE: dict[str, tuple[Any, ...]] = {
    "much-too-late": (_much_too_late, "home", "app.css"),
    "too-late": (_late, "home", "api-courses"),
    "every-third-is-late": (_sometimes, "login", "api-auth-session"),
    "late-after-the-deployment": (_much_too_late, "home"),
    "late-once-signed-in": (_signed_in, "home", "api-courses"),
    "its-content-is-late": (_content, "dashboard"),
    "later-with-each-request": (_later_and_later, "api-courses"),
    "one-at-a-time": (_at_once, "api-health"),
    "trickles": (_much_too_late, "home", "hero.jpg"),
    "runs-out-of-time": (_gone, "login"),
    "answers-after-everybody-left": (_nobody_waits, "post-api-enroll-free"),
    "a-little-late": (_a_little_late, "login"),
}


@pytest.mark.parametrize(("rule", "subject"), samples(TABLE))
def test_a_mutant_of_time_is_noticed(running: RunningApp, rule: str, subject: str) -> None:
    """A request takes longer than it may, and does not on a healthy build."""
    prove(running, TABLE, rule, subject)


def test_every_rule_of_time_has_an_oracle() -> None:
    """The table lacks none."""
    assert set(TABLE) == rules_of(slow)
