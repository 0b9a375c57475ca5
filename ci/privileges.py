"""The rights of the database's roles and how they connect, for `ci/verify doctor`; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import psycopg

from fixtures.database import errors
from fixtures.database.privileges import question, remedy, views
from fixtures.database.session import connect

_RUN = "doctor"
# A text, whether it is good, and the remedy.
_Seen = tuple[str, bool, str]
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


class Finding(NamedTuple):
    """
    One line of the doctor.

    good: None: information only.  remedy: what to do when it is not good.  absent: it is not there at all; anything
    that is there and does not work has failed.
    """

    about: str
    text: str
    good: bool | None = True
    remedy: str = ""
    absent: bool = False


def look(dsn: str, variable: str = "DSN", *, about: str = "database") -> Iterator[Finding]:
    """
    Yield the connection of a role, then everything that it may or may not do; read-only.

    variable: the name of the variable that holds the DSN, for the remedy.  about: "database" or "pooler" for the role
    that monitors; "copying" for the one that copies, which must read every row of public.
    """
    looks, role_file = (_copying, "dump_role.sql") if about == "copying" else (_monitoring, "monitor_role.sql")
    try:
        with connect(dsn, _RUN) as connection:
            yield from (Finding(about, *seen) for seen in looks(connection))
    except psycopg.Error as error:
        reason = errors.first_line(error)
        remedy = f'psql "${variable}" from this machine says the same until host, port and network are right'
        if reason.startswith("wrong DSN"):
            remedy = f"export {variable}=postgresql://…, the DSN of the role that ci/sql/{role_file} makes"
        yield Finding(about, f"no connection: {reason}", good=False, remedy=remedy)


def _copying(connection: psycopg.Connection) -> Iterator[_Seen]:
    role, everything = connection.execute(_COPYABLE).fetchone() or ("", False)
    text = f"{'can' if everything else 'cannot'} copy every row of public as {role}"
    yield text, bool(everything), "run ci/sql/dump_role.sql as the owner of the tables"


def _monitoring(connection: psycopg.Connection) -> Iterator[_Seen]:
    row = connection.execute(_CONNECTED).fetchone()
    role, version, standby, process, since, counting, statements = row or ("", "", False, 0, "", False, None)
    way = "direct" if connection.info.backend_pid == process else "through a pooler"
    yield f"PostgreSQL {version}, {'standby' if standby else 'primary'}, as {role}, {way}", True, ""
    counted = f"statistics {'counted since ' + since if counting else 'are not counted'}"
    yield counted, counting, "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf()"
    extension = "CREATE EXTENSION pg_stat_statements (and shared_preload_libraries, with a restart)"
    yield f"pg_stat_statements {statements or 'is not there'}", statements is not None, extension
    answers = connection.execute(question().encode()).fetchone() or ()
    for (what, view), seen in zip(views().items(), answers, strict=True):
        yield f"{'sees' if seen else 'does not see'} {view.what}", bool(seen), remedy(what, f'"{role}"')
    (readable,) = connection.execute(_READABLE).fetchone() or (None,)
    other = "give the checks the role of ci/sql/monitor_role.sql: no customer's row may leave through them"
    yield f"can read {readable or 'no table of the platform'}", not readable, other
