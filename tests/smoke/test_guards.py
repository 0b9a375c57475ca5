"""The guards themselves: each answers every caller, without a crash and with the promised status."""

from __future__ import annotations

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks
from fixtures.inspection.guards import REFUSED
from fixtures.site.accounts import EXPIRED

from .conftest import crashed
from .test_access import (
    ABOVE_STUDENTS,
    BODY_FIRST,
    CLAIMED,
    FORGED,
    OF_NOBODY,
    PAGES,
    READS,
    READS_IN_USE,
    WRITES,
    WRITES_IN_USE,
)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks(*READS, *PAGES)
@asks(*WRITES, json={})
@asks(*BODY_FIRST, json=OF_NOBODY)
def test_no_guard_crashes_for_visitors(answers: list[Answer]) -> None:
    """A guard that crashes lets nobody in: the page or route is down for those who may have it, too."""
    assert [answer for answer in answers if crashed(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues")
@asks("GET /api/auth/session", *READS_IN_USE, *PAGES, headers=FORGED["garbage"])
@asks("GET /api/auth/session", *READS_IN_USE, *PAGES, account=EXPIRED)
@asks("GET /api/auth/session", "GET /api/enrollments", "GET /api/admin/courses", headers=FORGED["unsigned"])
@asks("GET /api/auth/session", "GET /api/enrollments", "GET /api/admin/courses", headers=FORGED["outdated"])
@asks(*WRITES_IN_USE, json={}, headers=FORGED["garbage"])
@asks(*BODY_FIRST, json=OF_NOBODY, headers=FORGED["garbage"])
@asks(*READS_IN_USE, *PAGES, headers=CLAIMED)
def test_no_guard_crashes_at_a_wrong_session(answers: list[Answer]) -> None:
    """A visitor whose old cookie no longer counts meets an error page at every click, and cannot sign in again."""
    assert [answer for answer in answers if crashed(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(*ABOVE_STUDENTS, account="student")
@asks(*ABOVE_STUDENTS, account="student", headers=CLAIMED)
def test_no_guard_crashes_for_students(answers: list[Answer]) -> None:
    """A guard that fails to read a role fails for administrators as well: nobody can manage a course."""
    assert [answer for answer in answers if crashed(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="incident-security")
@asks(*READS)
@asks(*WRITES, json={})
@asks(*BODY_FIRST, json=OF_NOBODY)
def test_guarded_routes_refuse_with_the_promised_status(answers: list[Answer]) -> None:
    """A client shows the sign-in form at 401; any other refusal looks like an error, and an empty 200 like no data."""
    answered = [answer for answer in answers if not crashed(answer)]
    assert [answer for answer in answered if answer.code not in REFUSED] == []
