"""
Checks of what must always be true of the business.

The monitoring role may read no row of a customer. It calls counters, whose SQL is in ci/sql/monitor_role.sql; each says
how many rows it examined.
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


def _found(examined: int, counts: dict[str, int]) -> list[str]:
    return [f"{count} of {examined} {what}" for what, count in counts.items() if count]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="function", runbook="payment-system-down")
@depends_on("table payment_transactions", "table enrollments")
@asks_database("SELECT examined, without_enrolment FROM synthetic.completed_payments()", min_rows=1, sees=("counters",))
def test_everyone_who_paid_is_enrolled(rows: Rows) -> None:
    """A customer paid more than ten minutes ago and cannot open the course: a refund and a support case each."""
    examined, without_enrolment = rows.one(int, int)

    assert _found(examined, {"completed payments have no enrolment": without_enrolment}) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="support-procedures")
@depends_on("table enrollments")
@asks_database(
    """
    SELECT examined, impossible_progress, enrolled_twice, impossible_lessons FROM synthetic.enrolments()
    """,
    min_rows=1,
    sees=("counters",),
)
def test_enrolments_are_possible(rows: Rows) -> None:
    """A student who is enrolled twice, or has 140 % progress, sees a wrong certificate or an error."""
    examined, impossible, twice, lessons = rows.one(int, int, int, int)

    counts = {
        "enrolments have a progress outside 0 to 100": impossible,
        "enrolments exist twice": twice,
        "students have lessons with a progress outside 0 to 100": lessons,
    }
    assert _found(examined, counts) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="payment-system-down")
@depends_on("table payment_transactions", "table enrollments")
@asks_database("SELECT examined, without_payment FROM synthetic.paid_enrolments()", min_rows=1, sees=("counters",))
def test_everyone_who_is_enrolled_as_paying_has_paid(rows: Rows) -> None:
    """A course without a payment: one user finds the way around the payment, and many follow."""
    examined, without_payment = rows.one(int, int)

    assert _found(examined, {"enrolments have no payment": without_payment}) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="function", runbook="payment-system-down")
@depends_on("table payment_transactions")
@asks_database(
    "SELECT examined, negative, untraceable, booked_twice, of_unknown_status FROM synthetic.payments()",
    min_rows=1,
    sees=("counters",),
)
def test_payments_are_possible(rows: Rows) -> None:
    """Negative amounts, a checkout booked twice or a payment without a Stripe session mean that money is wrong."""
    examined, negative, untraceable, twice, unknown = rows.one(int, int, int, int, int)

    counts = {
        "payments have no amount or a negative one": negative,
        "completed payments have no Stripe session": untraceable,
        "payments use the session of another": twice,
        "payments have an unknown status": unknown,
    }
    assert _found(examined, counts) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="support-procedures")
@depends_on(*(f"table {name}" for name in ("enrollments", "payment_transactions", "course_reviews", "lesson_progress")))
@depends_on("table users", "table courses")
@asks_database(
    """
    SELECT examined, without_user, without_course, without_part FROM synthetic.owned_rows()
    """,
    min_rows=1,
    sees=("counters",),
)
def test_every_row_belongs_to_someone_and_to_a_course(rows: Rows) -> None:
    """Pages that list a row fail when its user or course is gone, and refunds find no payment."""
    examined, without_user, without_course, without_part = rows.one(int, int, int, int)

    counts = {
        "rows belong to a user who is gone": without_user,
        "rows belong to a course that is gone": without_course,
        "lessons, or progress in them, belong to nothing": without_part,
    }
    assert _found(examined, counts) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="authentication-issues")
@asks_database(
    """
    SELECT account.name, count(indexrelid) FILTER (WHERE indisunique AND indisvalid AND indpred IS NULL
             AND pg_get_indexdef(indexrelid) ~ '\\memail\\M') AS guarding
      FROM unnest(ARRAY['users', 'user_profiles']) AS account(name)
      JOIN pg_class ON pg_class.oid = to_regclass('public.' || account.name)
      LEFT JOIN pg_index ON indrelid = pg_class.oid
     GROUP BY account.name
    """,
    min_rows=1,
)
def test_an_address_belongs_to_one_account(rows: Rows) -> None:
    """With two accounts for one address, sign-in opens one of them and the courses are in the other."""
    # The check reads no address: a valid unique index excludes duplicates.
    assert [table for table, guarding in rows if not guarding] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="payment-system-down")
@depends_on("table payment_transactions")
@asks_database("SELECT examined, oldest_hours FROM synthetic.pending_payments()", min_rows=1, sees=("counters",))
def test_no_payment_stays_pending(rows: Rows, budgets: Budgets) -> None:
    """Stripe's sessions end after a day; a payment that is still pending then missed its webhook."""
    _, oldest = rows.one(int, float)

    assert oldest <= budgets.payment_pending


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="function", runbook="payment-system-down")
@depends_on("table payment_transactions")
@asks_database("SELECT examined, failed FROM synthetic.latest_payments()", min_rows=1, sees=("counters",))
def test_payments_succeed(rows: Rows, budgets: Budgets, evidence: Evidence) -> None:
    """
    The runbook wants 95 % of payments to succeed.

    The check judges the share that certainly fails (Wilson's lower bound, 95 %), so that three declined cards in a row
    are no outage. With too few payments it passes and the report says so.
    """
    total, failed = rows.one(int, int)
    needed = budgets.payments_failing.terms.samples
    if total < needed:
        evidence.reason(f"not judged: {failed} of {total} payments in ninety days failed, {needed} payments are needed")
        return
    spread = _Z * sqrt(failed * (total - failed) / total + _Z**2 / 4)
    surely = 100 * (failed + _Z**2 / 2 - spread) / (total + _Z**2)

    assert Reading(surely, samples=total) <= budgets.payments_failing
