"""The sandbox's schema and seed: who may read whose rows, and whether the rows agree with each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from fixtures.sandbox.app.accounts import DEMANDS
from fixtures.sandbox.app.passwords import matches
from fixtures.sandbox.database.postgres import Postgres
from fixtures.sandbox.database.seed_accounts import ADDRESSES, give_passwords


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend one server to all tests here; each test undoes its changes."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def monitor(postgres: Postgres) -> Iterator[psycopg.Connection]:
    """Connect as the role that the checks use."""
    with psycopg.connect(postgres.dsn("synthetic_monitor"), autocommit=True) as connection:
        yield connection


def as_browser(postgres: Postgres, role: str, email: str | None, query: LiteralString) -> list[tuple[Any, ...]]:
    """Query as the browser's key does: through the authenticator, with the claims of a user or of nobody."""
    with psycopg.connect(postgres.superuser_dsn) as connection:
        found = connection.execute("SELECT id::text FROM public.users WHERE email = %s", (email,)).fetchone()
    with psycopg.connect(postgres.dsn("authenticator")) as connection:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        claims = json.dumps({"sub": found[0]}) if found else ""
        connection.execute("SELECT set_config('request.jwt.claims', %s, true)", (claims,))
        return connection.execute(query).fetchall()


STUDENT = ADDRESSES["student"]
OWNERS: dict[str, LiteralString] = {
    "enrollments": "SELECT user_id, auth.uid() FROM public.enrollments",
    "lesson_progress": "SELECT user_id, auth.uid() FROM public.lesson_progress",
    "payments": "SELECT user_id, auth.uid() FROM public.payment_transactions",
}
PERSONAL: dict[str, LiteralString] = OWNERS | {
    "users": "SELECT id FROM public.users",
    "review_helpfulness": "SELECT user_id FROM public.review_helpfulness",
}


@pytest.mark.parametrize("table", OWNERS)
def test_a_student_reads_own_rows_only(postgres: Postgres, table: str) -> None:
    """Other students have rows, and row level security hides them."""
    owners = as_browser(postgres, "authenticated", STUDENT, OWNERS[table])
    with psycopg.connect(postgres.superuser_dsn) as connection:
        everyone = {owner for owner, _ in connection.execute(OWNERS[table])}

    assert len(everyone) > 80
    assert len(owners) >= 1
    assert [owner for owner, me in owners if owner != me] == []


@pytest.mark.parametrize("table", PERSONAL)
def test_a_stranger_reads_no_personal_row(postgres: Postgres, table: str) -> None:
    """Every browser has the anonymous key."""
    assert as_browser(postgres, "anon", None, PERSONAL[table]) == []


def test_a_student_reads_and_renames_only_oneself(postgres: Postgres) -> None:
    """Other users, the own role and password hashes stay closed."""
    query: LiteralString = "UPDATE public.users SET name = name RETURNING email"
    assert as_browser(postgres, "authenticated", STUDENT, query) == [(STUDENT,)]
    for forbidden in ("UPDATE public.users SET role = 'admin'", "SELECT password_hash FROM public.users"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_browser(postgres, "authenticated", STUDENT, forbidden)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_only_published_courses_and_their_lessons_are_seen(postgres: Postgres, role: str) -> None:
    """Only its instructor sees a draft."""
    query: LiteralString = """
        SELECT count(*) FILTER (WHERE published), count(*) FILTER (WHERE NOT published),
               (SELECT count(DISTINCT course_id)
                  FROM public.course_modules m JOIN public.course_lessons l ON l.module_id = m.id)
          FROM public.courses
        """
    assert as_browser(postgres, role, STUDENT, query) == [(24, 0, 24)]


def test_nobody_writes_payments_from_the_browser(postgres: Postgres) -> None:
    """A student who can write a payment gets a course for nothing."""
    for write in (
        "UPDATE public.payment_transactions SET status = 'completed'",
        "DELETE FROM public.payment_transactions",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_browser(postgres, "authenticated", STUDENT, write)


def test_a_review_needs_an_enrolment(postgres: Postgres) -> None:
    """Only students of the course may review it."""
    query: LiteralString = """
        INSERT INTO public.course_reviews (course_id, user_id, rating)
        SELECT id, auth.uid(), 5 FROM public.courses WHERE slug = 'dijital-pazarlamaya-giris' RETURNING rating
        """
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        as_browser(postgres, "authenticated", ADDRESSES["other_student"], query)


def test_the_monitor_sees_counters_and_sequences(monitor: psycopg.Connection) -> None:
    """A role without rights finds everything healthy."""
    sight = """
        SELECT (SELECT examined FROM synthetic.payments()) > 100,
               (SELECT count(*) FROM pg_stat_activity WHERE backend_type IS NULL) = 0,
               (SELECT last_value FROM pg_sequences WHERE schemaname = 'public') > 100,
               (SELECT count(*) FROM supabase_migrations.schema_migrations) = 8,
               (SELECT count(*) FROM extensions.pg_stat_statements) >= 0
        """
    assert monitor.execute(sight).fetchone() == (True,) * 5


@pytest.mark.parametrize(
    "write",
    [
        "DELETE FROM public.lesson_progress",
        "CREATE TABLE public.scratch (id int)",
        "SELECT setval('public.payment_transactions_receipt_number_seq', 1)",
        "SELECT pg_stat_reset()",
    ],
)
def test_the_monitor_cannot_write_even_when_it_insists(monitor: psycopg.Connection, write: LiteralString) -> None:
    """Any session may switch its read-only default off; the missing grants protect the data."""
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        monitor.execute("DELETE FROM public.lesson_progress")
    monitor.execute("BEGIN READ WRITE")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        monitor.execute(write)


def test_the_application_writes_past_row_level_security_and_owns_nothing(postgres: Postgres) -> None:
    """It uses the service key: the database must not hide an error of its code."""
    with psycopg.connect(postgres.dsn("platform_app")) as connection:
        changed = connection.execute("UPDATE public.enrollments SET status = 'completed'").rowcount
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER TABLE public.payment_transactions DISABLE ROW LEVEL SECURITY")
        connection.rollback()

    assert changed > 200
    assert owners == [("postgres",)]


STRUCTURE: dict[str, LiteralString] = {
    "foreign key without an index that begins with its columns": """
        SELECT conrelid::regclass, conname FROM pg_constraint c
         WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
           SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indpred IS NULL AND i.indisvalid
              AND (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(c.conkey)] @> c.conkey)
        """,
    "unusable index": "SELECT indexrelid::regclass FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)",
    "index there twice": """
        SELECT array_agg(indexrelid::regclass) FROM pg_index
         GROUP BY indrelid, indkey::text, indclass::text, indexprs::text, indpred::text HAVING count(*) > 1
        """,
    "constraint not validated": "SELECT conname FROM pg_constraint WHERE NOT convalidated",
    "table without row level security or policy": """
        SELECT oid::regclass FROM pg_class c
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
           AND NOT (relrowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
        """,
    "table never analysed": "SELECT relname FROM pg_stat_user_tables WHERE last_analyze IS NULL",
    "setting that production must have": """
        SELECT name FROM pg_settings
         WHERE name IN ('autovacuum', 'track_counts', 'full_page_writes', 'synchronous_commit', 'data_checksums')
           AND setting <> 'on'
        """,
    "security definer function": """
        SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = ANY ('{public, auth}'::regnamespace[])
        """,
}
SEED: dict[str, LiteralString] = {
    "completed payment without enrolment": """
        SELECT id FROM public.payment_transactions p WHERE status = 'completed' AND NOT EXISTS (
          SELECT FROM public.enrollments e WHERE (e.user_id, e.course_id) = (p.user_id, p.course_id))
        """,
    "paid enrolment without payment": """
        SELECT id FROM public.enrollments e WHERE plan = 'paid' AND NOT EXISTS (
          SELECT FROM public.payment_transactions p
           WHERE (e.user_id, e.course_id) = (p.user_id, p.course_id) AND p.status = 'completed')
        """,
    "payment of another amount than the price": """
        SELECT p.id FROM public.payment_transactions p JOIN public.courses c ON c.id = p.course_id
         WHERE p.amount <> c.price * 100
        """,
    "enrolment in what is not published": """
        SELECT e.id FROM public.enrollments e JOIN public.courses c ON c.id = e.course_id WHERE NOT c.published
        """,
    "progress that its lessons do not make": """
        SELECT e.id FROM public.enrollments e
          JOIN public.course_modules m ON m.course_id = e.course_id
          JOIN public.course_lessons l ON l.module_id = m.id
          LEFT JOIN public.lesson_progress p
            ON p.lesson_id = l.id AND p.user_id = e.user_id AND p.completed_at IS NOT NULL
         GROUP BY e.id HAVING e.progress_percentage <> round(100.0 * count(p.id) / count(*))
        """,
    "progress without enrolment": """
        SELECT p.id FROM public.lesson_progress p
          JOIN public.course_lessons l ON l.id = p.lesson_id
          JOIN public.course_modules m ON m.id = l.module_id
         WHERE NOT EXISTS (SELECT FROM public.enrollments e
                            WHERE (e.user_id, e.course_id) = (p.user_id, m.course_id))
        """,
    "pending payment older than a day and an hour": """
        SELECT id FROM public.payment_transactions WHERE status = 'pending' AND created_at < now() - interval '25 hours'
        """,
    "course without a full curriculum": """
        SELECT c.id FROM public.courses c
          LEFT JOIN public.course_modules m ON m.course_id = c.id
          LEFT JOIN public.course_lessons l ON l.module_id = m.id
         GROUP BY c.id HAVING count(DISTINCT m.id) <> 3 OR count(l.id) NOT BETWEEN 9 AND 12
        """,
    "password in the seed": "SELECT email FROM public.user_profiles WHERE password_hash IS NOT NULL",
    "time to come": """
        SELECT enrolled_at FROM public.enrollments WHERE enrolled_at > now()
        UNION ALL SELECT completed_at FROM public.lesson_progress WHERE completed_at > now()
        UNION ALL SELECT created_at FROM public.payment_transactions WHERE created_at > now()
        """,
}


@pytest.mark.parametrize("query", [pytest.param(query, id=name) for name, query in (STRUCTURE | SEED).items()])
def test_the_healthy_database_has_no(postgres: Postgres, query: LiteralString) -> None:
    """A database check would otherwise be red on a healthy database."""
    with psycopg.connect(postgres.dsn("synthetic_dump")) as connection:
        assert connection.execute(query).fetchall() == []


def test_accounts_get_passwords_that_open_them(postgres: Postgres) -> None:
    """Every sandbox gets new, valid passwords; the other student has bought nothing yet."""
    accounts, again = give_passwords(postgres.dsn("platform_app")), give_passwords(postgres.dsn("platform_app"))
    with psycopg.connect(postgres.superuser_dsn) as connection:
        stored: dict[str, str] = dict(
            connection.execute("SELECT email, password_hash FROM public.user_profiles").fetchall()
        )
        enrolled = connection.execute(
            "SELECT email, count(*) FROM public.enrollments JOIN public.users u ON u.id = user_id"
            " WHERE email = ANY (%s) GROUP BY email",
            (list(ADDRESSES.values()),),
        ).fetchall()
        connection.execute("UPDATE public.user_profiles SET password_hash = NULL")

    assert {name: account.role for name, account in again.items()} == {
        "student": "student",
        "other_student": "student",
        "instructor": "instructor",
        "admin": "admin",
    }
    assert enrolled == [(STUDENT, 2)]
    for name, account in again.items():
        assert account.password != accounts[name].password
        assert matches(account.password, stored[account.email])
        assert not matches(accounts[name].password, stored[account.email])
        assert [demand for pattern, demand in DEMANDS if not pattern.search(account.password)] == []
