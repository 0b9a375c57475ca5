"""What the monitoring role can see, what it had better not, and what it is connected to: for `ci/verify doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import psycopg

from fixtures import database_errors, masks
from fixtures.database_session import connect
from fixtures.sight import mending, question, views

_RUN = "doctor"
_CONNECTED = """
    SELECT current_user, current_setting('server_version'), pg_is_in_recovery(), pg_backend_pid(),
           (SELECT date_trunc('second', coalesce(stats_reset, pg_postmaster_start_time()))::text
              FROM pg_stat_database WHERE datname = current_database()),
           current_setting('track_counts')::bool,
           (SELECT format('%s in schema %I', extversion, nspname) FROM pg_extension e
              JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_stat_statements')
"""
_READABLE = """
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY relname) FROM pg_class c
     WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p')
       AND has_schema_privilege('public', 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
"""


class Seen(NamedTuple):
    """One line. good: None for what is only told.  mend: the statement or command that mends it."""

    text: str
    good: bool | None = True
    mend: str = ""


def look(dsn: str) -> Iterator[Seen]:
    """Tell of the connection, then of everything that is seen or not; read-only."""
    try:
        with connect(dsn, _RUN) as connection:
            yield from _look(connection)
    except psycopg.Error as error:
        yield Seen(f"no connection: {masks.mask(database_errors.name(error).text)}", good=False, mend="see above")


def _look(connection: psycopg.Connection) -> Iterator[Seen]:
    row = connection.execute(_CONNECTED).fetchone()
    role, version, standby, process, since, counting, statements = row or ("", "", False, 0, "", False, None)
    way = "direct" if connection.info.backend_pid == process else "through a pooler"
    yield Seen(f"PostgreSQL {version}, {'standby' if standby else 'primary'}, as {role}, {way}")
    yield Seen(
        f"statistics {'counted since ' + since if counting else 'are not counted'}",
        good=counting,
        mend="ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf()",
    )
    yield Seen(
        f"pg_stat_statements {statements or 'is not there'}",
        good=statements is not None,
        mend="CREATE EXTENSION pg_stat_statements (and shared_preload_libraries, with a restart)",
    )
    answers = connection.execute(question().encode()).fetchone() or ()
    for (what, view), seen in zip(views().items(), answers, strict=True):
        yield Seen(f"{'sees' if seen else 'does not see'} {view.what}", bool(seen), mending(what, f'"{role}"'))
    (readable,) = connection.execute(_READABLE).fetchone() or (None,)
    yield Seen(
        f"can read {readable or 'no table of the platform'}",
        good=not readable,
        mend="give the checks the role of ci/sql/monitor_role.sql: no customer's row may leave through them",
    )
