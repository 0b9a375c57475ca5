"""
What must be true of the business, whatever the code does.

Customers' rows stay where they are: the monitoring role may not read one, and asks counters, whose SQL is in
ci/sql/monitor_role.sql. Each says how many rows it examined.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import pytest

from fixtures.checks.budgets import Budgets, Reading
from fixtures.checks.declarations import asks_database, depends_on
from fixtures.checks.evidence import Evidence
from fixtures.database.rows import Rows

_Z: Final = 1.96


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@depends_on("table payments", "table course_enrollments")
@asks_database("SELECT examined, without_enrolment FROM synthetic.completed_payments()", min_rows=1, sees=("counters",))
def test_whoever_paid_is_enrolled(rows: Rows) -> None:
    """Someone paid ten minutes ago and got nothing: a refund, a support case and a lost customer each."""
    examined, without_enrolment = rows.one(int, int)

    assert f"{without_enrolment} of {examined} payments" == f"0 of {examined} payments"


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="support-procedures", rollback_eligible=False)
@depends_on("table course_enrollments")
@asks_database(
    "SELECT examined, impossible_progress, enrolled_twice FROM synthetic.enrolments()", min_rows=1, sees=("counters",)
)
def test_enrolments_are_possible(rows: Rows) -> None:
    """A student enrolled twice, or 140 % through a course, sees a certificate or an error that nobody can explain."""
    _, impossible, twice = rows.one(int, int, int)

    assert {"impossible progress": impossible, "enrolled twice": twice} == {
        "impossible progress": 0,
        "enrolled twice": 0,
    }


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@depends_on("table payments", "table course_enrollments")
@asks_database("SELECT examined, without_payment FROM synthetic.paid_enrolments()", min_rows=1, sees=("counters",))
def test_whoever_is_enrolled_as_paying_has_paid(rows: Rows) -> None:
    """A course given away: the way past the payment is found by one and used by many."""
    examined, without_payment = rows.one(int, int)

    assert f"{without_payment} of {examined} enrolments" == f"0 of {examined} enrolments"


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@depends_on("table payments")
@asks_database(
    "SELECT examined, negative, untraceable, booked_twice, of_unknown_status FROM synthetic.payments()",
    min_rows=1,
    sees=("counters",),
)
def test_payments_are_possible(rows: Rows) -> None:
    """Money that cannot be: a negative amount, one checkout booked twice, a payment that Stripe does not know."""
    _, negative, untraceable, twice, unknown = rows.one(int, int, int, int, int)

    assert {"negative": negative, "without a session": untraceable, "booked twice": twice, "status": unknown} == {
        "negative": 0,
        "without a session": 0,
        "booked twice": 0,
        "status": 0,
    }


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="support-procedures", rollback_eligible=False)
@depends_on(*(f"table {name}" for name in ("course_enrollments", "payments", "course_reviews", "lesson_progress")))
@depends_on("table users", "table courses")
@asks_database(
    "SELECT examined, without_user, without_course FROM synthetic.owned_rows()", min_rows=1, sees=("counters",)
)
def test_every_row_belongs_to_someone_and_to_a_course(rows: Rows) -> None:
    """Rows whose user or course is gone break the pages that list them, and refunds cannot be matched."""
    _, without_user, without_course = rows.one(int, int, int)

    assert {"without user": without_user, "without course": without_course} == {"without user": 0, "without course": 0}


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="authentication-issues", rollback_eligible=False)
@asks_database(
    """
    SELECT count(*) AS examined,
           count(*) FILTER (WHERE indisunique AND indisvalid AND indpred IS NULL
             AND pg_get_indexdef(indexrelid) ~ '\\memail\\M') AS guarding
      FROM pg_index
     WHERE indrelid = to_regclass('public.users')
    """,
    min_rows=1,
)
def test_an_address_belongs_to_one_account(rows: Rows) -> None:
    """Two accounts with one address: sign-in opens one of them, and the courses are in the other."""
    _, guarding = rows.one(int, int)

    # No address is read: a unique index that is valid leaves no duplicates.
    assert guarding >= 1


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@depends_on("table payments")
@asks_database("SELECT examined, oldest_hours FROM synthetic.pending_payments()", min_rows=1, sees=("counters",))
def test_no_payment_stays_pending(rows: Rows, budgets: Budgets) -> None:
    """Stripe's sessions end after a day: what is still pending then is a webhook that never came."""
    _, oldest = rows.one(int, float)

    assert oldest <= budgets.payment_pending


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@depends_on("table payments")
@asks_database("SELECT examined, failed FROM synthetic.latest_payments()", min_rows=1, sees=("counters",))
def test_payments_succeed(rows: Rows, budgets: Budgets, evidence: Evidence) -> None:
    """
    The runbook wants 95 % to succeed.

    What is held against it is the share that surely fails (Wilson's lower bound, 95 %): three declined cards in a row
    are no outage, and too few payments to tell are no reason to stop every release; the report says so.
    """
    total, failed = rows.one(int, int)
    needed = budgets.payments_failing.terms.samples
    if total < needed:
        evidence.reason(f"cannot tell: {failed} of {total} payments in ninety days failed, {needed} are needed")
        return
    spread = _Z * sqrt(failed * (total - failed) / total + _Z**2 / 4)
    surely = 100 * (failed + _Z**2 / 2 - spread) / (total + _Z**2)

    assert Reading(surely, samples=total) <= budgets.payments_failing
