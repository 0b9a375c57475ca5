"""The monitoring role on a real PostgreSQL: it sees all that the checks need, and cannot write or read about people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from fixtures.checks.declarations import Privilege, Query
from fixtures.checks.evidence import NotMeasured
from fixtures.database.privileges import ROLE_FILE, remedy, views
from fixtures.database.rows import checked_rows
from fixtures.database.session import take
from fixtures.sandbox.database.postgres import Postgres
from tests.selftest.database.database_checks import declared

CHECKS = declared()
# Nobody else's tables may be in the way, and what may be written there is the role's own.
TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c
     WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    """


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start a server where an older role had more rights, and run the role's file twice."""
    settings = {"archive_mode": "on", "archive_command": "true"}
    with Postgres.start(tmp_path_factory.mktemp("postgres"), settings=settings) as started:
        with psycopg.connect(started.superuser_dsn, autocommit=True) as connection:
            connection.execute("ALTER ROLE synthetic_monitor BYPASSRLS")
            connection.execute("GRANT pg_read_all_data TO synthetic_monitor")
            connection.execute("GRANT SELECT (id, email) ON public.users TO synthetic_monitor")
            connection.execute("CREATE FUNCTION synthetic.gone() RETURNS int LANGUAGE sql AS 'SELECT 1'")
            connection.execute("SELECT lo_from_bytea(4711, 'a customer')")
            for _ in range(2):
                connection.execute(ROLE_FILE.read_bytes())
        yield started


def test_the_role_sees_everything_that_is_asked(postgres: Postgres) -> None:
    """With a missing right a check sees nothing, and a P0 that sees nothing holds every deployment."""
    taken = take(postgres.dsn("synthetic_monitor"), CHECKS.values(), "test")

    assert len(CHECKS) > 40
    assert taken.trouble is None
    assert taken.privileges == dict.fromkeys(views(), True)
    assert {
        name: taken.seen[query.sql].trouble for name, query in CHECKS.items() if taken.seen[query.sql].trouble
    } == {}
    assert [name for name, query in CHECKS.items() if taken.seen[query.sql].examined < query.min_rows] == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO public.course_reviews (rating) VALUES (1)",
        "UPDATE public.payment_transactions SET status = 'completed'",
        "DELETE FROM public.enrollments",
        "TRUNCATE public.payment_transactions",
        "COPY public.payment_transactions FROM PROGRAM 'true'",
        "CREATE TABLE public.scratch (id int)",
        "CREATE TABLE synthetic.scratch (id int)",
        "CREATE FUNCTION public.scratch() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION synthetic.latest_payments() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA scratch",
        "SELECT nextval('public.payment_transactions_receipt_number_seq')",
        "SELECT setval('public.payment_transactions_receipt_number_seq', 1)",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT pg_stat_reset()",
        "SELECT extensions.pg_stat_statements_reset()",
        "SELECT pg_switch_wal()",
        "SELECT pg_reload_conf()",
        "SELECT pg_create_physical_replication_slot('scratch')",
        "ALTER SYSTEM SET fsync = off",
        "SELECT count(*) FROM public.users",
        "SELECT id FROM public.payment_transactions",
        "SELECT comment FROM public.course_reviews",
        "SET ROLE service_role",
        "SET ROLE synthetic_dump",
        "SELECT lo_creat(-1)",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_unlink(4711)",
        "SELECT lo_put(4711, 0, 'x')",
        "SELECT lo_get(4711)",
        "CREATE TEMPORARY TABLE scratch (id int)",
        "CREATE TEMPORARY SEQUENCE scratch",
        "CREATE TEMPORARY VIEW scratch AS SELECT 1",
        "SELECT 1 AS id INTO TEMPORARY scratch",
        "CREATE TABLE pg_temp.scratch (id int)",
        "CREATE TYPE public.scratch AS (id int)",
        "CREATE ROLE scratch",
        "CREATE DATABASE scratch",
        "CREATE EXTENSION hstore",
        "CREATE PUBLICATION scratch",
        "CREATE EVENT TRIGGER scratch ON ddl_command_start EXECUTE FUNCTION synthetic.payments()",
        "ALTER ROLE synthetic_monitor CREATEDB",
        "ALTER ROLE synthetic_monitor CONNECTION LIMIT 100",
        "ALTER ROLE synthetic_monitor BYPASSRLS",
        "ALTER ROLE anon PASSWORD 'taken'",
        "ALTER ROLE anon SET statement_timeout = 0",
        "ALTER DATABASE platform SET statement_timeout = 0",
        "ALTER TABLE public.payment_transactions DISABLE ROW LEVEL SECURITY",
        "ALTER FUNCTION synthetic.payments() SECURITY INVOKER",
        "DROP FUNCTION synthetic.payments()",
        "DROP SCHEMA synthetic",
        "COMMENT ON TABLE public.payment_transactions IS 'x'",
        "GRANT pg_monitor TO anon",
        "GRANT SELECT ON public.payment_transactions TO synthetic_monitor",
        "DO $$ BEGIN LOCK TABLE public.payment_transactions IN ACCESS SHARE MODE; END $$",
        "REINDEX TABLE public.payment_transactions",
        "CLUSTER public.payment_transactions USING payment_transactions_pkey",
        "COPY (SELECT 1) TO '/tmp/scratch'",
        "SELECT pg_ls_dir('/')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> pg_backend_pid()",
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> pg_backend_pid()",
        "SELECT pg_promote()",
        "SELECT pg_rotate_logfile()",
        "SELECT pg_create_restore_point('scratch')",
        "SELECT pg_replication_origin_create('scratch')",
        "SET log_statement = 'none'",
        "SET session_replication_role = replica",
    ],
)
def test_the_role_can_neither_write_nor_read_about_people(postgres: Postgres, statement: LiteralString) -> None:
    """A session can switch read-only off, as this one does; the role has no right to write."""
    with psycopg.connect(postgres.dsn("synthetic_monitor"), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("NOTIFY scratch", "`NOTIFY`"),
        ("SELECT pg_advisory_lock(1)", "advisory locks"),
        ("SELECT pg_logical_emit_message(false, 'scratch', 'x')", "`pg_logical_emit_message`"),
        ("ALTER ROLE synthetic_monitor SET default_transaction_read_only = off", "its own settings"),
        ("ALTER ROLE synthetic_monitor PASSWORD 'changed'", "its own password"),
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = user AND pid <> pg_backend_pid()",
            "its own sessions",
        ),
    ],
)
def test_a_right_that_no_role_can_be_denied_is_named(postgres: Postgres, statement: LiteralString, named: str) -> None:
    """ci/sql/README.md lists what a person with the DSN can still do."""
    with psycopg.connect(postgres.dsn("synthetic_monitor")) as connection:
        connection.execute("SET TRANSACTION READ WRITE")
        connection.execute(statement)
        connection.rollback()

    assert named in ROLE_FILE.with_name("README.md").read_text(encoding="utf-8")


def test_other_roles_keep_what_the_monitor_loses(postgres: Postgres) -> None:
    """PUBLIC loses these rights; the platform's roles get them by name."""
    with psycopg.connect(postgres.dsn("platform_app")) as connection:
        connection.execute("CREATE TEMPORARY TABLE scratch (id int)")
        connection.execute("SELECT lo_create(0)")
        connection.rollback()


def test_the_role_has_no_right_to_any_table(postgres: Postgres) -> None:
    """Later tables and single columns are closed too; only the list of migrations is readable."""
    with psycopg.connect(postgres.superuser_dsn) as connection:
        connection.execute("CREATE TABLE public.later (id int)")
        written = connection.execute(
            TABLES + "AND has_table_privilege('synthetic_monitor', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')"
        )
        read = connection.execute(TABLES + "AND has_any_column_privilege('synthetic_monitor', c.oid, 'SELECT')")
        assert written.fetchall() == []
        assert {name for (name,) in read.fetchall()} == {
            "supabase_migrations.schema_migrations",
            "extensions.pg_stat_statements",
            "extensions.pg_stat_statements_info",
        }
        connection.execute("SET LOCAL ROLE synthetic_monitor")
        # Statistics of a column hold its commonest values.
        assert connection.execute("SELECT FROM pg_stats WHERE schemaname = 'public'").fetchall() == []
        connection.rollback()


def test_a_counter_tells_numbers_only_and_nobody_else_may_ask_it(postgres: Postgres) -> None:
    """A counter reads with its owner's rights, so it must return no rows and refuse other roles."""
    query = """
        SELECT proname, prosecdef, proconfig @> ARRAY['search_path=""', 'row_security=off'], proowner = relowner,
               (SELECT array_agg(grantee::regrole::text ORDER BY 1) FROM aclexplode(proacl) WHERE grantee <> proowner),
               (SELECT array_agg(DISTINCT kind::regtype::text) FROM unnest(proallargtypes) AS kind)
          FROM pg_proc, pg_class
         WHERE pronamespace = 'synthetic'::regnamespace AND proname !~ '^look_as_'
           AND pg_class.oid = 'public.payment_transactions'::regclass
         ORDER BY proname
        """
    with psycopg.connect(postgres.superuser_dsn) as connection:
        counters = connection.execute(query).fetchall()

    assert len(counters) == 16
    assert [row for row in counters if row[1:5] != (True, True, True, ["synthetic_monitor"])] == []
    assert [name for name, *_, kinds in counters if not {*kinds} <= {"bigint", "double precision"}] == [
        # Names of relations and columns, and counts.
        "access",
        "numbering",
        "row_counts",
        "support_look_ups",
        "titles",
    ]


def test_a_look_has_the_rights_of_its_visitor_and_only_the_owner_of_the_tables_takes_it(postgres: Postgres) -> None:
    """The monitor gets its counts through `access`; neither it nor a visitor may call a look, or become a visitor."""
    query = """
        SELECT proname, prosecdef, proconfig @> ARRAY['row_security=on'], proowner::regrole::text,
               (SELECT array_agg(grantee::regrole::text ORDER BY 1) FROM aclexplode(proacl) WHERE grantee <> proowner),
               has_schema_privilege(proowner, pronamespace, 'USAGE'),
               pg_has_role('synthetic_monitor', proowner, 'MEMBER')
          FROM pg_proc WHERE pronamespace = 'synthetic'::regnamespace AND proname ~ '^look_as_' ORDER BY proname
        """
    with psycopg.connect(postgres.superuser_dsn) as connection:
        found = connection.execute(query).fetchall()

    assert found == [
        (f"look_as_{visitor}", True, True, visitor, ["postgres"], False, False) for visitor in ("anon", "authenticated")
    ]


def test_rows_that_the_owner_does_not_see_either_are_no_zero(postgres: Postgres) -> None:
    """FORCE ROW LEVEL SECURITY hides the rows from the owner; a count of zero would look healthy."""
    (query,) = (query for name, query in CHECKS.items() if name == "test_everyone_who_paid_is_enrolled")
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE owner")
        connection.execute("GRANT SELECT ON public.enrollments TO owner")
        connection.execute("ALTER TABLE public.payment_transactions OWNER TO owner")
        connection.execute("ALTER TABLE public.payment_transactions FORCE ROW LEVEL SECURITY")
        connection.execute(ROLE_FILE.read_bytes())
        taken = take(postgres.dsn("synthetic_monitor"), [query], "test")
        connection.execute("ALTER TABLE public.payment_transactions NO FORCE ROW LEVEL SECURITY")
        connection.execute("ALTER TABLE public.payment_transactions OWNER TO postgres")
        connection.execute(ROLE_FILE.read_bytes())

    assert "row-level security" in str(taken.seen[query.sql].trouble)


@pytest.mark.parametrize(
    ("role", "statement", "told"),
    [
        (
            "postgres",
            "ALTER TABLE public.payment_transactions RENAME TO bills",
            "public.payment_transactions is missing in the database",
        ),
        (
            "deputy",
            "CREATE ROLE deputy; GRANT USAGE ON SCHEMA public, supabase_migrations TO deputy",
            "the tables belong to postgres, not to deputy",
        ),
    ],
)
def test_a_file_that_cannot_work_here_says_one_thing(
    postgres: Postgres, role: LiteralString, statement: LiteralString, told: str
) -> None:
    """With only some of its rights, the role could not see what some checks judge."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute(statement)
        connection.execute(b"SET ROLE " + role.encode())
        with pytest.raises(psycopg.errors.RaiseException, match=told) as refused:
            connection.execute(ROLE_FILE.read_bytes())
        connection.execute("ROLLBACK; RESET ROLE; ALTER TABLE IF EXISTS public.bills RENAME TO payment_transactions")

    assert refused.value.diag.message_hint


def test_the_owner_needs_not_be_a_superuser(tmp_path: Path) -> None:
    """On Supabase `postgres` owns the tables and may make roles, and is no superuser."""
    with Postgres.start(tmp_path) as postgres, psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA synthetic CASCADE")
        connection.execute("DROP OWNED BY synthetic_monitor; DROP ROLE synthetic_monitor")
        connection.execute("CREATE ROLE owner CREATEROLE; GRANT CREATE ON DATABASE platform TO owner")
        connection.execute("GRANT pg_monitor TO owner WITH ADMIN OPTION")
        connection.execute("GRANT anon, authenticated TO owner")
        connection.execute("ALTER SCHEMA public OWNER TO owner; ALTER SCHEMA extensions OWNER TO owner")
        connection.execute("ALTER SCHEMA supabase_migrations OWNER TO owner")
        for (table,) in connection.execute(TABLES + "AND relkind = 'r'").fetchall():
            connection.execute(f"ALTER TABLE {table} OWNER TO owner".encode())
        connection.execute("GRANT EXECUTE ON FUNCTION extensions.bt_index_check(regclass) TO owner WITH GRANT OPTION")
        connection.execute("SET ROLE owner")
        for _ in range(2):
            connection.execute(ROLE_FILE.read_bytes())
        connection.execute("RESET ROLE")
        connection.execute("ALTER ROLE synthetic_monitor PASSWORD 'unguessed'")
        taken = take(postgres.dsn("synthetic_monitor", "unguessed"), CHECKS.values(), "test")

    assert taken.privileges == dict.fromkeys(views(), True)
    assert [seen.trouble for seen in taken.seen.values() if seen.trouble] == []


@pytest.mark.parametrize("what", views())
def test_a_blind_role_measures_nothing_and_says_what_mends_it(postgres: Postgres, what: Privilege) -> None:
    """A role that sees nothing finds everything healthy."""
    queries = {name: query for name, query in CHECKS.items() if what in query.sees}
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS stranger")
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'unguessed'")
    taken = take(postgres.dsn("stranger", "unguessed"), queries.values(), "test")

    assert queries
    assert taken.privileges[what] is False
    for query in queries.values():
        with pytest.raises(NotMeasured, match=re.escape(remedy(query.sees[0]))):
            checked_rows(taken, query)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP FUNCTION synthetic.enrolments()",
        "CREATE FUNCTION synthetic.older() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        """
        CREATE OR REPLACE FUNCTION synthetic.latest_payments() RETURNS TABLE (examined bigint, failed bigint)
          LANGUAGE sql AS 'SELECT 100::bigint, 0::bigint'
        """,
        "REVOKE EXECUTE ON FUNCTION synthetic.payments() FROM synthetic_monitor",
        "REVOKE USAGE ON SCHEMA synthetic FROM synthetic_monitor",
    ],
)
def test_counters_that_are_not_this_versions_are_not_believed(postgres: Postgres, statement: LiteralString) -> None:
    """An older version may define 'paid' in another way."""
    (query,) = (query for name, query in CHECKS.items() if name == "test_payments_succeed")
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute(statement)
        taken = take(postgres.dsn("synthetic_monitor"), [query], "test")
        connection.execute(ROLE_FILE.read_bytes())

    with pytest.raises(NotMeasured, match=r"run ci/sql/monitor_role\.sql again"):
        checked_rows(taken, query)
    assert take(postgres.dsn("synthetic_monitor"), [query], "test").privileges["counters"] is True


def test_too_few_rows_are_blind(postgres: Postgres) -> None:
    """An empty table proves nothing about its rows."""
    query = Query("SELECT 0 AS examined, 0 AS wrong", 1)

    with pytest.raises(NotMeasured, match="too few rows: the query examined 0, at least 1 are expected"):
        checked_rows(take(postgres.dsn("synthetic_monitor"), [query], "test"), query)
