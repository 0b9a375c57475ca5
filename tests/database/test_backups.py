"""Checks of backups: those that Supabase lists, and the archive of the WAL."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks_database, depends_on
from fixtures.checks.evidence import Evidence
from fixtures.database.rows import Rows
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
    SELECT (current_setting('archive_mode') <> 'off')::int AS examined,
           last_failed_wal, last_failed_time > coalesce(last_archived_time, '-infinity') AS failing
      FROM pg_stat_archiver
    """,
    min_rows=1,
)
def test_the_wal_is_archived(rows: Rows) -> None:
    """Without it nothing since the last backup can be restored, and the waiting files fill the disk."""
    assert [segment for _, segment, failing in rows if failing] == []
