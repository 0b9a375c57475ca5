"""Checks known faults: what covers a red check, what does not, and what no entry may say."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from pathlib import Path

import pytest

from fixtures.checks.offenders import in_failure, listed, normalised
from fixtures.model.allowances import KnownFault
from fixtures.model.known_faults import covering, known_faults, name_of, problem_of, today
from fixtures.model.verdict import Judges, Measurement, Outcome, Severity
from fixtures.run.usage import EXIT_USAGE
from tests.selftest.conftest import ROOT, Stub, Suite

DAY = date(2026, 11, 27)
TWO_PROBLEMS = """
@post
@pytest.mark.check(severity="{severity}", judges="{judges}", runbook="application-health")
@asks("GET /a", "GET /b", "GET /c")
def test_pages_answer(answers):
    assert [answer for answer in answers if answer.status != HTTPStatus.OK] == []
"""


def entry(*offenders: str, days: int = 6) -> KnownFault:
    """Return an entry that is valid for some days."""
    return KnownFault(
        target="x",
        check="test_x",
        offenders=list(offenders),
        owner="shop team",
        reason="they repair it",
        since=DAY,
        expires=DAY + timedelta(days),
    )


def write(folder: Path, target: str, offenders: list[str], **words: object) -> dict[str, str]:
    """Write a table with one entry; return the variable that names it."""
    said: dict[str, object] = {"check": "test_pages_answer", "owner": "shop team", "reason": "repaired on Monday"}
    said |= {"since": today(), "expires": today() + timedelta(5)} | words
    plain = {"since", "expires"}
    lines = [f"{key} = {value}" if key in plain else f'{key} = "{value}"' for key, value in said.items()]
    file = folder / "known.toml"
    file.write_text("\n".join(["[[fault]]", f'target = "{target}"', f"offenders = {offenders}", *lines]))
    return {"SYNTHETIC_KNOWN_FAULTS": str(file)}


@pytest.mark.parametrize(
    ("text", "lasting"),
    [
        ("GET http://127.0.0.2:44243/api/courses -> 500 in 7 ms, dpl_BAD", "GET /api/courses 500"),
        ("<GET https://7p.test -> no answer: timeout in 5000 ms>", "<GET / no answer: timeout>"),
        ("GET https://7p.test/x?page=2 -> 502 x-vercel-error A_B in 1 ms", "GET /x?page=2 502 x-vercel-error A_B"),
        ("GET https://7p.test/ -> 200 in 7 ms, dpl_1a: no canonical", "GET / 200: no canonical"),
        ("https://7p.test/_next/a.js?dpl=dpl_9aB is 404", "/_next/a.js?dpl=dpl_* is 404"),
        ("the index courses_slug is not valid", "the index courses_slug is not valid"),
    ],
)
def test_an_offender_reads_the_same_in_the_next_run(text: str, lasting: str) -> None:
    """A host, a time or the id of a deployment would make every entry useless after one run."""
    assert normalised(text) == lasting


@pytest.mark.parametrize(
    ("node_id", "name"),
    [
        ("tests/smoke/test_x.py::test_it", "test_it"),
        ("tests/journeys/test_x.py::test_it[chromium]", "test_it"),
        ("tests/vitals/test_x.py::test_it[chromium-/login]", "test_it[/login]"),
        ("tests/smoke/test_x.py::test_it[/login]", "test_it[/login]"),
    ],
)
def test_an_entry_names_a_check_as_a_person_does(node_id: str, name: str) -> None:
    """There is one browser; nobody writes its name."""
    assert name_of(node_id) == name


def test_long_offenders_stay_apart() -> None:
    """Two that only differ behind the cut are two faults."""
    one, other = listed(["x" * 900 + "1", "x" * 900 + "2"])

    assert one != other
    assert max(len(one), len(other)) < 600


def test_a_budget_that_is_missed_by_one_step_more_is_another_offender() -> None:
    """A known P2 must not hide the P0 that it becomes."""
    over = [Measurement(name="lcp", value=3000, unit="ms", limit=2500)]

    assert in_failure("fast", "got: 3000 ms", over, "P2") != in_failure("fast", "got: 9000 ms", over, "P0")


@pytest.mark.parametrize(
    ("offenders", "used"),
    [("a", ["a"]), ("ab", ["a", "b"]), ("abc", []), ("c", []), ("", [])],
)
def test_every_offender_must_be_covered(offenders: str, used: list[str]) -> None:
    """Two entries may share a check; one more offender is a new fault."""
    faults = [entry("a"), entry("b"), entry("c", days=-1)]

    assert [fault.offenders[0] for fault in covering(faults, list(offenders), DAY)] == used


@pytest.mark.parametrize(
    ("severity", "judges", "days", "says"),
    [
        ("P0", "function", 7, ""),
        ("P0", "function", 8, "7 days at most"),
        ("P1", "function", 90, ""),
        ("P3", "wording", 91, "90 days at most"),
        ("P1", "exposure", 1, "never a known fault"),
        ("P2", "contract", -1, "before it begins"),
    ],
)
def test_an_entry_has_bounds(severity: str, judges: str, days: int, says: str) -> None:
    """A fault that is accepted for ever is a promise that nobody keeps; an exposure is never accepted."""
    problem = problem_of(entry("a", days=days), Severity(severity), Judges(judges))

    assert (says in problem) if says else problem == ""


def test_a_red_check_whose_every_offender_is_known_is_known(suite: Suite, stub: Stub) -> None:
    """Otherwise a standing fault keeps every deployment red for ever."""
    stub.json("GET /a", "{}")
    suite.write(TWO_PROBLEMS.format(severity="P0", judges="function"))
    environment = write(suite.folder, stub.url, ["GET /b 404", "GET /c 404"])

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, environment=environment)

    check = outcome.check("pages_answer")
    assert check.outcome is Outcome.KNOWN, outcome.out
    assert check.attempts[0].offenders == ["GET /b 404", "GET /c 404"]
    assert [(fault.owner, fault.source) for fault in check.known] == [("shop team", "known.toml")]
    assert outcome.code == 0
    assert f"known: P0 pages answer: shop team, until {today() + timedelta(5)}: repaired on Monday" in outcome.out


@pytest.mark.parametrize("words", [{}, {"since": today() - timedelta(5), "expires": today() - timedelta(1)}])
def test_one_more_offender_or_an_expired_entry_is_red(suite: Suite, stub: Stub, words: dict[str, date]) -> None:
    """An entry covers what somebody has looked at, for as long as they said."""
    offenders = ["GET /b 404", "GET /c 404"] if words else ["GET /b 404"]
    stub.json("GET /a", "{}")
    suite.write(TWO_PROBLEMS.format(severity="P0", judges="function"))
    environment = write(suite.folder, stub.url, offenders, **words)

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, environment=environment)

    assert outcome.check("pages_answer").outcome is Outcome.FAILED
    assert outcome.code == pytest.ExitCode.TESTS_FAILED
    expired = f"it was a known fault of shop team until {today() - timedelta(1)}"
    assert (expired in outcome.check("pages_answer").reason) is bool(words)


@pytest.mark.parametrize(
    ("severity", "judges", "words", "says"),
    [
        ("P1", "exposure", {}, "never a known fault"),
        ("P0", "function", {"expires": today() + timedelta(30)}, "7 days at most"),
        ("P0", "function", {"owner": ""}, "`$.owner`"),
        ("P0", "function", {"expires": '"soon"'}, "`$.expires`"),
        ("P0", "function", {"wner": "x"}, "wner"),
    ],
)
def test_a_wrong_entry_is_one_line(
    suite: Suite, severity: str, judges: str, words: dict[str, object], says: str
) -> None:
    """The line names the file and what to do, before anything runs."""
    suite.write(TWO_PROBLEMS.format(severity=severity, judges=judges))
    environment = write(suite.folder, "http://127.0.0.1:9", ["GET /b 404"], **words)

    outcome = suite.run("-m", "postdeploy", "--target", "http://127.0.0.1:9", environment=environment)

    assert outcome.code == EXIT_USAGE
    (line,) = [line for line in outcome.err.splitlines() if "known.toml" in line]
    assert says in line


@pytest.mark.filterwarnings("default::UserWarning")
def test_the_shipped_entries_are_about_checks_that_exist() -> None:
    """A renamed check leaves an entry behind that covers nothing. A week before it expires, the owner is warned."""
    functions = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("[dsjv]*/test_*.py"))

    for fault in known_faults():
        assert f"def {fault.check.partition('[')[0]}(" in functions, fault.check
        if fault.expires - today() < timedelta(7):
            warnings.warn(f"{fault.check}: {fault.owner} accepted it until {fault.expires}", stacklevel=1)
