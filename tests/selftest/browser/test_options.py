"""No option of pytest-playwright is silently ignored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.browser.options import refusals
from tests.selftest.conftest import ROOT, Stub, Suite, environment_of_a_run
from tests.selftest.programs import STARTS, of_playwright, write_program

GIVEN: dict[str, object] = {
    "--base-url": None,
    "--browser": [],
    "--browser-channel": None,
    "--device": None,
    "--full-page-screenshot": False,
    "--headed": False,
    "--output": "test-results",
    "--playwright-debug": None,
    "--screenshot": "off",
    "--slowmo": 0,
    "--tracing": "off",
    "--video": "off",
}


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Take away display, browsers and ffmpeg; return the directory where Playwright would keep them."""
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "SYNTHETIC_BROWSER", "PYTEST_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    return tmp_path / "browsers"


def _refused(**given: object) -> list[str]:
    named = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
    return list(refusals((GIVEN | named).__getitem__))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"base_url": "https://x.test"}, "--base-url https://x.test: pages open on the target; leave it out, and use"),
        ({"browser": ["firefox"]}, "--browser firefox: the checks measure in Chromium only; leave it out"),
        ({"browser": ["chromium", "webkit"]}, "--browser chromium webkit: the checks measure in Chromium only"),
        ({"browser_channel": "opera"}, "--browser-channel opera: no Chromium has this name; use chrome, msedge or"),
        (
            {"device": "iPhone 13"},
            "1350 x 940; leave it out, and look at the page with .venv/bin/playwright open --dev",
        ),
        ({"output": "there"}, "--output there: recordings lie with the evidence of their check; use --reports DIR"),
        ({"full_page_screenshot": True}, "--full-page-screenshot: takes no screenshot by itself; add --screenshot on"),
        ({"slowmo": -1}, "--slowmo -1: give milliseconds, 0 or more"),
        ({"playwright_debug": "cli"}, "--playwright-debug: a check has deadlines, which a pause would break; use --h"),
        ({"video": "on"}, "--video on: Playwright's ffmpeg is missing; run .venv/bin/playwright install ffmpeg"),
        ({"headed": True}, "--headed: there is no display here; set DISPLAY, start the command under xvfb-run, or"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_what_to_use_instead(given: dict[str, object], says: str) -> None:
    """An ignored option would suggest that the phone, the other browser or the other address was verified."""
    line = _refused(**given)[0]

    assert says in line
    assert "\n" not in line


def test_an_address_of_the_environment_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has typed no such option."""
    monkeypatch.setenv("PYTEST_BASE_URL", "https://x.test")

    assert _refused(base_url="https://x.test")[0].startswith("PYTEST_BASE_URL=https://x.test: pages open on the target")


def test_windows_take_a_browser_that_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A headless shell that is asked for a window starts without one."""
    monkeypatch.setenv("DISPLAY", ":7")
    refused = [_refused(headed=True)]
    write_program(tmp_path / "bin" / "chromium", STARTS)
    refused += [_refused(headed=True), _refused(headed=True, browser_channel="chrome")]
    monkeypatch.setenv("SYNTHETIC_BROWSER", str(write_program(tmp_path / "headless-shell", STARTS)))
    refused.append(_refused(headed=True))

    none, found, channel, (wrong,) = refused
    assert none[0].startswith("--headed: no Chromium here shows windows; run .venv/bin/playwright install chromium")
    assert found == channel == []
    assert wrong.startswith("--headed: SYNTHETIC_BROWSER=")
    assert "shows no windows" in wrong


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tracing": "on"},
        {"video": "retain-on-failure"},
        {"screenshot": "only-on-failure", "full_page_screenshot": True},
        {"slowmo": 200},
        {"browser": ["chromium"]},
        *({"browser_channel": name} for name in ("chrome", "chrome-beta", "msedge", "chromium")),
    ],
)
def test_what_can_be_honoured_is_not_refused(given: dict[str, object], bare_machine: Path) -> None:
    """These options change how a person watches a run, not what the run verifies."""
    write_program(of_playwright(bare_machine, "ffmpeg", "ffmpeg-linux"), "exit 0")

    assert _refused(**given) == []


def test_a_run_that_refuses_is_one_line_and_exit_2(suite: Suite) -> None:
    """Before any page is opened, and no page of usage around it."""
    outcome = suite.run("--device=iPhone 13")

    assert outcome.code == 2
    assert outcome.err.splitlines()[0].startswith("ERROR: --device iPhone 13: the budgets hold for one window")
    assert len(outcome.err.splitlines()) == 1


def test_a_stage_that_refuses_ends_in_the_same_line(tmp_path: Path) -> None:
    """Options of pytest reach it through ci/verify, too."""
    command = [sys.executable, "-m", "ci.process", "postdeploy", "--target=http://127.0.0.1:9"]
    command += [f"--reports={tmp_path}/reports", f"--state={tmp_path}/state", "--", "--base-url=https://x.test"]
    environment = environment_of_a_run() | {"PATH": "/usr/bin:/bin"}
    del environment["PLAYWRIGHT_BROWSERS_PATH"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 2
    assert (
        done.stderr
        == "ERROR: --base-url https://x.test: pages open on the target; leave it out, and use --target URL\n"
    )


def test_headed_and_slow_reach_the_browser(suite: Suite, tmp_path: Path, stub: Stub) -> None:
    """The options have their effect."""
    chromium = write_program(tmp_path / "bin" / "chromium", STARTS)
    suite.write(
        f"""
@post
@P2
def test_launched(browser_type_launch_args) -> None:
    expected = {{"headless": False, "slow_mo": 50, "executable_path": {str(chromium)!r}}}
    assert browser_type_launch_args == expected
""",
        "tests/journeys/test_small.py",
    )
    options = ["-m", "postdeploy", f"--target={stub.url}", "--headed", "--slowmo=50"]
    outcome = suite.run(*options, environment={"DISPLAY": ":7"})

    assert outcome.check("test_launched").reason == ""
    assert outcome.code == 0
