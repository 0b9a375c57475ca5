"""What must be true of the business, whatever the code does."""

from __future__ import annotations

import pytest

from fixtures.database import Rows
from fixtures.declarations import asks_database


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@asks_database(
    """
    SELECT count(*) AS examined,
           count(*) FILTER (WHERE p.created_at < now() - interval '10 minutes' AND NOT EXISTS (
             SELECT FROM public.course_enrollments e
              WHERE e.user_id = p.user_id AND e.course_id = p.course_id)) AS without_enrolment
      FROM public.payments p
     WHERE p.status = 'completed'
    """,
    min_rows=1,
    sees=("rows",),
)
def test_whoever_paid_is_enrolled(rows: Rows) -> None:
    """Someone paid and got nothing: a refund, a support case and a lost customer each."""
    examined, without_enrolment = rows.one(int, int)

    assert f"{without_enrolment} of {examined} payments" == f"0 of {examined} payments"


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="support-procedures", rollback_eligible=False)
@asks_database(
    """
    SELECT count(*) AS examined,
           count(*) FILTER (WHERE progress < 0 OR progress > 100) AS impossible,
           count(*) FILTER (WHERE copies > 1) AS twice
      FROM (SELECT progress, count(*) OVER (PARTITION BY user_id, course_id) AS copies
              FROM public.course_enrollments) AS enrolments
    """,
    min_rows=1,
    sees=("rows",),
)
def test_enrolments_are_possible(rows: Rows) -> None:
    """A student enrolled twice, or 140 % through a course, sees a certificate or an error that nobody can explain."""
    _, impossible, twice = rows.one(int, int, int)

    assert {"impossible progress": impossible, "enrolled twice": twice} == {
        "impossible progress": 0,
        "enrolled twice": 0,
    }
