"""The rights of the database's roles and how they connect, for `ci/verify doctor`; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg

from fixtures.database import errors
from fixtures.database.privileges import question, remedy, views
from fixtures.database.session import connect, overdue, time_limit

_RUN = "doctor"
_WAITS = "SELECT pid, query, wait_event FROM pg_stat_activity shows what the database waits for"
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


_COPYABLE = """
    SELECT current_user, count(*) > 0 AND bool_and(has_table_privilege(oid, 'SELECT') AND NOT row_security_active(oid))
      FROM pg_class WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p')
"""


class Seen(NamedTuple):
    """One line. good: None: information only.  remedy: the statement or command that repairs it."""

    text: str
    good: bool | None = True
    remedy: str = ""


def look(dsn: str, variable: str = "DSN") -> Iterator[Seen]:
    """
    Yield the connection of the monitoring role, then everything that it sees or does not see; read-only.

    variable: the name of the variable that holds the DSN, for the remedy.
    """
    return _connected(dsn, _look, variable, "ci/sql/monitor_role.sql")


def look_at_copying(dsn: str, variable: str = "DSN") -> Iterator[Seen]:
    """Yield whether the role that copies may read every row of public; no row is read."""
    return _connected(dsn, _look_at_copying, variable, "ci/sql/dump_role.sql")


def _connected(
    dsn: str, looks: Callable[[psycopg.Connection], Iterator[Seen]], variable: str, role_file: str
) -> Iterator[Seen]:
    try:
        with connect(dsn, _RUN) as connection, time_limit(connection) as expired:
            try:
                yield from looks(connection)
            except psycopg.OperationalError:
                if not expired.is_set():
                    raise
                yield Seen(overdue(), good=False, remedy=_WAITS)
    except psycopg.Error as error:
        reason = errors.first_line(error)
        remedy = f'psql "${variable}" from this machine says the same until host, port and network are right'
        if reason.startswith("wrong DSN"):
            remedy = f"export {variable}=postgresql://…, the DSN of the role that {role_file} makes"
        yield Seen(f"no connection: {reason}", good=False, remedy=remedy)


def _look_at_copying(connection: psycopg.Connection) -> Iterator[Seen]:
    role, everything = connection.execute(_COPYABLE).fetchone() or ("", False)
    text = f"{'can' if everything else 'cannot'} copy every row of public as {role}"
    yield Seen(text, bool(everything), "run ci/sql/dump_role.sql as the owner of the tables")


def _look(connection: psycopg.Connection) -> Iterator[Seen]:
    row = connection.execute(_CONNECTED).fetchone()
    role, version, standby, process, since, counting, statements = row or ("", "", False, 0, "", False, None)
    way = "direct" if connection.info.backend_pid == process else "through a pooler"
    yield Seen(f"PostgreSQL {version}, {'standby' if standby else 'primary'}, as {role}, {way}")
    yield Seen(
        f"statistics {'counted since ' + since if counting else 'are not counted'}",
        good=counting,
        remedy="ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf()",
    )
    yield Seen(
        f"pg_stat_statements {statements or 'is not there'}",
        good=statements is not None,
        remedy="CREATE EXTENSION pg_stat_statements (and shared_preload_libraries, with a restart)",
    )
    answers = connection.execute(question().encode()).fetchone() or ()
    for (what, view), seen in zip(views().items(), answers, strict=True):
        yield Seen(f"{'sees' if seen else 'does not see'} {view.what}", bool(seen), remedy(what, f'"{role}"'))
    (readable,) = connection.execute(_READABLE).fetchone() or (None,)
    yield Seen(
        f"can read {readable or 'no table of the platform'}",
        good=not readable,
        remedy="give the checks the role of ci/sql/monitor_role.sql: no customer's row may leave through them",
    )
