"""What a tired engineer reads of a red check: what was asked, what came back, what to do first; no more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ci.red_checks import red_checks
from fixtures.checks.failure_text import readable
from fixtures.model.verdict import Outcome, Verdict
from fixtures.report.summary import red_lines
from tests.selftest.conftest import ROOT, environment_of_a_run
from tests.selftest.gate.verdicts import a_check

EXCHANGE = r"(GET|POST|PATCH|DELETE|HEAD|OPTIONS) http://127\.\S+ -> (\d{3}|no answer: \w+) in \d+ ms, dpl_\w+"
ROWS = r"SELECT .* -> \d+ rows of \d+: "


@pytest.mark.parametrize(
    ("kind", "fault", "shows"),
    [
        ("smoke", "health-from-the-edge", EXCHANGE),
        ("journeys", "signin-loop", EXCHANGE),
        ("vitals", "layout-shift", EXCHANGE),
        ("database", "address-twice", ROWS),
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


def test_a_long_body_is_cut_and_says_so() -> None:
    """A page in full pushes off the screen what one looks for, and may hold what nobody should read."""
    text = readable("x" * 10_000 + "\n" + "y\n" * 10_000)

    assert len(text) < 5_000
    assert text.splitlines()[0] == "x" * 600 + " […]"
    assert text.endswith(" […]")


def test_an_exchange_that_is_told_is_not_told_twice() -> None:
    """What the check itself has shown stands above already."""
    check = a_check(outcome=Outcome.FAILED)
    check.asked = ["GET /a -> 200", "GET /b -> 500", "GET /c -> 200"]

    assert check.asked_besides(["one found: <GET /b -> 500>"]) == []
    # The guilty one may be long past: what came last was in order, and would only mislead.
    assert check.asked_besides(["one found: <GET /settings -> 200 in 50 ms>"]) == []
    assert check.asked_besides(["one found"]) == ["GET /b -> 500", "GET /c -> 200"]
