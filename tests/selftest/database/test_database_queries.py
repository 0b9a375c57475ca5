"""The checks' queries are right about settings that override others, look-alikes and spellings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest

from fixtures.database.session import take
from fixtures.sandbox.database.postgres import Postgres
from tests.selftest.database.database_checks import declared

CHECKS = declared()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start a server; each test undoes its changes."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


def rows(postgres: Postgres, check: str, *, after: LiteralString, undo: LiteralString) -> list[list[Any]]:
    """Return the rows of a check's query after a statement, which is undone."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute(after)
        try:
            taken = take(postgres.dsn("synthetic_monitor"), [CHECKS[check]], "test")
        finally:
            connection.execute(undo)
    seen = taken.seen[CHECKS[check].sql]
    assert seen.trouble is None
    return seen.rows


def test_a_timeout_of_this_database_overrides_the_roles_own(postgres: Postgres) -> None:
    """PostgreSQL uses the most specific setting."""
    found = rows(
        postgres,
        "test_queries_of_browsers_have_a_time_limit",
        after="ALTER ROLE anon IN DATABASE platform SET statement_timeout = 0",
        undo="ALTER ROLE anon IN DATABASE platform RESET statement_timeout",
    )

    assert dict(found) == {"anon": False, "authenticated": True, "authenticator": True}


def test_a_setting_that_is_not_seen_is_not_guessed(postgres: Postgres) -> None:
    """The monitoring role has its own value, which hides the server's."""
    found = rows(
        postgres,
        "test_idle_transactions_have_a_time_limit",
        after="ALTER ROLE platform_app RESET idle_in_transaction_session_timeout",
        undo="ALTER ROLE platform_app SET idle_in_transaction_session_timeout = '10min'",
    )

    assert dict(found) == {"authenticator": True, "platform_app": None}


def test_a_sequence_that_belongs_to_no_column_runs_out_too(postgres: Postgres) -> None:
    """A sequence that cycles has no end."""
    found = rows(
        postgres,
        "test_no_sequence_is_about_to_run_out",
        after="CREATE SEQUENCE public.lonely AS int; SELECT setval('public.lonely', 2000000000);"
        " CREATE SEQUENCE public.round AS smallint CYCLE; SELECT setval('public.round', 32767)",
        undo="DROP SEQUENCE public.lonely, public.round",
    )

    ((examined, used),) = found
    assert examined == 2
    assert 93 < used < 94


@pytest.mark.parametrize(
    ("index", "covered"),
    [
        ("(user_id)", True),
        ("(user_id DESC)", False),
        ("(user_id) WHERE plan = 'paid'", False),
        ("USING hash (user_id)", False),
        ("(course_id, user_id)", False),
    ],
)
def test_an_index_is_covered_only_by_one_that_finds_the_same(
    postgres: Postgres, index: LiteralString, *, covered: bool
) -> None:
    """An index with another order, condition or method finds other rows."""
    found = rows(
        postgres,
        "test_no_index_is_the_beginning_of_another",
        after="CREATE INDEX narrow ON public.enrollments " + index,
        undo="DROP INDEX public.narrow",
    )

    assert [begins for begins, _ in found if begins == "public.narrow" and _] == ["public.narrow"] * covered


@pytest.mark.parametrize("spelling", ["off", "false", "n", "0"])
def test_autovacuum_is_off_in_every_spelling(postgres: Postgres, spelling: LiteralString) -> None:
    """PostgreSQL keeps a storage parameter as somebody wrote it."""
    found = rows(
        postgres,
        "test_autovacuum_tends_every_table",
        after="ALTER TABLE public.payment_transactions SET (autovacuum_enabled = " + spelling + ")",
        undo="ALTER TABLE public.payment_transactions RESET (autovacuum_enabled)",
    )

    assert [name for name, tended in found if not tended] == ["payment_transactions"]
