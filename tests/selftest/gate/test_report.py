"""The report as a tired engineer reads it, without a secret and without foreign markup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci.causes import Attribution
from ci.red_checks import blocks, clearest, red_checks
from ci.report import Report, RollbackReport, cut, unjudged
from fixtures.model import redaction
from fixtures.model.verdict import Cause, Measurement, Outcome
from tests.selftest.gate.verdicts import HEALTH, PAGES, a_check, a_verdict

MIB = 1024 * 1024


def a_report() -> Report:
    """Return the report of a rollback that healed."""
    slow = a_check(PAGES, "P1", Outcome.FAILED)
    slow.measurements = [
        Measurement(name="LCP", value=2.98, unit="s", limit=2.5, samples=3),
        Measurement(name="FCP", value=1.1, unit="s", limit=1.8, samples=3),
    ]
    down = a_check(outcome=Outcome.FAILED)
    down.reason = (
        "expected: health answers: status 200 (OK)\n"
        "got: GET /api/health -> 503 in 4 ms | password=canary-9876\nsecond line"
    )
    down.evidence = ["evidence/health.txt"]
    causes = {HEALTH: Attribution(Cause.DEPLOYMENT, "red 5/5 on dpl_b, 0/5 on dpl_a (p=0.004)")}
    return Report(
        run_id="run-1",
        stage="postdeploy",
        target="sandbox",
        url="http://127.0.0.1",
        mode="act",
        decision="rollback",
        exit_code=1,
        meaning="this deployment was rejected",
        reasons=["P0 health: failed, cause deployment"],
        deployment_id="dpl_b",
        control_id="dpl_a",
        red=red_checks(a_verdict(slow, down), causes),
        rollback=RollbackReport(
            from_id="dpl_b", to_id="dpl_a", step="healed", detail="green", proofs=["the alias job succeeded"]
        ),
        notes=["the last-good ledger has no other deployment yet"],
        seconds={"request": 3.2, "healed": 7.04},
    )


def test_the_last_lines_of_the_terminal() -> None:
    """Red checks come first, the worst first, with expectation, cause and first step; the decision comes last."""
    assert a_report().lines() == [
        "===== 7P Verify gate =====",
        "P0 health",
        "    expected: health answers: status 200 (OK)",
        f"    got: GET /api/health -> 503 in 4 ms | password={redaction.SHOWN}",
        "    answer: second line",
        "    cause: deployment: red 5/5 on dpl_b, 0/5 on dpl_a (p=0.004)",
        "    first: Look at the deployment",
        "    see: evidence/health.txt",
        "P1 pages",
        "    got: LCP 2.98 s, limit 2.5 s (3 samples)",
        "    cause: unknown: the gate did not look for a cause",
        "    first: Look at the deployment",
        "note: the last-good ledger has no other deployment yet",
        "times: request 3.2 s, healed 7.0 s",
        "done: rolled back dpl_b -> dpl_a, proved by alias job, alias and fresh request; healed 7.0 s after the start",
        "decision: ROLLBACK (exit 1: this deployment was rejected); postdeploy on sandbox, mode act",
    ]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "would",
            "nothing was changed; would roll back dpl_b -> dpl_a (mode shadow); by hand: `vercel rollback dpl_a --yes`",
        ),
        ("refused", "no rollback dpl_b -> dpl_a: mode shadow"),
        ("unproved", "rollback dpl_b -> dpl_a is unproved: mode shadow. Look at production now"),
        ("not-healed", "rollback dpl_b -> dpl_a is not-healed: mode shadow. Look at production now"),
    ],
)
def test_what_was_done(step: str, said: str) -> None:
    """Never more than was proved."""
    report = a_report()
    report.rollback = RollbackReport(from_id="dpl_b", to_id="dpl_a", step=step, detail="mode shadow")

    assert report.deed() == said


def test_what_was_only_decided_is_not_told_as_done() -> None:
    """In shadow production is still broken: the first line must not say that it healed."""
    report = a_report()
    report.rollback = RollbackReport(from_id="dpl_b", to_id="dpl_a", step="would", detail="mode shadow")

    assert report.lines()[-1] == (
        "decision: WOULD ROLL BACK (exit 1: this deployment is to blame, and production STILL serves it); "
        "postdeploy on sandbox, mode act"
    )


def test_the_body_says_what_a_status_does_not() -> None:
    """The body of a refusal often names the cause."""
    broken = a_check(outcome=Outcome.FAILED)
    broken.reason = 'AssertionError: GET /api/courses -> 500 in 6 ms\nexpected object\n{"error": "x is no function"}'
    (red,) = red_checks(a_verdict(broken), {})

    assert red.measured == "GET /api/courses -> 500 in 6 ms"
    assert red.answer == ["expected object", '{"error": "x is no function"}']


def test_a_block_shows_the_check_whose_cause_is_known() -> None:
    """Only three checks of a kind are diagnosed: an undiagnosed one would hide the cause of the others."""
    unknown, known = (a_check(f"t::test_{name}", outcome=Outcome.FAILED) for name in ("a", "b"))
    for check in (unknown, known):
        check.reason = "AssertionError: GET /api/courses -> 500 in 6 ms"

    (block,) = blocks(red_checks(a_verdict(unknown, known), {known.node_id: Attribution(Cause.EXISTING, "both fail")}))

    assert clearest(block).cause == Cause.EXISTING


def test_a_fault_of_a_third_party_leads_to_its_status_page() -> None:
    """More connections do not repair a database that its provider has lost."""
    down = a_check(outcome=Outcome.FAILED)
    causes = {HEALTH: Attribution(Cause.THIRD_PARTY, "supabase's own status page reports major")}

    (red,) = red_checks(a_verdict(down), causes)

    assert red.first_action.startswith("Follow the vendor's status page")


def test_a_target_that_says_nothing_is_one_line() -> None:
    """Fifteen checks that got no answer are one fact, and details of a few are enough."""
    report = a_report()
    silent = [a_check(f"t::test_{number}", outcome=Outcome.FAILED) for number in range(12)]
    for check in silent[:6]:
        check.reason = "AssertionError: GET http://127.0.0.1:9/ -> no answer: refused in 1 ms"
    for check in silent[6:]:
        check.reason = "http://127.0.0.1:9/x: no connection; is the runner's network up?"
        check.asked = ["GET http://127.0.0.1:9/x -> no answer: refused in 1 ms"]
    report.red = red_checks(a_verdict(*silent), {})

    lines = report.lines()

    assert lines[1].startswith("P0 0, and 11 more: 1, 10, 11")
    assert report.red[0].first_action.startswith("`curl -sv http://127.0.0.1` from here and from another network")
    assert len([line for line in lines if line.startswith("    got:")]) == 1


def test_the_same_reason_is_told_once() -> None:
    """Twenty-two checks that wait for the same rate limit are one line."""
    why = "not-measured, cause self-inflicted (no sign-ins are left until 14:11:38 UTC)"
    hold = Report(run_id="1", stage="daily", target="t", url="u", mode="act", reasons=[])
    hold.reasons = [*(f"P1 t::test_{number}: {why}" for number in range(22)), "P0 t::test_x: not-measured"]

    assert [line for line in hold.lines() if line.startswith("because:")] == [
        f"because: P1 t::test_0 and 21 more: {why}",
        "because: P0 t::test_x: not-measured",
    ]


def test_a_green_run_says_why() -> None:
    """It also says that nothing was changed."""
    green = Report(
        run_id="1", stage="daily", target="t", url="u", mode="act", decision="keep", exit_code=0, reasons=["all green"]
    )

    assert green.lines()[1:] == [
        "because: all green",
        "done: nothing was changed",
        "decision: KEEP (exit 0: ); daily on t, mode act",
    ]


def test_what_a_check_without_numbers_says() -> None:
    """The report shows the first line of its reason; without a reason the check is still red."""
    silent = a_check(outcome=Outcome.FAILED)

    (red,) = red_checks(a_verdict(silent), {})

    assert red.measured == "red"


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a machine, for a person and for GitHub, without the secret."""
    github = tmp_path / "github.md"
    github.write_text("# earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(github))
    redaction.register(["canary-note"])
    report = a_report()
    report.notes.append("the token is canary-note")

    report.write(tmp_path / "reports")

    decision = json.loads((tmp_path / "reports" / "decision.json").read_text())
    summary = (tmp_path / "reports" / "summary.md").read_text()
    assert (decision["schema"], decision["decision"], decision["exit_code"]) == ("7p-verify/decision/1", "rollback", 1)
    assert github.read_text() == "# earlier step\n" + summary
    assert "### P0 health" in summary
    assert "- got: GET /api/health -> 503 in 4 ms \\| password=" in summary
    assert "canary" not in json.dumps(decision) + summary


def test_github_drops_a_summary_above_one_mebibyte() -> None:
    """So the summary is cut below that size, between two characters, with a note at its end."""
    short, long = "kısa".encode(), ("ş" * MIB).encode()

    assert cut(short) == short
    assert len(cut(long)) < MIB
    assert cut(long).decode().endswith("(cut: see decision.json)\n")


def test_what_nobody_looked_at_is_a_note() -> None:
    """A release whose difference was not judged has not been found harmless."""
    without = a_check(PAGES, "P1", Outcome.NOT_APPLICABLE)
    without.reason, without.lacks = "the target lacks: before-snapshot", ["before-snapshot"]
    other = a_check(HEALTH, "P1", Outcome.NOT_APPLICABLE)
    other.reason, other.lacks = "the target lacks: payments", ["payments"]
    no_database = a_check(HEALTH, "P1", Outcome.NOT_APPLICABLE)
    no_database.reason, no_database.lacks = (
        "the target lacks: before-snapshot, database",
        ["before-snapshot", "database"],
    )

    assert len(unjudged(a_verdict(without, without))) == 1
    assert unjudged(a_verdict(other)) == []
    assert unjudged(a_verdict(no_database)) == []


def test_what_the_shop_does_not_have_is_a_note() -> None:
    """Nobody must believe that enrolment works because nothing is red."""
    priced = a_check(PAGES, "P1", Outcome.NOT_APPLICABLE)
    priced.reason = "free enrolment was not tried: none is free"
    mild = a_check(HEALTH, "P2", Outcome.NOT_APPLICABLE)
    mild.reason = "the catalogue is empty"

    assert unjudged(a_verdict(priced, mild)) == ["not judged: pages: free enrolment was not tried: none is free"]


def test_a_drawn_page_is_linked(tmp_path: Path) -> None:
    """A reader of the summary finds the picture beside it."""
    report = a_report()
    report.pages = ["database-difference.html"]
    report.write(tmp_path)

    assert "- [database-difference.html](database-difference.html)" in (tmp_path / "summary.md").read_text()
    assert "page: database-difference.html" in report.lines()


def test_reds_with_one_root_are_one_block() -> None:
    """Ten checks that one broken function has turned red are one fact, with the cause of the one that was paired."""
    report = a_report()
    broken = [a_check(f"t::test_{number}", "P1", Outcome.FAILED) for number in range(10)]
    for number, check in enumerate(broken):
        check.reason = f"expected: page {number}\ngot: GET /{number} -> 500 x-vercel-error CRASH in {number} ms, dpl_b"
    report.red = red_checks(a_verdict(*broken), {"t::test_7": Attribution(Cause.DEPLOYMENT, "red 5/5")})
    lines = report.lines()

    assert [line for line in lines if line.startswith("P1")] == ["P1 0, and 9 more: 1, 2, 3, 4, 5, 6, 7, 8, 9"]
    assert "    cause: deployment: red 5/5" in lines
    assert "\n".join(report.markdown()).count("- also: ") == 9


def test_it_fits_a_terminal_and_ends_with_the_decision() -> None:
    """Forty lines, whatever a target, a check or a vendor says."""
    report = a_report()
    red = [a_check(f"t::test_{number}", outcome=Outcome.FAILED) for number in range(30)]
    for number, check in enumerate(red):
        check.reason = f"expected: x\ngot: GET /x -> {500 + number} in 1 ms\n" + "body\n" * 50
        check.evidence = [f"evidence/{name}" for name in range(9)]
    report.red = red_checks(a_verdict(*red), {})
    report.notes = [f"note {number}\nof two lines" for number in range(40)]
    lines = report.lines()

    assert len(lines) <= 40
    assert not any("\n" in line for line in lines)
    assert lines[-1].startswith("decision: ROLLBACK (exit 1")


def test_foreign_text_is_harmless_where_it_is_printed() -> None:
    """A title, a header or a body may hold anything; the file for machines keeps it."""
    report = a_report()
    evil = a_check(outcome=Outcome.FAILED)
    evil.reason = "got: \x1b[2J::error::x <img src=x> [a](http://b) | \u202e"
    report.red = red_checks(a_verdict(evil), {})
    report.notes = ["x\n::set-output name=a::b"]
    printed, shown = "\n".join(report.lines()), "\n".join(report.markdown())

    assert not {"\x1b", "\u202e"} & set(printed + shown)
    assert not any(line.startswith("::") for line in printed.splitlines())
    assert "<img" not in shown.replace("\\<", "")
    assert "[a](" not in shown.replace("\\]", "")
