"""Oracles of the rules about the server, its roles and its sessions."""

# ruff: noqa: S608  (the tables and ids of this file)
from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg

from tests.selftest.coroutines import run
from tests.selftest.sandbox.mutants.harm_to_rows import fails_the_application
from tests.selftest.sandbox.mutants.mutated_database import Mutated
from tests.selftest.sandbox.mutants.wrong_rows import _asks

Oracle = Callable[[Mutated], bool]
_TABLES = (
    "users",
    "user_profiles",
    "enrollments",
    "lesson_progress",
    "payment_transactions",
    "review_helpfulness",
    "course_reviews",
    "course_categories",
    "courses",
    "course_modules",
    "course_lessons",
)


def blinds_the_monitor(db: Mutated) -> bool:
    """Whether the role that watches cannot count payments, see other sessions, or read the record of migrations."""
    question = (
        "SELECT 1 / (CASE WHEN examined > 0 AND pg_has_role('pg_monitor', 'USAGE') THEN 1 ELSE 0 END)"
        " FROM synthetic.payments(), supabase_migrations.schema_migrations"
    )
    return db.refuses(question, "synthetic_monitor", settings="")


def stops_copies(db: Mutated) -> bool:
    """Whether the role that copies cannot read every payment."""
    question = "SELECT 1 / sign(count(*))::int FROM public.payment_transactions"
    return db.refuses(question, "synthetic_dump", settings="-c row_security=off")


def keeps_readers_waiting(db: Mutated) -> bool:
    """Whether the application does not read a table in good time."""
    return any(db.refuses(f"SELECT FROM public.{table} LIMIT 1", "platform_app") for table in _TABLES)


def keeps_writers_waiting(db: Mutated) -> bool:
    """Whether the application does not change a row in good time."""
    changes = [f"BEGIN; UPDATE public.{table} SET id = id; ROLLBACK" for table in _TABLES]
    return any(db.refuses(change, "platform_app") for change in changes)


def takes_the_connections(db: Mutated) -> bool:
    """Whether four fifths of all connections are in use."""
    return db.holds("count(*) > 0.8 * 57 FROM pg_stat_activity WHERE backend_type = 'client backend'")


def lets_no_more_in(db: Mutated) -> bool:
    """Whether a role that the platform works with is not let in."""
    return any(db.refuses("SELECT 1", role, settings="") for role in ("platform_app", "authenticator"))


def the_pooler_refuses(db: Mutated) -> bool:
    """Whether the address that the platform connects to does not let it in."""
    try:
        psycopg.connect(db.sandbox.pooler.dsn(db.dsn("platform_app"))).close()
    except psycopg.OperationalError:
        return True
    return False


def lends_no_connection(db: Mutated) -> bool:
    """Whether a request does not get its connection within half a second."""

    async def borrow() -> None:
        async with asyncio.timeout(0.5), db.sandbox.platform.database.connection() as connection:
            await connection.execute("SELECT 1")
        await db.sandbox.platform.database.close()

    try:
        run(borrow())
    except TimeoutError:
        return True
    return False


_is_not_safe = _asks(
    "_is_not_safe",
    "EXISTS (SELECT FROM pg_settings WHERE name IN ('full_page_writes', 'synchronous_commit', 'autovacuum',"
    " 'track_counts') AND setting <> 'on' OR name = 'zero_damaged_pages' AND setting = 'on')",
)
_has_no_limit = _asks(
    "_has_no_limit",
    "EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS kept WHERE kept ~ '_timeout=0$')",
)
_idles = _asks(
    "_idles",
    "EXISTS (SELECT FROM pg_stat_activity WHERE state = 'idle in transaction' AND state_change < now() -"
    " interval '1 min')",
)
_never_ends = _asks("_never_ends", "EXISTS (SELECT FROM pg_stat_activity WHERE xact_start < now() - interval '30 min')")
_is_forgotten = _asks("_is_forgotten", "EXISTS (SELECT FROM pg_prepared_xacts WHERE prepared < now() - interval '1 h')")
_is_mostly_dead = _asks("_is_mostly_dead", "EXISTS (SELECT FROM pg_stat_user_tables WHERE n_dead_tup > 10000)")
_is_never_cleaned = _asks(
    "_is_never_cleaned", "EXISTS (SELECT FROM pg_class WHERE 'autovacuum_enabled=false' = ANY (reloptions))"
)
_is_nearly_used_up = _asks(
    "_is_nearly_used_up", "age(datfrozenxid) > 1000000000 FROM pg_database WHERE datname = current_database()"
)
_keeps_wal_for_nobody = _asks("_keeps_wal_for_nobody", "EXISTS (SELECT FROM pg_replication_slots WHERE NOT active)")
archives_nothing = _asks("archives_nothing", "count(*) > 3 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'")
_shows_no_statements = _asks(
    "_shows_no_statements", "NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')"
)
# rule -> its oracle, and the subject that it is tried with.
OF_SERVER: dict[str, tuple[Oracle, str]] = {
    "safety-switched-off": (_is_not_safe, "full_page_writes"),
    "database-refuses": (fails_the_application, "read-only"),
    "limit-removed": (_has_no_limit, "authenticator-idle"),
    "table-locked": (keeps_readers_waiting, "review_helpfulness"),
    "rows-locked": (keeps_writers_waiting, "payment_transactions"),
    "transaction-idles": (_idles, "courses-minutes"),
    "transaction-never-ends": (_never_ends, "export"),
    "transaction-forgotten": (_is_forgotten, "courses"),
    "connections-taken": (takes_the_connections, "0.85"),
    "role-at-its-limit": (lets_no_more_in, "platform_app"),
    "pooler-refuses": (the_pooler_refuses, "full"),
    "database-slow": (lends_no_connection, "2"),
    "rows-dead": (_is_mostly_dead, "20000"),
    "vacuum-off": (_is_never_cleaned, "course_lessons"),
    "transaction-ids-used": (_is_nearly_used_up, "60"),
    "slot-keeps-wal": (_keeps_wal_for_nobody, "left-behind"),
    "extension-dropped": (_shows_no_statements, "pg_stat_statements"),
}
