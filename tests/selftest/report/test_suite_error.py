"""An error of the suite is never a failure of the target, and an outage behind it is still seen."""

from __future__ import annotations

import pytest

from fixtures.model.verdict import Outcome
from tests.selftest.conftest import Stub, Suite

ERRORS = {
    "an encoding": "'şifre'.encode('ascii')",
    "a key": "{}['deployment']",
    "a value that nobody documented": "HTTPStatus(799)",
    "an assertion of a library": "import threading; threading.Thread(group=1)",
    "a group": "raise ExceptionGroup('two', [KeyError('one'), ValueError('two')])",
    "the browser": "from playwright.sync_api import Error; raise Error('Target crashed')",
    "a limit of Python": "(lambda f: f(f))(lambda f: f(f))",
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_of_the_suite_is_not_measured(suite: Suite, stub: Stub, name: str) -> None:
    """A header in Turkish once rolled a healthy deployment back."""
    stub.json("GET /good", "{}")
    suite.write(
        f"""
@post
@P0
@asks("GET /good")
def test_own(answer):
    {ERRORS[name]}


@post
@P1
def test_later():
    pass
"""
    )

    outcome = suite.run("-m", "postdeploy", "--target", stub.url)

    own = outcome.check("test_own")
    assert (own.outcome, outcome.check("test_later").outcome) == (Outcome.SUITE_ERROR, Outcome.PASSED)
    assert "an error of the suite itself" in own.reason
    assert "tests/smoke/test_small.py:" in own.reason or "fixtures/" in own.reason
    assert outcome.code == pytest.ExitCode.TESTS_FAILED
    assert "Traceback" not in outcome.out + outcome.err
    assert "Traceback" in (suite.reports / own.evidence[0]).read_text(encoding="utf-8")


@pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
@pytest.mark.parametrize("error", ["raise AssertionError('fixture')", "raise OSError('disk')", "pytest.fail('x')"])
def test_only_the_test_itself_can_fail_a_check(suite: Suite, stub: Stub, phase: str, error: str) -> None:
    """An assertion of a fixture is about what the suite needs, not about what it promises to judge."""
    stub.json("GET /good", "{}")
    body = {"setup": (error, "pass", "pass"), "call": ("pass", error, "pass"), "teardown": ("pass", "pass", error)}
    before, within, after = body[phase]
    suite.write(
        f"""
@pytest.fixture
def own():
    {before}
    yield
    {after}

@post
@P0
@asks("GET /good")
def test_own(own, answer):
    {within}
"""
    )

    found = suite.run("-m", "postdeploy", "--target", stub.url).check("test_own")

    says_so = phase == "call" and "OSError" not in error
    assert found.outcome is (Outcome.FAILED if says_so else Outcome.SUITE_ERROR)
    assert (f"the {phase}" in found.reason) is not says_so


@pytest.mark.parametrize(("status", "outcome"), [(503, Outcome.FAILED), (404, Outcome.SUITE_ERROR)])
def test_an_outage_behind_an_error_is_the_targets(suite: Suite, stub: Stub, status: int, outcome: Outcome) -> None:
    """An error of ours would hide every outage that provokes one."""
    stub.json("GET /odd", "{}", status=status)
    suite.write("@post\n@P0\n@asks('GET /odd')\ndef test_own(answer):\n    raise KeyError('odd')\n")

    found = suite.run("-m", "postdeploy", "--target", stub.url).check("test_own")

    assert found.outcome is outcome
    assert [route for route, _ in stub.seen] == ["GET /odd", "GET /odd"]
    assert ("got: GET" in found.reason) is (outcome is Outcome.FAILED)
    assert "KeyError at tests/smoke/test_small.py:17" in found.reason


def test_an_error_before_the_first_answer_asks_what_was_declared(suite: Suite, stub: Stub) -> None:
    """A fixture that breaks has asked nothing yet."""
    stub.json("GET /down", "{}", status=502)
    suite.write(
        """
@pytest.fixture
def broken():
    raise LookupError("ours")

@post
@P1
@asks("GET /down", "GET /fine")
def test_own(broken, answers):
    pass
"""
    )

    found = suite.run("-m", "postdeploy", "--target", stub.url).check("test_own")

    assert found.outcome is Outcome.FAILED
    assert "/down -> 502" in found.reason


def test_a_failure_stays_one_where_the_removal_breaks(suite: Suite, stub: Stub) -> None:
    """The first word counts: what was red in the body is red."""
    suite.write(
        """
@pytest.fixture
def own():
    yield
    raise OSError("disk")

@post
@P1
def test_own(own):
    assert 1 == 2
"""
    )

    found = suite.run("-m", "postdeploy", "--target", stub.url).check("test_own")

    assert [attempt.outcome for attempt in found.attempts] == [Outcome.FAILED, Outcome.SUITE_ERROR]
    assert found.outcome is Outcome.FAILED


def test_a_page_that_crashes_is_a_failure(suite: Suite, stub: Stub) -> None:
    """The page caused the error of the browser."""
    suite.write("@post\n@P1\ndef test_own(page):\n    page.goto('chrome://crash')\n", "tests/journeys/test_small.py")

    found = suite.run("-m", "postdeploy", "--target", stub.url).check("test_own")

    assert found.outcome is Outcome.FAILED, found.reason
    assert "ERR_ABORTED" in found.reason


def test_a_browser_that_keeps_silent_is_ended(suite: Suite, stub: Stub) -> None:
    """Playwright waits for a new page for ever, and the next check would wait again."""
    (suite.folder / "tests" / "journeys" / "conftest.py").write_text(
        """
import os, signal
import pytest
import fixtures.browser.processes as processes
import fixtures.browser.red_pages as red_pages

red_pages.SILENT_S = 10

@pytest.fixture
def stopped(browser):
    for pid in processes._pids():
        if processes._is_ours(pid) and b"--remote-debugging-pipe" in processes._read(pid, "cmdline"):
            os.kill(pid, signal.SIGSTOP)

@pytest.fixture
def context(stopped, context):
    return context
"""
    )
    suite.write("@post\n@P1\ndef test_own(stopped, page):\n    pass\n", "tests/journeys/test_small.py")
    suite.write("@post\n@P1\ndef test_other(page):\n    pass\n", "tests/journeys/test_small_too.py")

    outcome = suite.run("-m", "postdeploy", "--target", stub.url)

    ends = {(check.outcome, check.reason) for check in outcome.verdict.checks}
    assert ends == {(Outcome.NOT_MEASURED, "the browser kept silent for 10 s and was ended")}


def test_a_page_that_loops_holds_no_teardown_up(suite: Suite, stub: Stub) -> None:
    """The state of a page is read after its check, and a page that loops never gives it."""
    stub.answers["GET /"] = (200, {"content-type": "text/html"}, b"<script>localStorage.x = 1; for (;;) {}</script>")
    suite.write(
        """
from contextlib import suppress
from playwright.sync_api import Error

@pytest.fixture
def kept(page):
    yield
    with suppress(Error):
        page.context.storage_state()

@post
@P1
def test_own(kept, page):
    page.goto("/", timeout=1000)
""",
        "tests/journeys/test_small.py",
    )

    found = suite.run("-m", "postdeploy", "--target", stub.url).check("test_own")

    assert [attempt.outcome for attempt in found.attempts] == [Outcome.FAILED], found.attempts
