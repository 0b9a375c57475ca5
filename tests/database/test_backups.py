"""Checks of backups: those that Supabase lists, and the archive of the WAL."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks_database, depends_on
from fixtures.checks.evidence import Evidence
from fixtures.database.rows import MedianOfThree, Rows
from fixtures.vendors.supabase import Backups


@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="upkeep", runbook="backup-recovery", needs=("supabase",))
@depends_on("supabase backups")
def test_a_backup_was_completed_lately(backups: Backups, budgets: Budgets) -> None:
    """A lost database takes everything since the last backup with it: payments, enrolments, accounts."""
    newest = backups.newest_within(budgets.backup_age.terms.limit)

    assert newest is not None, "there is no completed backup at all"
    assert backups.hours_since(newest) <= budgets.backup_age


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="backup-recovery", needs=("supabase",))
@depends_on("supabase backups")
def test_the_newest_backup_did_not_fail(backups: Backups) -> None:
    """After one failure others follow, until no backup is recent enough."""
    assert [f"{backup.began:%Y-%m-%d %H:%M} {backup.status}" for backup in backups.failed()] == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="backup-recovery", needs=("supabase",))
@depends_on("supabase backups")
def test_any_of_the_last_seven_days_can_be_restored(backups: Backups, budgets: Budgets) -> None:
    """Damage that somebody notices after a weekend needs a backup from before it."""
    assert backups.widest_gap(budgets.backup_gap.terms.limit) <= budgets.backup_gap


@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="backup-recovery", needs=("supabase",))
@depends_on("supabase backups")
def test_point_in_time_recovery_is_current(backups: Backups, budgets: Budgets, evidence: Evidence) -> None:
    """With recovery a bad migration costs minutes; without it, the time since the last backup."""
    if not backups.recovery_is_on:
        evidence.reason("point-in-time recovery is off: the runbook promises seven days of it")
        return
    assert backups.recovery is not None, "point-in-time recovery is on and can restore no moment"
    assert backups.hours_since(backups.recovery[1]) <= budgets.recovery_lag


@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="backup-recovery", needs=("supabase",))
@asks_database(
    """
    SELECT current_setting('archive_mode') <> 'off' AS archives,
           current_setting('archive_command') !~ '\\S'
             AND coalesce(current_setting('archive_library', true), '') = '' AS aimless,
           CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN last_failed_wal END AS failed
      FROM pg_stat_archiver
    """,
    min_rows=1,
)
def test_the_wal_is_archived(rows: Rows, backups: Backups, evidence: Evidence) -> None:
    """
    Without it nothing since the last backup can be restored, and the waiting files fill the disk.

    A project of Supabase without point-in-time recovery may have no archive: its daily backups are judged elsewhere.
    """
    archives, aimless, failed = rows.one(bool, bool, object)
    if not archives and not backups.recovery_is_on:
        evidence.reason("the WAL is not archived; without point-in-time recovery Supabase need not")
        return

    assert archives, "point-in-time recovery is on, and archive_mode is off"
    assert not aimless, "archive_mode is on, and neither archive_command nor archive_library is set"
    assert failed is None, f"the archive refused {failed}"


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="backup-recovery")
@asks_database(
    """
    SELECT count(*) FILTER (WHERE name IS NOT NULL
             AND made >= date_trunc('second', coalesce(last_archived_time, '-infinity'))) AS waiting,
           current_setting('archive_mode') AS mode
      FROM pg_stat_archiver
      LEFT JOIN (SELECT name, min(modification) OVER () AS made FROM pg_ls_archive_statusdir()
                  WHERE name LIKE '%.ready') AS ready ON true
     GROUP BY last_archived_time
    """,
    min_rows=1,
    sees=("activity",),
)
def test_no_wal_waits_for_the_archive(median_of_three: MedianOfThree, budgets: Budgets) -> None:
    """
    A command that does not exist, or hangs, ends the archiver before it counts a failure; only the files pile up.

    Files count while nothing has been archived since the oldest of them; a burst of writes is archived one by one.
    """
    assert median_of_three(_waiting, budgets.wal_waiting) <= budgets.wal_waiting


def _waiting(rows: Rows) -> float:
    waiting, _ = rows.one(float, str)
    return float(waiting)


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="upkeep", runbook="backup-recovery")
@asks_database(
    """
    SELECT r.rolname, array_remove(ARRAY[
             CASE WHEN NOT rolcanlogin THEN 'cannot log in' END,
             CASE WHEN rolconnlimit BETWEEN 0 AND 1 THEN 'has fewer than two connections' END,
             CASE WHEN rolvaliduntil < now() THEN 'has expired' END,
             -- pg_dump refuses to run where policies hide rows from it.
             CASE WHEN NOT rolsuper AND NOT rolbypassrls AND guarded > 0
                  THEN 'does not see the rows behind policies' END,
             CASE WHEN NOT rolsuper AND NOT pg_has_role(r.oid, 'pg_read_all_data', 'USAGE') AND closed > 0
                  THEN 'may not read ' || closed || ' tables' END], NULL) AS lacks
      FROM pg_roles r
     CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE relrowsecurity AND (relforcerowsecurity
                                 OR NOT pg_has_role(r.oid, relowner, 'USAGE'))) AS guarded,
              count(*) FILTER (WHERE NOT has_table_privilege(r.oid, c.oid, 'SELECT')) AS closed
         FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')) AS tables
     WHERE r.rolname = 'synthetic_dump'
    """,
    # Where the owner of the tables makes the copies, this role does not exist.
    min_rows=0,
)
def test_the_role_that_copies_the_database_reads_every_row(rows: Rows) -> None:
    """Without its rights no copy is made: nobody tries a restore or rehearses a migration until it is needed."""
    assert [f"{role} {lack}" for role, lacks in rows for lack in lacks] == []
