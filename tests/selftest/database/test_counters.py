"""What the counters of ci/sql/monitor_role.sql count, each on rows that must not be and on rows that may."""

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

KINDS: dict[str, LiteralString] = {"payments": "status = 'completed'", "course_enrollments": "plan = 'paid'"}
OLD: LiteralString = "now() - interval '11 minutes'"
YOUNG: LiteralString = "now() - interval '9 minutes'"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend one server to all tests here; each undoes what it writes."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


def change(table: LiteralString, what: LiteralString) -> LiteralString:
    """Return a statement that changes one row: the first payment that was completed, the first enrolment that costs."""
    kind = KINDS.get(table, "true")
    return (
        f"UPDATE public.{table} SET {what} WHERE id = (SELECT id FROM public.{table} WHERE {kind} ORDER BY id LIMIT 1)"  # noqa: S608  (of literals)
    )


def counted(postgres: Postgres, counter: LiteralString, *statements: LiteralString) -> tuple[Any, ...]:
    """Return what a counter tells after these statements, which are undone; foreign keys hold nothing meanwhile."""
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
        change("payments", f"user_id = gen_random_uuid(), created_at = {age}"),
    )

    assert row == (found,)


@pytest.mark.parametrize(
    ("plan", "age", "found"), [("paid", OLD, 1), ("paid", YOUNG, 0), ("free", OLD, 0), ("trial", OLD, 1)]
)
def test_only_a_code_or_a_payment_enrols(
    postgres: Postgres, plan: LiteralString, age: LiteralString, found: int
) -> None:
    """A plan that nobody knows is none that a code gave."""
    row = counted(
        postgres,
        "SELECT without_payment FROM synthetic.paid_enrolments()",
        "ALTER TABLE public.course_enrollments DROP CONSTRAINT course_enrollments_plan_check",
        change("course_enrollments", f"user_id = gen_random_uuid(), enrolled_at = {age}, plan = '{plan}'"),
    )

    assert row == (found,)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("progress = 101", (1, 0)),
        ("progress = -1", (1, 0)),
        ("progress = NULL", (1, 0)),
        ("progress = 100", (0, 0)),
        ("(user_id, course_id) = (SELECT user_id, course_id FROM public.course_enrollments OFFSET 9 LIMIT 1)", (0, 2)),
    ],
)
def test_impossible_enrolments(postgres: Postgres, what: LiteralString, told: tuple[int, ...]) -> None:
    """Progress outside of 0 to 100, or none at all; one student twice in one course."""
    row = counted(
        postgres,
        "SELECT impossible_progress, enrolled_twice FROM synthetic.enrolments()",
        "ALTER TABLE public.course_enrollments DROP CONSTRAINT course_enrollments_progress_check,"
        " ALTER progress DROP NOT NULL, DROP CONSTRAINT course_enrollments_user_id_course_id_key",
        change("course_enrollments", what),
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
        ("stripe_session_id = (SELECT max(stripe_session_id) FROM public.payments)", (0, 0, 1, 0)),
        ("status = 'lost'", (0, 0, 0, 1)),
    ],
)
def test_impossible_payments(postgres: Postgres, what: LiteralString, told: tuple[int, ...]) -> None:
    """A negative amount, a payment without a session, a session twice, a state that no code knows."""
    row = counted(
        postgres,
        "SELECT negative, untraceable, booked_twice, of_unknown_status FROM synthetic.payments()",
        "ALTER TABLE public.payments DROP CONSTRAINT payments_amount_check, DROP CONSTRAINT payments_status_check,"
        " DROP CONSTRAINT payments_stripe_session_id_key, ALTER amount DROP NOT NULL,"
        " ALTER stripe_session_id DROP NOT NULL",
        change("payments", what),
    )

    assert row == told


@pytest.mark.parametrize("table", ["course_enrollments", "payments", "course_reviews", "lesson_progress"])
def test_rows_of_a_user_who_is_gone(postgres: Postgres, table: LiteralString) -> None:
    """Each table that belongs to people."""
    row = counted(
        postgres,
        "SELECT without_user, without_course FROM synthetic.owned_rows()",
        change(table, "user_id = gen_random_uuid()"),
    )

    assert row == (1, 0)


def test_what_was_paid_back_had_been_paid_and_what_is_old_no_longer_counts(postgres: Postgres) -> None:
    """A bad day in spring is no reason to wake anybody in autumn."""
    failed, before = (
        counted(postgres, "SELECT failed, examined FROM synthetic.latest_payments()", statement)
        for statement in (
            "UPDATE public.payments SET status = 'failed', created_at = now() - interval '91 days'",
            "UPDATE public.payments SET status = 'refunded', created_at = now() - interval '89 days'",
        )
    )

    assert (failed, before) == ((0, 0), (0, 100))


@pytest.mark.parametrize(
    ("total", "failed", "red"), [(1, 1, False), (19, 19, False), (20, 2, False), (20, 3, True), (100, 9, False)]
)
def test_payments_are_an_outage_only_where_the_sample_can_say_so(total: int, failed: int, *, red: bool) -> None:
    """Too few to tell is said, and stops no release; three of twenty are surely more than one of twenty."""
    evidence = current()
    with pytest.raises(AssertionError) if red else nullcontext():
        test_invariants.test_payments_succeed(Rows([[total, failed]]), Budgets(), evidence)

    assert evidence.note.startswith("cannot tell: ") is (total < 20)
    assert evidence.severity is (Severity.P0 if red else None)


def test_a_look_up_that_no_longer_runs_is_told_with_its_error(postgres: Postgres) -> None:
    """And the other two are planned all the same."""
    with psycopg.connect(postgres.superuser_dsn) as connection:
        connection.execute("ALTER TABLE public.payments RENAME user_id TO customer_id")
        rows = connection.execute("SELECT look_up, refusal FROM synthetic.support_look_ups()").fetchall()
        connection.rollback()

    assert rows == [
        ("user", ""),
        ("payments of a user", 'column "user_id" does not exist'),
        ("enrolments of a user", ""),
    ]
