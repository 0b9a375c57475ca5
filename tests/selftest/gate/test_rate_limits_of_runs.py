"""Runs one after another on one platform, as after a second deployment within a quarter of an hour."""

from __future__ import annotations

import re
from pathlib import Path

from fixtures.model.verdict import Cause, Outcome
from tests.selftest.gate.running_gate import Ran, RunningPlatform, run_platform

BOTH_STUDENTS = "test_session_says or test_sign_in_reaches or test_nobody_reaches or test_a_wrong_password"


def verify(platform: RunningPlatform) -> Ran:
    """Run the checks that need both students' sessions."""
    return platform.verify("--", "-k", BOTH_STUDENTS)


def test_two_runs_fit_in_a_quarter_of_an_hour_and_the_third_says_until_when(tmp_path: Path) -> None:
    """A run uses two of five sign-ins of the second student; the third one holds before the platform refuses."""
    with run_platform(tmp_path) as platform:
        first, second = verify(platform), verify(platform)

        # Each is narrowed to what takes a session, and holds for that.
        assert [set(ran.outcomes.values()) for ran in (first, second)] == [{Outcome.PASSED}] * 2, first.out + second.out
        assert [first.verdict.sign_ins, second.verdict.sign_ins] == [3, 3]
        assert second.verdict.spent_last_hour["sign-ins"] == 6
        assert second.verdict.left["sign-ins"] == 1

        third = verify(platform)
        refused = [check for check in third.verdict.checks if check.outcome is not Outcome.PASSED]

        assert third.decided == ("hold", 3), third.out
        assert {check.outcome for check in refused} == {Outcome.NOT_MEASURED}, third.out
        assert {attempt.blocker for check in refused for attempt in check.attempts} == {Cause.SELF_INFLICTED}
        assert re.search(r"no sign-ins are left until 20..-..-.. ..:..:.. UTC", third.out)
        assert platform.state["sign_ins"] == 8
