"""What the monitoring role sees and may do, on a real PostgreSQL: all that the checks ask, and not one write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from fixtures.database import MENDING, judge, take
from fixtures.declarations import Query
from fixtures.evidence import NotMeasured
from fixtures.sandbox.postgres import Postgres

from .database_checks import declared

ROLE_FILE = Path(__file__).parents[2] / "ci" / "sql" / "monitor_role.sql"
CHECKS = declared()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend a server like production's, where ci/sql/monitor_role.sql has run twice, as after a new table."""
    settings = {"archive_mode": "on", "archive_command": "true"}
    with Postgres.start(tmp_path_factory.mktemp("postgres"), settings=settings) as started:
        with psycopg.connect(started.superuser_dsn, autocommit=True) as connection:
            connection.execute("ALTER ROLE synthetic_monitor NOBYPASSRLS")
            for _ in range(2):
                connection.execute(ROLE_FILE.read_bytes())
        yield started


def test_the_role_sees_everything_that_is_asked(postgres: Postgres) -> None:
    """A grant that is missing would make a check blind, and P0 blindness holds every deployment."""
    taken = take(postgres.dsn("synthetic_monitor"), CHECKS.values(), "test")

    assert len(CHECKS) > 40
    assert taken.trouble is None
    assert taken.sight == dict.fromkeys(MENDING, True)
    assert {
        name: taken.seen[query.sql].trouble for name, query in CHECKS.items() if taken.seen[query.sql].trouble
    } == {}
    assert [name for name, query in CHECKS.items() if taken.seen[query.sql].examined < query.min_rows] == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO public.course_reviews (rating) VALUES (1)",
        "UPDATE public.payments SET status = 'completed'",
        "DELETE FROM public.course_enrollments",
        "TRUNCATE public.payments",
        "CREATE TABLE public.scratch (id int)",
        "SELECT setval('public.payments_receipt_number_seq', 1)",
        "SELECT pg_stat_reset()",
        "SELECT extensions.pg_stat_statements_reset()",
        "SELECT pg_switch_wal()",
        "ALTER SYSTEM SET fsync = off",
        "SELECT email FROM public.users",
        "SELECT password_hash FROM public.users",
        "SELECT comment FROM public.course_reviews",
        "SET ROLE service_role",
    ],
)
def test_the_role_can_neither_write_nor_read_about_people(postgres: Postgres, statement: LiteralString) -> None:
    """Read-only is a default that a session undoes, as this one does; the missing grants are what holds."""
    with psycopg.connect(postgres.dsn("synthetic_monitor"), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_the_role_has_no_right_to_write_any_table(postgres: Postgres) -> None:
    """Also on the tables that a later migration made."""
    query = """
        SELECT c.oid::regclass::text FROM pg_class c
         WHERE c.relkind IN ('r', 'p', 'v') AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
           AND has_table_privilege('synthetic_monitor', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
        """
    with psycopg.connect(postgres.superuser_dsn) as connection:
        connection.execute("CREATE TABLE public.later (id int)")
        assert connection.execute(query).fetchall() == []
        connection.rollback()


@pytest.mark.parametrize("what", MENDING)
def test_a_blind_role_measures_nothing_and_says_what_mends_it(postgres: Postgres, what: str) -> None:
    """A role that sees nothing finds everything healthy."""
    queries = {name: query for name, query in CHECKS.items() if what in query.sees}
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS stranger")
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'unguessed'")
    taken = take(postgres.dsn("stranger", "unguessed"), queries.values(), "test")

    assert queries
    assert taken.sight[what] is False
    for query in queries.values():
        with pytest.raises(NotMeasured, match=re.escape(MENDING[query.sees[0]])):
            judge(taken, query)


def test_too_few_rows_are_blind(postgres: Postgres) -> None:
    """An empty table proves nothing about its rows."""
    query = Query("SELECT 0 AS examined, 0 AS wrong", 1)

    with pytest.raises(NotMeasured, match="blind: 0 rows examined, at least 1 expected"):
        judge(take(postgres.dsn("synthetic_monitor"), [query], "test"), query)
