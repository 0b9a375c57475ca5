"""Checks the marker of a check, the selection of checks, and the messages about wrong usage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixtures.target.targets_file import TARGETS_FILE
from tests.selftest.conftest import Stub, Suite


@pytest.mark.parametrize(
    ("decorators", "problem"),
    [
        ("@post", "add @pytest.mark.check"),
        ('@pytest.mark.check(severity="P0", judges="function", runbook="application-health")', "needs a stage marker"),
        (
            '@post\n@pytest.mark.check(severity="P7", judges="function", runbook="application-health")',
            "Invalid enum value 'P7'",
        ),
        ('@post\n@pytest.mark.check(runbook="application-health")', "missing required field `severity`"),
        ('@post\n@pytest.mark.check(severity="P3", runbook="application-health")', "missing required field `judges`"),
        (
            '@post\n@pytest.mark.check(severity="P1", judges="contract", runbook="application-health")',
            "judges contract is at worst P2, not P1",
        ),
        (
            '@post\n@pytest.mark.check(severity="P2", judges="wording", runbook="application-health")',
            "judges wording is at worst P3, not P2",
        ),
        (
            '@post\n@pytest.mark.check(severity="P0", judges="function", runbook="coffee")',
            "runbook.toml has no section 'coffee'",
        ),
        (
            '@post\n@pytest.mark.check(severity="P0", judges="function", runbook="application-health", eligible=True)',
            "unknown field `eligible`",
        ),
        (
            '@post\n@pytest.mark.check(severity="P0", judges="budget", runbook="application-health", needs=("wings",))',
            "no capability wings",
        ),
    ],
)
def test_a_check_that_says_too_little_is_refused(suite: Suite, stub: Stub, decorators: str, problem: str) -> None:
    """One line names the test and the mistake; exit 2, and nothing is asked."""
    suite.write(f"{decorators}\ndef test_one():\n    pass\n")

    outcome = suite.run("--target", stub.url)

    assert outcome.code == 2
    (line,) = outcome.err.strip().splitlines()
    assert line.startswith("ERROR: tests/smoke/test_small.py::test_one: ")
    assert "not-measured" not in outcome.out
    assert problem in line
    assert stub.seen == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--target", "nowhere"], f"--target nowhere: not in {TARGETS_FILE}; use a URL or one of"),
        (["--target", "ftp://host"], "--target ftp://host: expected http(s)://host[:port]"),
        (["--target", "http://user:hunter2hunter2@host"], "--target http://…: expected http(s)://host[:port]"),
        (["--target", "production"], "VERCEL_TOKEN (for vercel); set them, or drop the capability in"),
        (["--target", "http://127.0.0.1:9", "--fault", "health-down"], "only the sandbox can be broken"),
        (["--fault", "helth-down"], "did you mean health-down?"),
        (["--only", "no-such-file"], "--only no-such-file: No such file or directory"),
        (["--variants", "no-such-file"], "--variants no-such-file: "),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(suite: Suite, arguments: list[str], problem: str) -> None:
    """The message comes before anything runs, and contains no password."""
    suite.write("@post\n@P0\ndef test_one():\n    pass\n")

    outcome = suite.run(*arguments)

    assert outcome.code == 2
    (line,) = outcome.err.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert problem in line
    assert "hunter2" not in line


THREE = """
@post
@P1
def test_second():
    pass

@post
@P0
def test_first():
    pass

@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-health", daily=False)
def test_before_only():
    pass
"""


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("postdeploy", ["first", "second"]),
        ("daily", ["first", "second"]),
        ("predeploy", ["before only"]),
        ("postdeploy and check(severity='P0')", ["first"]),
        ("smoke", ["first", "second"]),
        ("smoke and check(severity='P2')", ["before only"]),
    ],
)
def test_stage_kind_and_severity_select(suite: Suite, stub: Stub, expression: str, chosen: list[str]) -> None:
    """P0 runs first; a run has one stage; a check is part of daily unless its marker excludes it."""
    suite.write(THREE)

    verdict = suite.run("-m", expression, "--target", stub.url).verdict

    assert [check.title for check in verdict.checks] == chosen


def test_only_runs_the_named_checks(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """The gate runs the red checks again by this option."""
    suite.write(THREE)
    (tmp_path / "red").write_text("tests/smoke/test_small.py::test_second\n", encoding="utf-8")

    verdict = suite.run("-m", "postdeploy", "--only", str(tmp_path / "red"), "--target", stub.url).verdict

    assert [check.title for check in verdict.checks] == ["second"]


def test_a_check_named_alone_runs_in_its_own_stage(suite: Suite, stub: Stub) -> None:
    """Before a promotion a nightly check has nothing to find, and would be red for no reason."""
    suite.write(THREE)

    outcome = suite.run("-k", "before_only", "--target", stub.url)

    assert (outcome.verdict.stage, [check.title for check in outcome.verdict.checks]) == ("predeploy", ["before only"])


def test_a_stage_that_was_named_stays(suite: Suite, stub: Stub) -> None:
    """The gate refuses a verdict of another stage."""
    suite.write(THREE)

    outcome = suite.run("-k", "before_only", "--stage", "postdeploy", "--target", stub.url)

    assert (outcome.verdict.stage, outcome.verdict.checks) == ("postdeploy", [])


def test_collecting_asks_nobody(suite: Suite) -> None:
    """An editor collects after every change: nothing starts, nothing is asked, and an early end is no error."""
    suite.write("@post\n@P0\n@asks('GET /', account='student')\ndef test_one(answer):\n    pass\n" + THREE)

    outcome = suite.run("--collect-only")

    assert outcome.code == pytest.ExitCode.OK
    assert "7p-prefetch" not in outcome.out + outcome.err
    assert "4 tests collected" in outcome.out


def test_list_checks_runs_nothing(suite: Suite, stub: Stub) -> None:
    """The list of checks asks nobody."""
    suite.write("@post\n@P0\n@asks('GET /x')\ndef test_one(answer):\n    assert answer.status\n")

    outcome = suite.run("--list-checks", "--target", stub.url)

    assert "P0  smoke     function   application-health           one" in outcome.out
    assert (outcome.code, stub.seen) == (pytest.ExitCode.OK, [])
    assert not (suite.reports / "verdict.json").exists()


def test_sides_alternate(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """Sides alternate, so that a change over time affects both sides equally."""
    stub.json("GET /x", "{}")
    suite.write("@post\n@P0\n@asks('GET /x')\ndef test_one(answer):\n    assert answer.status == 200\n")
    variants = tmp_path / "sides.json"
    variants.write_text(f'[{{"name":"candidate","url":"{stub.url}"}},{{"name":"control","url":"{stub.url}"}}]')

    outcome = suite.run("-m", "postdeploy", "--variants", str(variants), "--rounds", "2", "--target", stub.url)

    (check,) = outcome.verdict.checks
    assert check.node_id == "tests/smoke/test_small.py::test_one"
    assert [attempt.variant for attempt in check.attempts] == ["candidate", "control", "candidate", "control"]


def test_what_waits_for_a_sign_in_is_judged_after_what_does_not(suite: Suite) -> None:
    """The sign-in takes three requests in a row, and everything else would wait for it."""
    needs = 'needs=("accounts",)'
    suite.write(
        f"""
@post
@pytest.mark.check(severity="P1", judges="function", runbook="application-health", {needs})
def test_late(): ...

@post
@P1
def test_early(): ...

@post
@pytest.mark.check(severity="P0", judges="function", runbook="application-health", {needs})
def test_second(): ...

@post
@P0
def test_first(): ...
"""
    )

    listed = suite.run("--collect-only", "-q", "--target", "sandbox")

    names = re.findall(r"::test_(\w+)", listed.out)
    assert names == ["first", "second", "early", "late"]
