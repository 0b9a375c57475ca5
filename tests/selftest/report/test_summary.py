"""The summary in the terminal: one block for each fault, forty lines, and nothing of the target's that is active."""

from __future__ import annotations

import json

from fixtures.model.verdict import Outcome
from fixtures.report.summary import lines_of
from tests.selftest.conftest import Stub, Suite
from tests.selftest.gate.verdicts import a_check, a_verdict


def test_checks_that_failed_with_one_exchange_are_one_block() -> None:
    """A route that is down turns many checks red, and is one fault; the times of the exchanges differ."""
    checks = [a_check(f"tests/x.py::test_{name}", "P1", Outcome.FAILED) for name in "abcdefg"]
    for number, check in enumerate(checks[:6]):
        check.reason = f"expected: {check.title}: JSON\ngot: GET /api/courses -> 500 in {number} ms\nno data"
    checks[6].reason = "expected: g\ngot: nothing"

    lines = lines_of(a_verdict(*checks))

    assert lines[:11] == [
        "RED P1  a",
        "        also P1  b",
        "        also P1  c",
        "        also P1  d",
        "        and 2 more checks with the same answer",
        "        expected: JSON",
        "        got: GET /api/courses -> 500 in 0 ms",
        "        no data",
        "        first: Look at the deployment",
        "RED P1  g",
        "        got: nothing",
    ]


def test_a_disaster_fits_a_terminal_of_forty_lines() -> None:
    """Sixty red checks and sixty unmeasured ones; the worst are shown, and the others are counted."""
    checks = [a_check(f"tests/x.py::test_{number}", "P0", Outcome.FAILED) for number in range(60)]
    blind = [a_check(f"tests/y.py::test_{number}", "P0", Outcome.SUITE_ERROR) for number in range(60)]
    for check in [*checks, *blind]:
        check.reason = "\n".join([f"expected: {check.title}", f"got: {check.node_id}", *"abcdef"])
        check.asked, check.evidence = [f"GET /{number} -> 200 in 1 ms" for number in range(9)], ["page.png", "page.txt"]

    lines = lines_of(a_verdict(*checks, *blind))

    assert len(lines) <= 40
    assert "and 55 more red checks: see verdict.json" in lines
    assert "and 57 more reasons: see verdict.json" in lines


def test_nothing_of_the_target_is_active_in_a_report(suite: Suite, stub: Stub) -> None:
    """The title of a course could clear the screen, fail the workflow, or hold a secret in the name of a check."""
    suite.write(
        r"""
@post
@P1
def test_title():
    print("\x1b[31mstdout\x1b[0m")
    found = ["\x1b[2J\n::error::hijacked\n##[error]again \u202e", "password=hunter2hunter2"]
    assert found == []
"""
    )

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, "--tb=short", "-rA")

    (result,) = [json.loads(path.read_text()) for path in suite.reports.glob("allure-results/*-result.json")]
    written = [outcome.out, outcome.err, result["statusDetails"]["message"]]
    assert result["name"] == "title"
    for text in written:
        assert "\x1b" not in text.replace("\x1b[0m", "")
        assert "\u202e" not in text
        assert not any(line.strip().startswith("::") or "##[" in line for line in text.splitlines())
    assert "hunter2" not in "".join(written) + (suite.reports / "verdict.json").read_text()
    assert "hijacked" in outcome.out
