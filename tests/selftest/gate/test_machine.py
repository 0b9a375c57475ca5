"""The programs that a run needs are found in the promised order, installed where possible, or named in one line."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from ci import machine, steps
from ci.machine import find_vercel_cli, provide_browser, provide_vercel_cli
from ci.steps import SetupError, run_step
from tests.selftest.programs import STARTS, Program, shell_of_playwright, write_program


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Make programs on a PATH that has nothing else, on a machine without browser, cache or apt."""
    directory = tmp_path / "bin"
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "ms-playwright"))
    monkeypatch.setenv("SYNTHETIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SYNTHETIC_BROWSER", raising=False)
    monkeypatch.delenv("SYNTHETIC_VERCEL_CLI", raising=False)
    monkeypatch.setattr(steps, "may_use_apt", lambda: False)

    return lambda name, script: write_program(directory / name, script)


def test_browser_is_downloaded_where_there_is_none(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Playwright's own installer comes before the system's packages."""
    shell = shell_of_playwright(tmp_path / "ms-playwright")
    python = program(
        "python",
        f'[ "$*" = "-m playwright install --only-shell chromium" ] || exit 9\nmkdir -p {shell.parent}\n'
        f"printf '#!/bin/sh\\n{STARTS}\\n' > {shell}; chmod 755 {shell}",
    )
    monkeypatch.setattr(sys, "executable", str(python))

    assert provide_browser() == shell


def test_browser_comes_from_apt_when_the_download_is_shut_off_and_we_may(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package lists of a fresh machine are empty: they are fetched, once, and the installation is tried again."""
    log, shell = tmp_path / "apt", tmp_path / "bin" / "chromium-headless-shell"
    monkeypatch.setattr(sys, "executable", str(program("python", "echo getaddrinfo ENOTFOUND; exit 1")))
    monkeypatch.setattr(steps, "may_use_apt", lambda: True)
    program(
        "apt-get",
        f'echo "$1" >> {log}\n[ "$1" = update ] && exit 0\ngrep -q update {log} || exit 100\n'
        f"printf '#!/bin/sh\\n{STARTS}\\n' > {shell}; chmod 755 {shell}",
    )

    assert provide_browser() == shell
    assert log.read_text(encoding="utf-8").split() == ["install", "update", "install"]


@pytest.mark.usefixtures("program")
def test_browser_that_was_chosen_wrongly_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed for a choice that was a mistake."""
    monkeypatch.setenv("SYNTHETIC_BROWSER", str(tmp_path / "nothing"))

    with pytest.raises(SetupError, match=r"^SYNTHETIC_BROWSER=.*nothing does not start; fix: unset SYNTHETIC_BROWSER"):
        provide_browser()


def test_a_missing_browser_is_named_with_its_fix(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, at 3 a.m., without a traceback."""
    monkeypatch.setattr(sys, "executable", str(program("python", "echo getaddrinfo ENOTFOUND; exit 1")))

    with pytest.raises(SetupError) as refused:
        provide_browser()
    line = str(refused.value)

    assert "\n" not in line
    assert "exit 1: getaddrinfo ENOTFOUND" in line
    assert line.endswith(
        "fix: .venv/bin/playwright install --with-deps --only-shell chromium, "
        "or on Debian, as root, apt-get install -y chromium-headless-shell"
    )


def test_vercel_cli_is_installed_once_without_its_scripts(program: Program, tmp_path: Path) -> None:
    """The install scripts of dependencies would run as the user who tests; a half installation must not count."""
    log = tmp_path / "npm"
    program("node", "exit 0")
    program(
        "npm",
        f'echo "$*" >> {log}\nwhile [ "$1" != --prefix ]; do shift; done\n'
        'mkdir -p "$2/node_modules/vercel/dist"; echo > "$2/node_modules/vercel/dist/vc.js"',
    )
    before = find_vercel_cli()
    installed = [provide_vercel_cli(), provide_vercel_cli(), find_vercel_cli()]
    calls = log.read_text(encoding="utf-8").splitlines()

    assert before is None
    assert installed == [tmp_path / "cache/vercel-cli/60.1.3/node_modules/vercel/dist/vc.js"] * 3
    assert len(calls) == 1
    assert "--ignore-scripts" in calls[0]
    assert calls[0].endswith("vercel@60.1.3")


def test_failed_installation_of_the_vercel_cli_leaves_nothing_that_looks_whole(
    program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The self-tests that need it are skipped with the reason."""
    program("node", "exit 0")
    program("npm", 'while [ "$1" != --prefix ]; do shift; done\nmkdir -p "$2/node_modules/vercel/dist"; exit 1')

    assert provide_vercel_cli() is None
    assert list((tmp_path / "cache/vercel-cli").iterdir()) == []
    assert "self-tests of Vercel's CLI will be skipped: installing vercel@60.1.3" in capsys.readouterr().err


@pytest.mark.usefixtures("program")
def test_a_missing_pgbouncer_is_named_with_its_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tests that are skipped must not look like tests that passed."""
    monkeypatch.setattr("ci.machine.shutil.which", lambda *_places, **_how: None)

    assert machine.provide_pgbouncer() is None
    assert "will be skipped: pgbouncer not found; fix, as root: apt-get install -y pgbouncer" in capsys.readouterr().err


@pytest.mark.usefixtures("program")
def test_missing_node_is_named_with_its_fix(capsys: pytest.CaptureFixture[str]) -> None:
    """An ordinary user cannot apt-get it."""
    assert provide_vercel_cli() is None
    assert "nodejs and npm not found; fix, as root: apt-get install -y nodejs npm" in capsys.readouterr().err


def test_step_that_takes_long_says_what_it_does(
    program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Silence of more than two seconds looks like a hang; a quick step says nothing."""
    monkeypatch.setattr(steps, "QUIET_SECONDS", 0.05)
    run_step("being quick", [str(program("quick", "exit 0"))], fix="none", limit=30)
    run_step("being slow", [str(program("slow", "sleep 1"))], fix="none", limit=30)

    assert "being slow … (0 s)" in capsys.readouterr().err.splitlines()[0]


def test_step_past_its_limit_is_ended_with_everything_it_started(program: Program, tmp_path: Path) -> None:
    """An installer's own child would go on writing into what the next try makes."""
    pids = tmp_path / "pids"
    hangs = program("hangs", f"sleep 600 &\necho $$ $! > {pids}; wait")

    with pytest.raises(SetupError, match=r"^hanging failed \(no end after 3 s: no output\); fix: try again$"):
        run_step("hanging", [str(hangs)], fix="try again", limit=3)

    started = [int(pid) for pid in pids.read_text(encoding="utf-8").split()]
    deadline = time.monotonic() + 10
    # A process that was killed is there until the kernel has come round to it.
    while any(map(_runs, started)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in started if _runs(pid)] == []


def _runs(pid: int) -> bool:
    """Return whether the process lives; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
