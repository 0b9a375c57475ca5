"""The counters of ci/sql/monitor_role.sql count wrong rows and no right ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, LiteralString

import psycopg
import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.evidence import current
from fixtures.database.rows import Rows
from fixtures.model.verdict import Severity
from fixtures.sandbox.database.postgres import Postgres
from tests.database import test_invariants

KINDS: dict[str, LiteralString] = {"payment_transactions": "status = 'completed'", "enrollments": "plan = 'paid'"}
OLD: LiteralString = "now() - interval '11 minutes'"
YOUNG: LiteralString = "now() - interval '9 minutes'"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend one server to all tests here; each undoes what it writes."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


def change(table: LiteralString, what: LiteralString) -> LiteralString:
    """Return a statement that changes one row: the first completed payment, or the first paid enrolment."""
    kind = KINDS.get(table, "true")
    return (
        f"UPDATE public.{table} SET {what} WHERE id = (SELECT id FROM public.{table} WHERE {kind} ORDER BY id LIMIT 1)"  # noqa: S608  (of literals)
    )


def counted(postgres: Postgres, counter: LiteralString, *statements: LiteralString) -> tuple[Any, ...]:
    """Return a counter's row after these statements, which are rolled back; foreign keys are off meanwhile."""
    with psycopg.connect(postgres.superuser_dsn) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)
        (row,) = connection.execute(counter).fetchall()
        connection.rollback()
    return row


@pytest.mark.parametrize(("age", "found"), [(OLD, 1), (YOUNG, 0)])
def test_whoever_paid_has_ten_minutes_to_be_enrolled(postgres: Postgres, age: LiteralString, found: int) -> None:
    """The webhook that enrols comes after the payment."""
    row = counted(
        postgres,
        "SELECT without_enrolment FROM synthetic.completed_payments()",
        change("payment_transactions", f"user_id = gen_random_uuid(), created_at = {age}"),
    )

    assert row == (found,)


@pytest.mark.parametrize(
    ("plan", "age", "found"), [("paid", OLD, 1), ("paid", YOUNG, 0), ("free", OLD, 0), ("trial", OLD, 1)]
)
def test_only_a_code_or_a_payment_enrols(
    postgres: Postgres, plan: LiteralString, age: LiteralString, found: int
) -> None:
    """A plan with an unknown name needs a payment."""
    row = counted(
        postgres,
        "SELECT without_payment FROM synthetic.paid_enrolments()",
        "ALTER TABLE public.enrollments DROP CONSTRAINT enrollments_plan_check",
        change("enrollments", f"user_id = gen_random_uuid(), enrolled_at = {age}, plan = '{plan}'"),
    )

    assert row == (found,)


def test_a_cancelled_enrolment_needs_no_payment(postgres: Postgres) -> None:
    """A refund cancels it, and so does this suite with its own: the next run was an incident ten minutes later."""
    row = counted(
        postgres,
        "SELECT without_payment FROM synthetic.paid_enrolments()",
        change("enrollments", f"user_id = gen_random_uuid(), enrolled_at = {OLD}, cancelled_at = now()"),
    )

    assert row == (0,)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("progress_percentage = 101", (1, 0)),
        ("progress_percentage = -1", (1, 0)),
        ("progress_percentage = NULL", (1, 0)),
        ("progress_percentage = 100", (0, 0)),
        ("(user_id, course_id) = (SELECT user_id, course_id FROM public.enrollments OFFSET 9 LIMIT 1)", (0, 2)),
    ],
)
def test_impossible_enrolments(postgres: Postgres, what: LiteralString, told: tuple[int, ...]) -> None:
    """Progress must be between 0 and 100, and a student is in a course once."""
    row = counted(
        postgres,
        "SELECT impossible_progress, enrolled_twice FROM synthetic.enrolments()",
        "ALTER TABLE public.enrollments DROP CONSTRAINT enrollments_progress_percentage_check,"
        " ALTER progress_percentage DROP NOT NULL, DROP CONSTRAINT enrollments_user_id_course_id_key",
        change("enrollments", what),
    )

    assert row == told


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("amount = -1", (1, 0, 0, 0)),
        ("amount = NULL", (1, 0, 0, 0)),
        ("amount = 0", (0, 0, 0, 0)),
        ("stripe_session_id = NULL", (0, 1, 0, 0)),
        ("stripe_session_id = NULL, status = 'failed'", (0, 0, 0, 0)),
        ("stripe_session_id = (SELECT max(stripe_session_id) FROM public.payment_transactions)", (0, 0, 1, 0)),
        ("status = 'lost'", (0, 0, 0, 1)),
    ],
)
def test_impossible_payments(postgres: Postgres, what: LiteralString, told: tuple[int, ...]) -> None:
    """Negative amounts, payments without a session, sessions twice and unknown states are counted."""
    row = counted(
        postgres,
        "SELECT negative, untraceable, booked_twice, of_unknown_status FROM synthetic.payments()",
        "ALTER TABLE public.payment_transactions DROP CONSTRAINT payment_transactions_amount_check,"
        " DROP CONSTRAINT payment_transactions_status_check,"
        " DROP CONSTRAINT payment_transactions_stripe_session_id_key, ALTER amount DROP NOT NULL,"
        " ALTER stripe_session_id DROP NOT NULL",
        change("payment_transactions", what),
    )

    assert row == told


@pytest.mark.parametrize("table", ["enrollments", "payment_transactions", "course_reviews", "lesson_progress"])
def test_rows_of_a_user_who_is_gone(postgres: Postgres, table: LiteralString) -> None:
    """Each table with rows of users is counted."""
    row = counted(
        postgres,
        "SELECT without_user, without_course FROM synthetic.owned_rows()",
        change(table, "user_id = gen_random_uuid()"),
    )

    assert row == (1, 0)


def test_what_was_paid_back_had_been_paid_and_what_is_old_no_longer_counts(postgres: Postgres) -> None:
    """Failures of three months ago are no reason for an alarm today."""
    failed, before = (
        counted(postgres, "SELECT failed, examined FROM synthetic.latest_payments()", statement)
        for statement in (
            "UPDATE public.payment_transactions SET status = 'failed', created_at = now() - interval '91 days'",
            "UPDATE public.payment_transactions SET status = 'refunded', created_at = now() - interval '89 days'",
        )
    )

    assert (failed, before) == ((0, 0), (0, 100))


@pytest.mark.parametrize(
    ("total", "failed", "red"), [(1, 1, False), (19, 19, False), (20, 2, False), (20, 3, True), (100, 9, False)]
)
def test_payments_are_an_outage_only_where_the_sample_can_say_so(total: int, failed: int, *, red: bool) -> None:
    """Too few payments pass with a note; three failures of twenty are certainly more than 5 %."""
    evidence = current()
    with pytest.raises(AssertionError) if red else nullcontext():
        test_invariants.test_payments_succeed(Rows([[total, failed]]), Budgets(), evidence)

    assert evidence.note.startswith("not judged: ") is (total < 20)
    assert evidence.severity is (Severity.P0 if red else None)


def test_a_look_up_that_no_longer_runs_is_told_with_its_error(postgres: Postgres) -> None:
    """The other two look-ups are planned too."""
    with psycopg.connect(postgres.superuser_dsn) as connection:
        connection.execute("ALTER TABLE public.payment_transactions RENAME user_id TO customer_id")
        rows = connection.execute("SELECT look_up, refusal FROM synthetic.support_look_ups()").fetchall()
        connection.rollback()

    assert rows == [
        ("user", ""),
        ("payments of a user", 'column "user_id" does not exist'),
        ("enrolments of a user", ""),
    ]
