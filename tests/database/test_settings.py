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
    SELECT name, setting
      FROM pg_settings
     WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'track_activities', 'track_counts')
    """,
    min_rows=5,
)
def test_commits_are_durable_and_counted(rows: Rows) -> None:
    """With one of these off a crash loses payments that Stripe took, or all numbers here are old."""
    assert [name for name, setting in rows if setting == "off"] == []


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
     WHERE rolname IN ('anon', 'authenticated') AND datname = current_database()
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
