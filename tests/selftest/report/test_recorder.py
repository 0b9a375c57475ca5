"""Checks the verdict: every outcome, early end, interruption, workers, secrets."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from fixtures.model.verdict import Cause, Outcome, Severity, Verdict
from fixtures.run.directory import DIRECTORY_VARIABLE, EARLY_END, ID_VARIABLE
from tests.selftest.conftest import ROOT, Stub, Suite

EVERY_OUTCOME = """
@post
@P0
@asks("GET /good")
def test_good(answer):
    assert answer.status == HTTPStatus.OK

@post
@P2
@asks("GET /bad")
def test_bad(answer):
    assert answer.status == HTTPStatus.OK

@post
@P1
def test_blind():
    raise NotMeasured("nobody looked")

@post
@P1
def test_lacks():
    raise NotApplicable("there is none, and need not be")

@post
@P1
def test_skips():
    pytest.skip("not today")

@post
@P1
def test_needs_a_broken_fixture(no_such_fixture):
    pass

@post
@pytest.mark.check(severity="P1", judges="function", runbook="application-health", needs=("payments",))
def test_needs_payments():
    raise AssertionError
"""


def test_every_outcome_is_told_apart(suite: Suite, stub: Stub) -> None:
    """A check that did not run did not pass, and a check that is not applicable is not missing."""
    stub.json("GET /good", "{}")
    suite.write(EVERY_OUTCOME)

    outcome = suite.run("-m", "postdeploy", "--target", stub.url)

    outcomes = {check.title: check.outcome for check in outcome.verdict.checks}
    assert outcomes == {
        "good": Outcome.PASSED,
        "bad": Outcome.FAILED,
        "blind": Outcome.NOT_MEASURED,
        "lacks": Outcome.NOT_APPLICABLE,
        "skips": Outcome.NOT_MEASURED,
        "needs a broken fixture": Outcome.SUITE_ERROR,
        "needs payments": Outcome.NOT_APPLICABLE,
    }
    assert outcome.code == pytest.ExitCode.TESTS_FAILED
    assert outcome.verdict.complete
    # The third asks once more after the error of the suite.
    assert outcome.verdict.requests == 3
    assert outcome.check("test_blind").reason == "nobody looked"
    assert outcome.check("test_lacks").reason == "there is none, and need not be"
    assert "the target lacks: payments" in outcome.check("needs_payments").reason
    blind = [(spot.subject, spot.why, spot.urgent, spot.promises) for spot in outcome.verdict.blind]
    assert blind == [
        ("", "there is none, and need not be", True, ["lacks"]),
        ("payments", "the target lacks payments", True, ["needs payments"]),
    ]


def test_workers_give_the_same_verdict(suite: Suite, stub: Stub) -> None:
    """The outcomes do not depend on the number of processes."""
    stub.json("GET /good", "{}")
    suite.write(EVERY_OUTCOME)

    alone = {
        check.node_id: check.outcome for check in suite.run("-m", "postdeploy", "--target", stub.url).verdict.checks
    }
    many = suite.run("-m", "postdeploy", "--target", stub.url, "-n", "2").verdict

    assert {check.node_id: check.outcome for check in many.checks} == alone
    assert many.complete


@pytest.mark.parametrize(
    ("files", "options", "later"),
    [
        ([EARLY_END], [], Outcome.SUPERSEDED),
        ([EARLY_END], ["--all"], Outcome.FAILED),
        ([], [], Outcome.FAILED),
    ],
)
def test_a_red_p0_ends_the_run_where_a_rollback_may_follow(
    suite: Suite,
    stub: Stub,
    files: list[str],
    options: list[str],
    later: Outcome,
) -> None:
    """The rollback does not wait for checks that cannot change the decision; without a rollback nothing is left out."""
    suite.write(
        """
@post
@P1
def test_later():
    raise AssertionError

@post
@P0
def test_other_p0():
    pass

@post
@P0
@asks("GET /gone")
def test_red(answer):
    assert answer.status == HTTPStatus.OK
"""
    )
    suite.write("@post\n@P1\ndef test_journey():\n    raise AssertionError\n", "tests/journeys/test_small.py")

    directory = suite.folder / "run"
    directory.mkdir()
    for name in files:
        (directory / name).touch()
    environment = {DIRECTORY_VARIABLE: str(directory), ID_VARIABLE: "run"}
    outcome = suite.run("-m", "postdeploy", "--target", stub.url, *options, environment=environment)

    assert {check.title: check.outcome for check in outcome.verdict.checks} == {
        "other p0": Outcome.PASSED,
        "red": Outcome.FAILED,
        "later": later,
        "journey": later,
    }


@pytest.mark.parametrize(("effect", "journey"), [('effect="sign-in", ', Outcome.FAILED), ("", Outcome.SUPERSEDED)])
def test_a_missing_element_ends_no_run_while_its_effect_may_be_reached(
    suite: Suite, stub: Stub, effect: str, journey: Outcome
) -> None:
    """The journey of the same effect says whether the page is broken or only was redesigned."""
    suite.write(
        f"""
from fixtures.checks.evidence import MissingError

@post
@pytest.mark.check(severity="P0", judges="function", {effect}runbook="application-not-loading")
def test_red():
    raise MissingError("no field")
"""
    )
    suite.write("@post\n@P1\ndef test_journey():\n    raise AssertionError\n", "tests/journeys/test_small.py")
    directory = suite.folder / "run"
    directory.mkdir()
    (directory / EARLY_END).touch()
    environment = {DIRECTORY_VARIABLE: str(directory), ID_VARIABLE: "run"}
    checks = suite.run("-m", "postdeploy", "--target", stub.url, environment=environment).verdict.checks

    assert {check.title: check.outcome for check in checks} == {"red": Outcome.FAILED, "journey": journey}
    assert [attempt.symptom for check in checks if check.title == "red" for attempt in check.attempts] == [""]


def test_every_hop_must_name_the_deployment(suite: Suite, stub: Stub) -> None:
    """An answer that names no deployment proves nothing about one."""
    stub.json("GET /named", "{}", x_deployment_id="dpl_one")
    stub.json("GET /nameless", "{}")
    suite.write(
        """
@post
@P1
@asks("GET /named")
def test_named(answer):
    assert answer.status == HTTPStatus.OK

@post
@P1
@asks("GET /named", "GET /nameless")
def test_partly(answers):
    assert answers
"""
    )

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, environment={"SYNTHETIC_DEPLOYMENT": "dpl_one"})

    assert [attempt.identified for attempt in outcome.check("test_named").attempts] == [True]
    assert [attempt.identified for attempt in outcome.check("test_partly").attempts] == [False]
    assert outcome.verdict.deployment_id == "dpl_one"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_leaves_an_incomplete_verdict(suite: Suite, stub: Stub, number: signal.Signals) -> None:
    """The verdict keeps the outcomes before the signal, and says that it is incomplete."""
    stub.json("GET /good", "{}")
    suite.write(
        """
import time

@post
@P0
@asks("GET /good")
def test_good(answer):
    assert answer.status == HTTPStatus.OK

@post
@P1
@depends_on("GET /good")
def test_endless(site):
    site.ask("GET /endless")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)
"""
    )
    command = suite.command("-m", "postdeploy", "--target", stub.url)
    with subprocess.Popen(
        command, cwd=suite.folder, env=suite.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _wait_for(stub, "GET /endless")
        process.send_signal(number)
        process.wait(timeout=20)

    verdict = Verdict.read(suite.reports / "verdict.json")
    assert not verdict.complete
    assert {check.title: check.outcome for check in verdict.checks} == {
        "good": Outcome.PASSED,
        "endless": Outcome.NOT_MEASURED,
    }


def test_a_killed_worker_loses_its_test_only(suite: Suite, stub: Stub) -> None:
    """Only the check of the dead worker is not measured; the verdict has all others."""
    suite.write(
        """
import os, signal

@post
@P1
def test_kills_its_worker():
    os.kill(os.getpid(), signal.SIGKILL)

@post
@P1
@pytest.mark.parametrize("number", range(4))
def test_other(number):
    assert number < 4
"""
    )

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, "-n", "2")

    killed = outcome.check("kills_its_worker")
    assert killed.outcome is Outcome.NOT_MEASURED
    assert [attempt.blocker for attempt in killed.attempts] == [Cause.RUNNER]
    others = [check.outcome for check in outcome.verdict.checks if "test_other" in check.node_id]
    assert others == [Outcome.PASSED] * 4
    shown = [path.read_text() for path in (outcome.reports / "allure-results").glob("*-result.json")]
    assert len([text for text in shown if "#test_other" in text]) == 4
    # What xdist tells of such a test has no time.
    assert [phase for phase in outcome.verdict.phases if phase.seconds < 0] == []


def test_nothing_selected_is_an_empty_verdict(suite: Suite, stub: Stub) -> None:
    """The gate holds on an empty verdict."""
    suite.write("@post\n@P0\ndef test_one():\n    pass\n")

    outcome = suite.run("-m", "predeploy", "--target", stub.url)

    assert (outcome.verdict.checks, outcome.verdict.complete) == ([], True)


def test_nothing_of_an_earlier_run_is_left(suite: Suite, stub: Stub) -> None:
    """A screenshot or decision of yesterday would look like one of today; the ledger of leftovers stays."""
    suite.write("@post\n@P0\ndef test_one():\n    pass\n")
    for name in ("evidence/old/page.png", "rerun/pairs/verdict.json", "decision.json", "summary.md", "leftovers.json"):
        path = suite.reports / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]", encoding="utf-8")

    suite.run("-m", "postdeploy", "--target", stub.url)

    left = {path.name for path in suite.reports.iterdir()}
    assert left == {".run.lock", "allure-results", "leftovers.json", "verdict.json"}


def test_a_missed_budget_is_as_severe_as_its_step(suite: Suite, stub: Stub) -> None:
    """119 % of a budget is P3 in the runbook, although the check can be worse."""
    suite.write("@post\n@P1\ndef test_paint(budgets):\n    assert 2975 <= budgets.lcp\n")

    outcome = suite.run("-m", "postdeploy", "--target", stub.url)

    check = outcome.check("test_paint")
    assert check.severity is Severity.P3
    assert [(m.name, m.value, m.limit, m.unit) for m in check.measurements] == [("lcp", 2975.0, 2500.0, "ms")]
    assert "expected: lcp of at most 2500 ms\n        got: 2975 ms, 19 % over: P3\n" in outcome.out


def test_no_secret_reaches_terminal_verdict_or_allure(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """Many people read a report."""
    secrets = {"database password": "pw-9f3kq2zz", "token": "nextjwt0123456789abcdef"}
    stub.json("GET /leak", f'{{"dsn": "postgresql://app:{secrets["database password"]}@db/app"}}')
    suite.write(
        f"""
@post
@P1
@asks("GET /leak")
def test_leak(answer):
    print("next-auth.session-token={secrets["token"]}")
    assert answer.text == "", answer.text
"""
    )

    outcome = suite.run("-m", "postdeploy", "--target", stub.url)

    written = outcome.out + outcome.err
    for path in suite.reports.rglob("*"):
        written += path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    assert "[redacted]" in written
    assert [name for name, value in secrets.items() if value in written.replace(str(tmp_path), "")] == []


def test_the_shipped_schema_is_the_verdicts() -> None:
    """Consumers validate against it; `python -m fixtures.model.verdict > fixtures/verdict.schema.json` writes it."""
    shipped = msgspec.json.decode((ROOT / "fixtures" / "verdict.schema.json").read_bytes())

    assert shipped == msgspec.json.schema(Verdict)


def _wait_for(stub: Stub, route: str) -> None:
    deadline = time.monotonic() + 20
    while route not in [seen for seen, _ in stub.seen]:
        assert time.monotonic() < deadline, stub.seen
        time.sleep(0.02)
