"""What must be true of the business, whatever the code does."""

from __future__ import annotations

from math import sqrt
from typing import Final

import pytest

from fixtures.budgets import Budgets, Reading
from fixtures.database import Rows
from fixtures.declarations import asks_database

_Z: Final = 1.96


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


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@asks_database(
    """
    SELECT count(*) AS examined,
           count(*) FILTER (WHERE NOT EXISTS (
             SELECT FROM public.payments p
              WHERE p.user_id = e.user_id AND p.course_id = e.course_id
                AND p.status = 'completed')) AS without_payment
      FROM public.course_enrollments e
     WHERE e.plan = 'paid' AND e.enrolled_at < now() - interval '10 minutes'
    """,
    min_rows=1,
    sees=("rows",),
)
def test_whoever_is_enrolled_as_paying_has_paid(rows: Rows) -> None:
    """A course given away: the way past the payment is found by one and used by many."""
    examined, without_payment = rows.one(int, int)

    assert f"{without_payment} of {examined} enrolments" == f"0 of {examined} enrolments"


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@asks_database(
    """
    SELECT count(*) AS examined,
           count(*) FILTER (WHERE amount < 0) AS negative,
           count(*) FILTER (WHERE stripe_session_id IS NULL AND status = 'completed') AS untraceable,
           count(*) - count(DISTINCT stripe_session_id) FILTER (WHERE stripe_session_id IS NOT NULL)
             - count(*) FILTER (WHERE stripe_session_id IS NULL) AS booked_twice
      FROM public.payments
    """,
    min_rows=1,
    sees=("rows",),
)
def test_payments_are_possible(rows: Rows) -> None:
    """Money that cannot be: a negative amount, one checkout booked twice, a payment that Stripe does not know."""
    _, negative, untraceable, twice = rows.one(int, int, int, int)

    assert {"negative": negative, "without a session": untraceable, "booked twice": twice} == {
        "negative": 0,
        "without a session": 0,
        "booked twice": 0,
    }


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="support-procedures", rollback_eligible=False)
@asks_database(
    """
    SELECT count(*) AS examined,
           count(*) FILTER (WHERE u.id IS NULL) AS without_user,
           count(*) FILTER (WHERE c.id IS NULL) AS without_course
      FROM (SELECT user_id, course_id FROM public.course_enrollments
             UNION ALL SELECT user_id, course_id FROM public.payments
             UNION ALL SELECT user_id, course_id FROM public.course_reviews) AS owned
      LEFT JOIN public.users u ON u.id = owned.user_id
      LEFT JOIN public.courses c ON c.id = owned.course_id
    """,
    min_rows=1,
    sees=("rows",),
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
@asks_database(
    """
    SELECT count(*) AS examined,
           coalesce(max(extract(epoch FROM now() - created_at) / 3600) FILTER (WHERE status = 'pending'), 0) AS oldest
      FROM public.payments
    """,
    min_rows=1,
    sees=("rows",),
)
def test_no_payment_stays_pending(rows: Rows, budgets: Budgets) -> None:
    """Stripe's sessions end after a day: what is still pending then is a webhook that never came."""
    _, oldest = rows.one(int, float)

    assert oldest <= budgets.payment_pending


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", runbook="payment-system-down", rollback_eligible=False, needs=("payments",))
@asks_database(
    """
    SELECT count(*) AS examined, count(*) FILTER (WHERE status = 'failed') AS failed
      FROM (SELECT status FROM public.payments
             WHERE status IN ('completed', 'failed') ORDER BY created_at DESC LIMIT 100) AS latest
    """,
    min_rows=20,
    sees=("rows",),
)
def test_payments_succeed(rows: Rows, budgets: Budgets) -> None:
    """
    The runbook wants 95 % to succeed.

    What is held against it is the share that surely fails (Wilson's lower bound, 95 %): three declined cards in a row
    are no outage.
    """
    total, failed = rows.one(int, int)
    spread = _Z * sqrt(failed * (total - failed) / total + _Z**2 / 4)
    surely = 100 * (failed + _Z**2 / 2 - spread) / (total + _Z**2)

    assert Reading(surely, samples=total) <= budgets.payments_failing
