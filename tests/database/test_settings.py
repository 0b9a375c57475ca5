"""Checks of settings and extensions on which all other results depend."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import asks_database
from fixtures.checks.evidence import NotMeasured
from fixtures.database.rows import Rows

_IDLE = "idle_in_transaction_session_timeout"


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT name, setting = CASE WHEN name ~ '^(zero|ignore)_' THEN 'on' ELSE 'off' END AS unsafe
      FROM pg_settings
     WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'track_activities', 'track_counts',
                    'zero_damaged_pages', 'ignore_checksum_failure')
     UNION ALL
    SELECT format('%s of %s', split_part(setting, '=', 1), coalesce(setrole::regrole::text, 'the database')),
           lower(split_part(setting, '=', 2)) IN ('off', 'false', 'no', '0', 'f', 'n')
      FROM pg_db_role_setting, unnest(setconfig) AS setting
     WHERE setting ~ '^(synchronous_commit|track_activities)='
       AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    """,
    # PostgreSQL shows the settings for developers to superusers only; five are for everyone.
    min_rows=5,
)
def test_commits_are_durable_and_counted(rows: Rows) -> None:
    """
    With one of these wrong a crash loses payments that Stripe took, or PostgreSQL hides damage.

    Roles and databases may have values of their own. Supabase sets none of these for a role.
    """
    assert [name for name, unsafe in rows if unsafe] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT count(*) AS examined,
           array_agg(relname::text ORDER BY relname) FILTER (WHERE relpersistence = 'u') AS unlogged
      FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm', 'S')
    """,
    min_rows=5,
)
def test_no_table_is_emptied_by_a_crash(rows: Rows) -> None:
    """PostgreSQL empties an UNLOGGED table after a crash; standbys and point-in-time recovery never have its rows."""
    _, unlogged = rows.one(int, object)

    assert (unlogged or []) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="database-connection-issues")
@asks_database(
    r"""
    SELECT count(*) AS examined, array_agg(
             format('%s for %s', s.setting, coalesce(setrole::regrole::text, 'everyone in the database'))
             ORDER BY s.setting) FILTER (
             WHERE s.setting ~* '^(default_transaction_read_only|zero_damaged_pages)=(on|true|yes|1)$'
                OR s.setting ~* '^row_security=(off|false|no|0)$'
                OR s.setting ~* '^session_replication_role=(replica|local)$'
                OR s.setting ~ '^role='
                OR s.setting ~ '^(statement|lock|idle_in_transaction_session)_timeout=[1-9]\d{0,2}(ms)?$'
           ) AS hampering
      FROM pg_roles r
      LEFT JOIN (pg_db_role_setting CROSS JOIN LATERAL unnest(setconfig) AS s (setting))
        ON setrole IN (0, r.oid)
       AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
     WHERE r.rolname IN ('anon', 'authenticated', 'service_role', 'authenticator')
        OR r.rolcanlogin AND r.rolname !~ '^(supabase_|synthetic_|pgbouncer)' AND EXISTS (
             SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
              WHERE m.member = r.oid AND g.rolname = 'service_role')
    """,
    min_rows=2,
)
def test_no_setting_of_a_role_hampers_the_platform(rows: Rows) -> None:
    """
    A role's or a database's own setting changes every statement of the platform from its next connection on.

    Judged are the roles of the data API, and logins that have the rights of `service_role`. Supabase's own timeouts
    (3 s, 8 s), search paths and libraries are healthy; its read-only role is not the platform's.
    """
    _, hampering = rows.one(int, object)

    assert sorted(set(hampering or [])) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database(
    """
    SELECT wanted.name, e.extversion IS NOT NULL AS installed, e.extversion = a.default_version AS current
      FROM unnest(ARRAY['pg_stat_statements', 'plpgsql']) AS wanted(name)
      LEFT JOIN pg_extension e ON e.extname = wanted.name
      LEFT JOIN pg_available_extensions a ON a.name = wanted.name
    """,
    min_rows=2,
)
def test_extensions_are_installed_and_current(rows: Rows) -> None:
    """Without pg_stat_statements nobody knows which query is slow, and an old version lacks columns."""
    assert [name for name, installed, current in rows if not installed or not current] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-connection-issues")
@asks_database(
    """
    SELECT rolname, coalesce(
             (SELECT setting ~ '[1-9]'
                FROM pg_db_role_setting s, unnest(s.setconfig) AS setting
               WHERE s.setrole = r.oid AND s.setdatabase IN (0, d.oid) AND setting LIKE 'statement_timeout=%'
               ORDER BY s.setdatabase = 0 LIMIT 1), false) AS ends
      FROM pg_roles r, pg_database d
     WHERE rolname IN ('anon', 'authenticated', 'authenticator') AND datname = current_database()
    """,
    min_rows=2,
)
def test_queries_of_browsers_have_a_time_limit(rows: Rows) -> None:
    """A visitor's query without a time limit is the cheapest way to stop the database."""
    assert [role for role, ends in rows if not ends] == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-connection-issues")
@asks_database(
    """
    SELECT r.rolname, coalesce(
             (SELECT setting ~ '[1-9]'
                FROM pg_db_role_setting s, unnest(s.setconfig) AS setting
               WHERE s.setrole IN (0, r.oid) AND s.setdatabase IN (0, d.oid)
                 AND setting LIKE 'idle_in_transaction_session_timeout=%'
               ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1),
             -- Where the monitoring role has a value of its own, it cannot see the server's.
             CASE WHEN own.source NOT IN ('user', 'database user', 'session', 'client') THEN own.setting <> '0' END
           ) AS ends
      FROM pg_roles r, pg_database d, pg_settings own
     WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolreplication AND r.rolname !~ '^synthetic_'
       AND d.datname = current_database() AND own.name = 'idle_in_transaction_session_timeout'
    """,
    min_rows=1,
)
def test_idle_transactions_have_a_time_limit(rows: Rows) -> None:
    """A function that is killed inside a transaction leaves its locks; only the server can release them."""
    hidden = [role for role, ends in rows if ends is None]
    if hidden:
        msg = f"the timeout of {hidden[0]} cannot be seen; set it with ALTER DATABASE … SET {_IDLE}"
        raise NotMeasured(msg)

    assert [role for role, ends in rows if not ends] == []


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@asks_database("SELECT name, setting FROM pg_settings WHERE name = 'data_checksums'", min_rows=1)
def test_pages_carry_checksums(rows: Rows) -> None:
    """Without checksums PostgreSQL reads a damaged page as a good one and copies it into every backup."""
    assert [name for name, setting in rows if setting != "on"] == []
