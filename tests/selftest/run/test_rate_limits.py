"""What the platform rations is never asked for too often, by many processes, by later runs, nor after a kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.browser.meter import Meter
from fixtures.run.current_run import Run
from fixtures.run.rate_limits import RATE_LIMITS, BudgetSpentError, RateLimitLedger
from fixtures.sandbox.app.limits import healthy_limits
from fixtures.state.state import open_state
from tests.selftest.conftest import ROOT

NOON = 1_790_000_000.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        """Return epoch seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> RateLimitLedger:
    """Return an empty book."""
    return RateLimitLedger(tmp_path / "state" / "rate-limits.json", clock)


def test_rations_are_those_of_the_sandbox() -> None:
    """Two tables of one contract: the client's must not allow what the platform refuses."""
    ours = sorted((rate_limit.amount, rate_limit.seconds) for rate_limit in RATE_LIMITS.values())

    assert ours == sorted((limit.attempts, limit.seconds) for limit in healthy_limits().values())


def test_the_sixth_sign_in_is_refused_and_says_until_when(book: RateLimitLedger, clock: Clock) -> None:
    """Two runs took them; the clock time is when the oldest that counts is out of the window."""
    for run_id in ("first", "first", "first", "second", "second"):
        book.take("sign-ins", run_id)
        clock.now += 60
    with pytest.raises(BudgetSpentError) as refused:
        book.take("sign-ins", "third")

    assert "5 sign-ins in 15 min" in str(refused.value)
    assert "(3 by run first, 2 by run second)" in str(refused.value)
    assert "from 2026-09-21 14:28:25 UTC on" in str(refused.value)


def test_after_the_window_there_is_more(book: RateLimitLedger, clock: Clock) -> None:
    """A long run may spend again; a run two hours later starts afresh."""
    for _ in range(5):
        book.take("sign-ins", "run")
    clock.now += 905.1
    book.take("sign-ins", "run")

    assert book.left()["sign-ins"] == 4
    assert book.last_hour() == {"sign-ins": 6}

    clock.now += 7200

    assert book.left()["sign-ins"] == 5
    assert book.last_hour() == {}


def test_a_clock_that_was_set_back_locks_nobody_out(book: RateLimitLedger, clock: Clock) -> None:
    """What lies in the future counts from now on, and no longer than its window."""
    book.take("registrations", "run")
    clock.now -= 86_400

    assert book.left()["registrations"] == 2

    book.take("registrations", "run")
    clock.now += 3605.1

    assert book.left()["registrations"] == 3


def test_a_page_that_asks_by_itself_is_counted_and_not_refused(book: RateLimitLedger) -> None:
    """The request is under way already; what comes after it must know."""
    for _ in range(31):
        book.note("searches", "run")

    assert book.left()["searches"] == 0


def test_threads_and_runs_take_no_more_than_there_is(book: RateLimitLedger) -> None:
    """Every process opens the book anew."""

    def take(number: int) -> bool:
        try:
            RateLimitLedger(book.path).take("sign-ins", f"run-{number % 2}")
        except BudgetSpentError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(20))) == RATE_LIMITS["sign-ins"].amount


def test_a_killed_run_has_told_what_it_took(book: RateLimitLedger) -> None:
    """Kill -9 in the middle: what was taken stands in the book, and nobody holds its lock."""
    program = f"""
import os, signal
from pathlib import Path
from fixtures.run.rate_limits import RateLimitLedger
book = RateLimitLedger(Path({str(book.path)!r}))
book.take("sign-ins", "killed")
with book._locked():
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**os.environ}, check=False)
    again = RateLimitLedger(book.path)
    again.take("sign-ins", "next")

    assert done.returncode == -signal.SIGKILL
    assert again.last_hour() == {"sign-ins": 2}


def test_a_torn_book_is_named_and_nothing_is_guessed(book: RateLimitLedger) -> None:
    """Read as empty, it would lead to a 429."""
    book.path.parent.mkdir()
    book.path.write_text('[{"what": "sign')
    with pytest.raises(BudgetSpentError, match=r"rate-limits\.json, cannot be read .*look at it, then move it away"):
        book.take("sign-ins", "run")


def test_the_book_of_a_target_lies_in_its_state(tmp_path: Path) -> None:
    """Another target is another platform."""
    open_state(tmp_path, "production").rate_limits().take("sign-ins", "run")

    assert open_state(tmp_path, "production").rate_limits().last_hour() == {"sign-ins": 1}
    assert open_state(tmp_path, "preview").rate_limits().last_hour() == {}


def test_pages_spend_what_their_check_says_and_what_they_take_besides(tmp_path: Path) -> None:
    """The announced sign-in is counted once; a list that the page's own script asks for is counted, too."""
    run = Run(id="r", stage="daily", directory=tmp_path, reports=tmp_path)
    meter = Meter(run, {("https", "7p.test")}, {"sign-ins": 1})
    meter.count("POST", "https://7p.test/api/auth/callback/credentials")
    meter.count("GET", "https://7p.test/api/courses?limit=3")
    meter.count("GET", "https://7p.test")
    meter.count("GET", "https://elsewhere.test/api/courses")

    assert run.spent() == {"sign-ins": 1, "course-lists": 1}
    assert run.rate_limits.last_hour() == {"course-lists": 1, "sign-ins": 1}
