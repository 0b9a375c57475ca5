"""What the monitoring role can see, and the statement that lets it see the rest. Read-only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import psycopg
from psycopg import sql

_SECONDS = 10
_ROLE = "SELECT current_user, current_setting('server_version')"
# A relation that is not there counts as unseen: on the real platform each of them exists.
_SIGHTS: tuple[tuple[str, LiteralString, LiteralString], ...] = (
    (
        "other sessions' queries and backend types",
        "SELECT count(*) FILTER (WHERE query = '<insufficient privilege>') = 0 FROM pg_stat_activity",
        "GRANT pg_monitor TO {}",
    ),
    (
        "every sequence of public",
        """SELECT count(*) > 0 AND bool_and(has_sequence_privilege(oid, 'SELECT')) FROM pg_class
            WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace""",
        "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {}",
    ),
    (
        "rows of public.payments past row-level security",
        """SELECT coalesce(has_table_privilege(to_regclass('public.payments'), 'SELECT'), false)
                  AND NOT coalesce(row_security_active(to_regclass('public.payments')), true)""",
        "GRANT pg_read_all_data TO {0}; ALTER ROLE {0} BYPASSRLS",
    ),
    (
        "pg_stat_statements",
        "SELECT count(*) = 1 FROM pg_extension WHERE extname = 'pg_stat_statements'",
        "CREATE EXTENSION pg_stat_statements (and shared_preload_libraries, with a restart)",
    ),
    (
        "applied migrations",
        "SELECT coalesce(has_table_privilege(to_regclass('supabase_migrations.schema_migrations'), 'SELECT'), false)",
        """GRANT USAGE ON SCHEMA supabase_migrations TO {0};
           GRANT SELECT ON supabase_migrations.schema_migrations TO {0}""",
    ),
)


def look(dsn: str) -> Iterator[tuple[str, bool, str]]:
    """Yield (what, whether it is seen, the statement that mends it), the connection first."""
    try:
        connection = psycopg.connect(dsn, connect_timeout=_SECONDS, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        yield (f"no connection: {str(error).strip().splitlines()[0]}", False, "psql with the variable's DSN")
        return
    with connection:
        role, version = connection.execute(_ROLE).fetchone() or ("", "")
        yield (f"PostgreSQL {version} as {role}", True, "")
        for what, question, mend in _SIGHTS:
            yield (*_see(connection, what, question), _named(mend, role))


def _named(mend: LiteralString, role: str) -> str:
    return " ".join(sql.SQL(mend).format(sql.Identifier(role)).as_string().split())


def _see(connection: psycopg.Connection, what: str, question: LiteralString) -> tuple[str, bool]:
    try:
        row = connection.execute(question).fetchone()
    except psycopg.Error as error:
        return f"{what}: {str(error).strip().splitlines()[0]}", False
    seen = row is not None and row[0] is True
    return f"{'sees' if seen else 'does not see'} {what}", seen
