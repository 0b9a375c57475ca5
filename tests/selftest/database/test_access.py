"""Access is judged by what PostgreSQL lets through, whoever gave the right and however it is spelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import LiteralString

import psycopg
import pytest

from fixtures.database import access
from fixtures.database.access import Look, looks
from fixtures.sandbox.database.postgres import Postgres
from tests.selftest.database.database_checks import declared

QUERY = declared()["test_nobody_reads_the_rows_of_others"].sql
JUDGES: tuple[Callable[[list[Look]], list[str]], ...] = (
    access.others_rows_read,
    access.unlisted_rows_read,
    access.drafts_read,
    access.rows_missed,
    access.secrets_read,
    access.others_rows_written,
    access.own_rows_invented,
)
NEWS: LiteralString = (
    "CREATE TABLE public.news AS SELECT n AS id, gen_random_uuid() AS user_id FROM generate_series(1, 3) AS n;"
    " GRANT ALL ON public.news TO anon, authenticated; ALTER TABLE public.news ENABLE ROW LEVEL SECURITY;"
)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start a server; each test undoes its changes."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


def judged(postgres: Postgres, change: LiteralString) -> set[str]:
    """Return the names of the judges that find something after a change, which is rolled back."""
    with psycopg.connect(postgres.superuser_dsn) as connection:
        connection.execute(change)
        found = looks(connection.execute(QUERY.encode()).fetchall())
        connection.rollback()
    assert len(found) >= 22
    return {judge.__name__ for judge in JUDGES if judge(found)}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "CREATE POLICY p ON public.payment_transactions FOR SELECT USING (current_user = 'authenticated')",
            {"others_rows_read"},
        ),
        (
            (
                "CREATE POLICY p ON public.lesson_progress FOR SELECT TO authenticated USING"
                " (EXISTS (SELECT FROM public.users u WHERE u.id = (SELECT auth.uid())))"
            ),
            {"others_rows_read"},
        ),
        (
            (
                "CREATE POLICY p ON public.payment_transactions FOR SELECT USING"
                " (current_setting('request.headers')::jsonb ->> 'x-user' IS NULL)"
            ),
            {"others_rows_read"},
        ),
        (
            (
                "CREATE POLICY p ON public.users FOR SELECT TO authenticated USING"
                " (current_setting('request.jwt.claims')::jsonb -> 'user_metadata' ->> 'role' = 'admin')"
            ),
            {"others_rows_read"},
        ),
        (
            (
                "CREATE FUNCTION public.yes() RETURNS boolean LANGUAGE sql AS 'SELECT true';"
                " CREATE POLICY p ON public.user_profiles FOR SELECT TO PUBLIC USING (public.yes())"
            ),
            {"others_rows_read"},
        ),
        (
            "ALTER TABLE public.payment_transactions OWNER TO authenticated",
            {"others_rows_read", "others_rows_written", "own_rows_invented"},
        ),
        ("ALTER ROLE anon BYPASSRLS", {"drafts_read", "others_rows_read"}),
        (
            "CREATE VIEW public.paid AS TABLE public.payment_transactions; GRANT SELECT ON public.paid TO anon",
            {"unlisted_rows_read"},
        ),
        (
            (
                "CREATE TABLE public.visits (user_id uuid) PARTITION BY HASH (user_id);"
                " CREATE TABLE public.visits_0 PARTITION OF public.visits FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
                " INSERT INTO public.visits VALUES (gen_random_uuid()); GRANT SELECT ON public.visits_0 TO anon"
            ),
            {"unlisted_rows_read"},
        ),
        (
            (
                "CREATE SCHEMA api; GRANT USAGE ON SCHEMA api TO anon; CREATE TABLE api.people AS TABLE public.users;"
                " GRANT SELECT (email) ON api.people TO anon"
            ),
            {"unlisted_rows_read"},
        ),
        ("ALTER POLICY courses_read_published ON public.courses USING (true)", {"drafts_read"}),
        ("DROP POLICY payment_transactions_read_own ON public.payment_transactions", set()),
        (
            ("CREATE POLICY p ON public.enrollments AS RESTRICTIVE FOR SELECT USING (user_id IS NULL)"),
            {"rows_missed"},
        ),
        ("REVOKE SELECT ON public.courses FROM anon", {"rows_missed"}),
        ("GRANT SELECT (password_hash) ON public.users TO authenticated", {"secrets_read"}),
        ("ALTER POLICY review_helpfulness_own ON public.review_helpfulness WITH CHECK (true)", {"others_rows_written"}),
        ("GRANT UPDATE (role) ON public.users TO authenticated", {"others_rows_written"}),
        (
            "ALTER POLICY course_reviews_write_own ON public.course_reviews WITH CHECK (user_id = auth.uid())",
            {"own_rows_invented"},
        ),
        # Healthy look-alikes.
        ("SELECT", set()),
        (NEWS, set()),
        (NEWS + "CREATE POLICY p ON public.news USING (user_id = (SELECT auth.uid()))", set()),
        (
            (
                "CREATE MATERIALIZED VIEW public.members AS SELECT email FROM public.users;"
                " GRANT SELECT ON public.members TO authenticated"
            ),
            {"unlisted_rows_read"},
        ),
        (
            "CREATE POLICY p ON public.users FOR SELECT TO authenticated USING (EXISTS (SELECT FROM public.users))",
            {"rows_missed"},
        ),
        ("ALTER TABLE public.users FORCE ROW LEVEL SECURITY", set()),
        (
            (
                "CREATE TABLE public.faq (question text); INSERT INTO public.faq VALUES ('Nasıl?');"
                " ALTER TABLE public.faq ENABLE ROW LEVEL SECURITY; GRANT SELECT ON public.faq TO anon;"
                " CREATE POLICY p ON public.faq FOR SELECT USING (true)"
            ),
            set(),
        ),
        (
            (
                "CREATE VIEW public.mine WITH (security_invoker) AS SELECT user_id FROM public.payment_transactions;"
                " GRANT ALL ON public.mine TO anon, authenticated"
            ),
            set(),
        ),
        (
            (
                "CREATE SCHEMA private; CREATE TABLE private.ledger AS TABLE public.payment_transactions;"
                " GRANT SELECT ON private.ledger TO anon"
            ),
            set(),
        ),
        (
            (
                "CREATE POLICY p ON public.payment_transactions FOR SELECT TO authenticated USING (EXISTS (SELECT FROM"
                " public.user_profiles WHERE id = auth.uid() AND role = 'admin'))"
            ),
            set(),
        ),
    ],
)
def test_a_right_counts_by_its_effect(postgres: Postgres, change: LiteralString, found: set[str]) -> None:
    """A change opens what its judges name, and nothing else; a healthy look-alike opens nothing."""
    assert judged(postgres, change) == found
