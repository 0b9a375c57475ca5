"""The platform's rate limits are kept across processes, across runs, after kill -9, and with a damaged ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.browser.watch import Meter
from fixtures.run.current_run import Run
from fixtures.run.rate_limits import RATE_LIMITS, WRONG_PASSWORDS, BudgetSpentError, RateLimitLedger, account_key
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
    """Return an empty ledger."""
    return RateLimitLedger(tmp_path / "state" / "rate-limits.json", clock)


def test_rate_limits_are_those_of_the_sandbox() -> None:
    """The two tables are one contract: the client must not allow a request that the platform refuses."""
    platforms = {name: (limit.attempts, limit.seconds) for name, limit in healthy_limits().items()}
    ours = {name: (limit.amount, limit.seconds) for name, limit in RATE_LIMITS.items() if name != WRONG_PASSWORDS}

    assert ours == {
        "sign-ins": platforms["sign-in"],
        "registrations": platforms["register"],
        "resets": platforms["password-reset"],
        "enrolments": platforms["free-enrolment"],
        "purchases": platforms["enrolment"],
        "searches": platforms["course-search"],
        "course-lists": platforms["course-list"],
    }


def test_the_sixth_sign_in_is_refused_and_says_until_when(book: RateLimitLedger, clock: Clock) -> None:
    """The time in the message is when the oldest of the five leaves the window."""
    for run_id in ("first", "first", "first", "second", "second"):
        book.take("sign-ins", run_id)
        clock.now += 60
    with pytest.raises(BudgetSpentError) as refused:
        book.take("sign-ins", "third")

    assert "one account may have 5 in 15 min" in str(refused.value)
    assert "(3 by run first, 2 by run second)" in str(refused.value)
    assert "left until 2026-09-21 14:28:25 UTC" in str(refused.value)


def test_each_account_has_its_own_sign_ins(book: RateLimitLedger) -> None:
    """The platform counts them so; a sign-in of nobody knows which account counts for each of them."""
    for account in ("first", "second", "second", ""):
        book.take("sign-ins", "run", account)

    assert book.left()["sign-ins"] == 2

    book.take("sign-ins", "run", "second")
    book.take("sign-ins", "run", "second")
    with pytest.raises(BudgetSpentError, match="no sign-ins are left"):
        book.take("sign-ins", "run", "second")
    book.take("sign-ins", "run", "first")


def test_the_ledger_holds_no_address_of_an_account(book: RateLimitLedger) -> None:
    """It stays between runs, on a disk that people share; a key is the same however the address is spelled."""
    book.take("sign-ins", "run", account_key("Ogrenci@7peducation.test"))

    assert "ogrenci" not in book.path.read_text().lower()
    assert account_key(" ogrenci@7peducation.TEST") in book.path.read_text()


def test_after_the_window_there_is_more(book: RateLimitLedger, clock: Clock) -> None:
    """A long run may spend again; a run two hours later starts with full limits."""
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
    """Entries of the future count from now on, and no longer than their window."""
    book.take("registrations", "run")
    clock.now -= 86_400

    assert book.left()["registrations"] == 2

    book.take("registrations", "run")
    clock.now += 3605.1

    assert book.left()["registrations"] == 3


def test_a_page_that_asks_by_itself_is_counted_and_not_refused(book: RateLimitLedger) -> None:
    """The request is sent already; later requests must know of it."""
    for _ in range(31):
        book.note("searches", "run")

    assert book.left()["searches"] == 0


def test_threads_and_runs_take_no_more_than_there_is(book: RateLimitLedger) -> None:
    """Every process opens the ledger anew."""

    def take(number: int) -> bool:
        try:
            RateLimitLedger(book.path).take("sign-ins", f"run-{number % 2}")
        except BudgetSpentError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(20))) == RATE_LIMITS["sign-ins"].amount


def test_a_killed_run_has_told_what_it_took(book: RateLimitLedger) -> None:
    """After kill -9 the ledger has the request, and its lock is free."""
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


def test_after_a_torn_ledger_nothing_is_known_to_be_left(book: RateLimitLedger, clock: Clock) -> None:
    """An empty ledger would lead to a 429. Each limit is free again once its window since the last write is over."""
    book.path.parent.mkdir()
    book.path.write_text('[{"what": "sign')
    os.utime(book.path, (NOON - 120, NOON - 120))
    book.take("searches", "run")
    with pytest.raises(BudgetSpentError, match=r"left until .* UTC: .*all are used \(perhaps: .*put aside\)"):
        book.take("sign-ins", "run")

    assert (book.left()["sign-ins"], book.left()["searches"]) == (0, 29)
    assert book.last_hour() == {"searches": 1}
    assert [path.read_text() for path in book.path.parent.glob("*.unreadable-*")] == ['[{"what": "sign']

    clock.now += 800

    assert book.left()["sign-ins"] == 5


@given(st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_of_the_ledger_is_read_or_put_aside(book: RateLimitLedger, content: bytes) -> None:
    """A file of another program, or of another version, stops no run."""
    book.path.parent.mkdir(exist_ok=True)
    book.path.write_bytes(content)
    with suppress(BudgetSpentError):
        book.take("sign-ins", "run")

    assert 0 <= book.left()["sign-ins"] <= 5


def test_a_ledger_that_cannot_be_written_allows_no_sign_in(tmp_path: Path) -> None:
    """Limits by the minute do not apply then: the check of the course list must not wait for a disk."""
    (tmp_path / "file").touch()
    book = RateLimitLedger(tmp_path / "file" / "rate-limits.json")
    book.take("course-lists", "run")
    book.note("sign-ins", "run")

    with pytest.raises(BudgetSpentError, match=r"rate-limits\.json cannot be written .* how many sign-ins are left"):
        book.take("sign-ins", "run")


def test_the_book_of_a_target_lies_in_its_state(tmp_path: Path) -> None:
    """Each target is a platform with limits of its own."""
    open_state(tmp_path, "production").rate_limits().take("sign-ins", "run")

    assert open_state(tmp_path, "production").rate_limits().last_hour() == {"sign-ins": 1}
    assert open_state(tmp_path, "preview").rate_limits().last_hour() == {}


def test_pages_spend_what_their_check_says_and_what_they_take_besides(tmp_path: Path) -> None:
    """The announced sign-in is counted once, and so is the list that the page's own script requests."""
    run = Run(id="r", stage="daily", directory=tmp_path, reports=tmp_path)
    meter = Meter(run, {("https", "7p.test")}, {"sign-ins": 1})
    meter.count("POST", "https://7p.test/api/auth/callback/credentials")
    meter.count("GET", "https://7p.test/api/courses?limit=3")
    meter.count("GET", "https://7p.test")
    meter.count("GET", "https://elsewhere.test/api/courses")

    assert run.spent() == {"sign-ins": 1, "course-lists": 1}
    assert run.rate_limits.last_hour() == {"course-lists": 1, "sign-ins": 1}
