"""Checks `ci/verify accept`: the entry that it writes covers the red check, and a wrong command is one line."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from fixtures.model.known_faults import covering, known_faults, today
from fixtures.model.verdict import Outcome
from tests.selftest.conftest import ROOT, environment_of_a_run
from tests.selftest.gate.verdicts import HEALTH, a_check, a_verdict, an_attempt

WEEK = str(today() + timedelta(7))
ODD = 'GET /"quoted"\\ \x7f\n\u011f 500'
SAID = ["--owner", "shop team", "--reason", "they repair it", "--until", WEEK]


def accept(
    folder: Path, *arguments: str, judges: str = "function", offenders: tuple[str, ...] = (ODD, "GET /b 404")
) -> subprocess.CompletedProcess[str]:
    """Run the command on a verdict with one red and one green check."""
    red = msgspec.structs.replace(an_attempt(), offenders=list(offenders))
    check = a_check(outcome=Outcome.FAILED, judges=judges, attempts=[red])
    a_verdict(check, a_check("tests/smoke/test_pages.py::test_green")).write(folder / "verdict.json")
    file = folder / "known.toml"
    if not file.exists():
        file.write_text("# explained\n", encoding="utf-8")
    environment = environment_of_a_run() | {"SYNTHETIC_KNOWN_FAULTS": str(file)}
    command = [sys.executable, "ci/verify", "accept", *arguments, f"--reports={folder}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("named", [HEALTH, "test_health", "health"])
def test_the_entry_covers_the_check_and_is_shown(tmp_path: Path, named: str) -> None:
    """Node id, test function and title name a check; a quote or a control letter in an offender stays as it is."""
    done = accept(tmp_path, named, *SAID)

    (fault,) = known_faults(tmp_path / "known.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert (fault.target, fault.check) == ("sandbox", "test_health")
    assert covering([fault], [ODD, "GET /b 404"], today())
    assert '+owner = "shop team"' in done.stdout
    assert "# explained" in (tmp_path / "known.toml").read_text()


def test_a_second_entry_names_only_what_is_new(tmp_path: Path) -> None:
    """Each offender keeps the owner and the date under which it was accepted."""
    accept(tmp_path, "health", *SAID, offenders=("a",))
    accept(tmp_path, "health", *SAID, offenders=("a", "b"))

    assert [fault.offenders for fault in known_faults(tmp_path / "known.toml")] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("arguments", "judges", "says"),
    [
        (["green", *SAID], "function", "accept green: not red in run run on sandbox; red are: test_health"),
        (["health", *SAID], "exposure", "never a known fault"),
        (["health", *SAID[:4], "--until", "soon"], "function", "--until soon: not a day; write it as 2"),
        (["health", *SAID[:4], "--until", str(today() + timedelta(8))], "function", "7 days at most"),
        (["health", *SAID[:4], "--until", str(today() - timedelta(1))], "function", "before it begins"),
        (["health", *SAID[:4]], "function", "--until is missing"),
        (["health", *SAID[2:]], "function", "--owner is missing"),
        (["health", "--owner", " ", *SAID[2:]], "function", "--owner: an empty value"),
        (SAID, "function", "name the red check"),
        (["health", *SAID, "--target", "production"], "function", "--target: only for a stage"),
    ],
)
def test_a_wrong_command_is_one_line(tmp_path: Path, arguments: list[str], judges: str, says: str) -> None:
    """It changes nothing, and says what to do."""
    done = accept(tmp_path, *arguments, judges=judges)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
    assert (tmp_path / "known.toml").read_text() == "# explained\n"


def test_without_a_verdict_it_says_where_one_comes_from(tmp_path: Path) -> None:
    """The first thing that people try is the command alone."""
    command = [sys.executable, "ci/verify", "accept", "health", *SAID, f"--reports={tmp_path / 'none'}"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert "verdict.json: No such file or directory; run a stage first" in done.stderr
