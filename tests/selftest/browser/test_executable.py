"""The browser is found in the promised order, and a wrong choice of it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.browser.executable import BrowserError, find_browser, records_videos
from tests.selftest.programs import BROKEN, STARTS, Program, of_playwright, shell_of_playwright, write_program


@pytest.fixture
def browsers(tmp_path: Path) -> Path:
    """Return the directory where Playwright keeps its programs."""
    return tmp_path / "ms-playwright"


@pytest.fixture
def program(tmp_path: Path, browsers: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Make programs on a PATH that has nothing else, on a machine without any of Playwright's."""
    directory = tmp_path / "bin"
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(browsers))
    monkeypatch.delenv("SYNTHETIC_BROWSER", raising=False)
    return lambda name, script: write_program(directory / name, script)


def test_browser_is_the_chosen_one_then_playwrights_then_the_systems(
    program: Program, browsers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times faster to start: the shell comes before the full browser, an explicit choice before everything."""
    found = [find_browser()]
    chrome = program("google-chrome", STARTS)
    found.append(find_browser())
    chromium = program("chromium", STARTS)
    found.append(find_browser())
    shell = program("chromium-headless-shell", STARTS)
    found.append(find_browser())
    own = write_program(shell_of_playwright(browsers), STARTS)
    found.append(find_browser())
    chosen = write_program(tmp_path / "mine", STARTS)
    monkeypatch.setenv("SYNTHETIC_BROWSER", str(chosen))
    found.append(find_browser())

    assert found == [None, chrome, chromium, shell, own, chosen]


def test_a_browser_that_is_to_show_windows_is_no_headless_shell(program: Program, browsers: Path) -> None:
    """A headless shell shows no windows and does not say so."""
    program("chromium-headless-shell", STARTS)
    write_program(shell_of_playwright(browsers), STARTS)
    found = [find_browser(windows=True)]
    chromium = program("chromium", STARTS)
    found.append(find_browser(windows=True))
    own = write_program(of_playwright(browsers, "chromium", "chrome-linux64/chrome"), STARTS)
    found.append(find_browser(windows=True))

    assert found == [None, chromium, own]


def test_browser_that_does_not_start_is_passed_over(program: Program, browsers: Path) -> None:
    """A downloaded shell without its shared libraries is there, and no use."""
    write_program(shell_of_playwright(browsers), BROKEN)
    program("chromium-headless-shell", BROKEN)
    chromium = program("chromium", STARTS)

    assert find_browser() == chromium


@pytest.mark.parametrize(
    ("name", "windows", "says"),
    [
        pytest.param("nothing", False, "nothing does not start", id="it does not start"),
        pytest.param("headless-shell", True, "headless-shell shows no windows", id="windows of a headless shell"),
    ],
)
def test_wrong_choice_of_browser_is_not_silently_replaced(
    name: str, *, windows: bool, says: str, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who names a browser wants that one."""
    shell = program("headless-shell", STARTS)
    monkeypatch.setenv("SYNTHETIC_BROWSER", str(shell.parent / name))

    with pytest.raises(BrowserError, match=rf"^SYNTHETIC_BROWSER=.*{says}; fix: unset SYNTHETIC_BROWSER"):
        find_browser(windows=windows)


@pytest.mark.usefixtures("program")
def test_videos_take_a_program_of_playwrights_own(browsers: Path) -> None:
    """The system's browser records nothing by itself."""
    found = [records_videos()]
    write_program(of_playwright(browsers, "ffmpeg", "ffmpeg-linux"), "exit 0")
    found.append(records_videos())

    assert found == [False, True]
