"""Checks the text of a red check: what was expected, what came, what to do first, and nothing of Python."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.red_checks import red_checks
from fixtures.checks.failure_text import failure_text, readable
from fixtures.model.verdict import Outcome, Verdict
from fixtures.report.summary import red_lines
from tests.selftest.conftest import ROOT, Suite, environment_of_a_run, serving
from tests.selftest.conftest import Outcome as Outcomes
from tests.selftest.gate.verdicts import a_check

EXCHANGE = r"(GET|POST|PATCH|DELETE|HEAD|OPTIONS) http://127\.\S+ -> (\d{3}|no answer: \w+) in \d+ ms, dpl_\w+"
ROWS = r"SELECT .* -> \d+ rows of \d+: "


@pytest.mark.parametrize(
    ("kind", "fault", "shows"),
    [
        ("smoke", "health-from-the-edge", EXCHANGE),
        ("journeys", "enrolment-button-dead", EXCHANGE),
        ("vitals", "layout-shift", EXCHANGE),
        ("database", "password-plain", ROWS),
    ],
)
def test_every_kind_of_red_check_shows_its_exchange_and_the_first_step(
    kind: str, fault: str, shows: str, tmp_path: Path
) -> None:
    """In the terminal, in the verdict and in the gate's report alike."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "postdeploy", f"tests/{kind}"]
    command += ["--fault", fault, f"--reports={tmp_path}", "--tb=line"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, text=True, timeout=120, check=False
    )
    verdict = Verdict.read(tmp_path / "verdict.json")
    red = [check for check in verdict.checks if check.outcome is Outcome.FAILED]
    told = {check.title: "\n".join(red_lines(check)) for check in red}

    assert red, done.stdout
    assert [title for title, text in told.items() if not re.search(shows, text) or text not in done.stdout] == []
    assert [check.title for check in red if f"first: {check.first_action}" not in told[check.title]] == []
    reported = red_checks(verdict, {})
    assert [each for each in reported if not re.search(shows, "\n".join([each.measured, *each.asked]))] == []


INTERNALS = re.compile(
    r"assert |AssertionError|<HTTPStatus|== \[\]|!= \[\]|found, none expected|Call log|\+  where|E   "
)
# Checks that fail in each way, and the lines that a person reads.
WAYS = {
    "answer.status == HTTPStatus.OK": ["shown: status 200 (OK)", "GET {url}/bad -> 502 in "],
    "answer.status < 500": ["shown: a status of less than 500", "GET {url}/bad -> 502 in "],
    "[answer] == []": ["shown", "GET {url}/bad -> 502 in "],
    "['a', 'b', 'c'] == []": ["shown", "3 problems, the first: a"],
    "'/register asks nobody' == ''": ["shown", "/register asks nobody"],
    "{'student': None} == {}": ["shown", "student: nothing"],
    "answer.read(dict) == {}": ["shown: JSON", "GET {url}/bad -> 502 in "],
    "answer.page.links() == {}": ["shown: an HTML page", "GET {url}/bad -> 502 in "],
    "1 == 2": ["shown: 2", "1"],
    "{'a': 1, 'b': True} == {'a': 1, 'b': False}": ["shown: b: no", "b: yes"],
    "'x' in ['y', 'z']": ['shown: "y", "z"', '"x"'],
    "[] != []": ["shown: something", "nothing"],
    "None is not None": ["shown: something", "nothing"],
    "False": ["shown", "GET {url}/bad -> 502 in "],
    "False, answer.exchange()": ["shown", "GET {url}/bad -> 502 in "],
    "not answer.content, 'the body is there'": ["shown", "the body is there"],
    "9000 <= budgets.lcp": ["shown: lcp of at most 2500 ms", "9000 ms, 260 % over: P1"],
    "9000 <= budgets.lcp, 'on /courses'": ["shown: lcp of at most 2500 ms", "9000 ms, 260 % over: P1"],
}


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Outcomes]:
    """Return the address of a broken platform, and a run of which every check is red."""
    folder = tmp_path_factory.mktemp("red")
    suite = Suite(folder)
    checks = "\n".join(
        f"""
@post
@P1
@asks("GET /bad")
def test_shown_{number:02}(answer, budgets):
    assert {way}
"""
        for number, way in enumerate(WAYS)
    )
    suite.write(checks)
    with serving() as stub:
        stub.json("GET /bad", "<b>sorry</b>", status=502, content_type="text/plain")
        return stub.url, suite.run("-m", "postdeploy", "--target", stub.url)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_fail_says_what_was_expected_and_what_came(way: str, red: tuple[str, Outcomes]) -> None:
    """A tired engineer reads words and an exchange, nothing of Python."""
    url, outcome = red
    number = list(WAYS).index(way)
    check = outcome.check(f"test_shown_{number:02}")
    expected, got, *_ = check.reason.splitlines()
    words, came = (line.replace("{url}", url) for line in WAYS[way])

    assert expected == f"expected: {words.replace('shown', f'shown {number:02}', 1)}"
    assert got.startswith(f"got: {came}")
    assert not INTERNALS.search(check.reason)


def test_neither_the_terminal_nor_allure_shows_anything_of_python(red: tuple[str, Outcomes]) -> None:
    """The first step stands in both."""
    _, outcome = red
    results = [json.loads(path.read_text()) for path in (outcome.reports / "allure-results").glob("*-result.json")]
    details = [f"{result['statusDetails']['message']}\n{result['statusDetails'].get('trace')}" for result in results]

    assert len(details) == len(WAYS)
    assert [text for text in [*details, outcome.out] if INTERNALS.search(text)] == []
    assert [text for text in details if "first: " not in text or "expected: " not in text] == []


def test_five_reds_fit_a_terminal(red: tuple[str, Outcomes]) -> None:
    """Checks that failed with one exchange are one fault, and one block."""
    _, outcome = red

    blocks = [line for line in outcome.out.splitlines() if line.startswith("RED ")]

    assert len(blocks) == 5
    assert "more checks with the same answer" in outcome.out
    assert len(outcome.out.partition("= 7P Verify")[2].splitlines()) <= 40


PLAYWRIGHT = {
    """Locator expected to be visible
Actual value: None
Error: element(s) not found
Call log:
  - Expect "to_be_visible" get_by_role("heading", name="Kontrol \\"P", level=1) with timeout 500ms
  - waiting for get_by_role("heading", name="Kontrol \\"P", level=1)
""": ('heading "Kontrol \\"P" to be visible', "it is not on the page"),
    """Locator expected to be visible
Actual value: hidden
Call log:
  - Expect "to_be_visible" locator("#x") with timeout 500ms
  - waiting for locator("#x")
""": ('element "#x" to be visible', "hidden"),
    """Page URL expected to be 're.compile('/dashboard$')'
Actual value: https://platform.test/login
Call log:
  - Expect "to_have_url" with timeout 500ms
""": ('the address to be "/dashboard$"', "https://platform.test/login"),
    """Locator.fill: Timeout 5000ms exceeded.
Call log:
  - waiting for locator("input[type=email]")
    - locator resolved to <input disabled type="email"/>
    - element is not enabled
""": ('element "input[type=email]" can be filled in', "it did not happen within 5 s: element is not enabled"),
    """Locator.click: Timeout 5000ms exceeded.
Call log:
  - waiting for locator("form").filter(has=locator("input").first).locator(":is([type=submit])").first
    - locator resolved to <button type="submit" class="go">🚀 Giriş Yap</button>
    - element is outside of the viewport
""": (
        'button "🚀 Giriş Yap" can be clicked',
        "it did not happen within 5 s: element is outside of the viewport",
    ),
    """Locator.fill: Timeout 5000ms exceeded.
Call log:
  - waiting for locator("main").locator("input").first
    - locator resolved to 2 elements. Proceeding with the first one: <input type="email" value="a@b.test"/>
""": ("input can be filled in", "it did not happen within 5 s"),
    """Page.goto: Timeout 15000ms exceeded.
Call log:
  - navigating to "https://platform.test/login", waiting until "load"
""": ('"https://platform.test/login" the page opens', "it did not happen within 15 s"),
}


@pytest.mark.parametrize(("said", "shown"), PLAYWRIGHT.items())
def test_what_the_browser_waited_for_is_named(said: str, shown: tuple[str, str]) -> None:
    """The text has two lines in place of Playwright's log of sixty."""
    text = failure_text("sign in", AssertionError(said), [])

    assert text.splitlines() == [f"expected: sign in: {shown[0]}", f"got: {shown[1]}"]


@given(st.text(), st.lists(st.text()))
def test_no_message_is_too_odd(message: str, exchanges: list[str]) -> None:
    """A text that breaks the renderer would hide a failure behind an error of the suite."""
    for text in (message, f"{message}\nCall log:\n{message}", f"assert expected: {message}\n  got: {message}"):
        assert failure_text("title", AssertionError(text), exchanges).startswith("expected: title")


def test_a_long_body_is_cut_and_says_so() -> None:
    """A complete page hides the other lines, and may contain private data."""
    text = readable("x" * 10_000 + "\n" + "y\n" * 10_000)

    assert len(text) < 5_000
    assert text.splitlines()[0] == "x" * 600 + " […]"
    assert text.endswith(" […]")


def test_an_exchange_that_is_told_is_not_told_twice() -> None:
    """The check has shown its exchange already."""
    check = a_check(outcome=Outcome.FAILED)
    check.asked = ["GET /a -> 200", "GET /b -> 500", "GET /c -> 200"]

    assert check.asked_besides(["one found: <GET /b -> 500>"]) == []
    # The guilty one may be long past: what came last was in order, and would only mislead.
    assert check.asked_besides(["one found: <GET /settings -> 200 in 50 ms>"]) == []
    assert check.asked_besides(["one found"]) == ["GET /b -> 500", "GET /c -> 200"]
