"""The platform's migrations: what is applied, what is pending and harmless, and whether there is a way back."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks_database, depends_on
from fixtures.checks.evidence import Evidence
from fixtures.database.rows import Rows
from fixtures.migrations.lint import Complaint
from fixtures.migrations.rehearsal import PlatformRepo, Rehearsal, Script
from fixtures.run.current_run import Run
from fixtures.vendors.supabase import Backups

VERSIONS = asks_database(
    """
    SELECT version, current_setting('server_version_num')::int / 10000 AS major
      FROM supabase_migrations.schema_migrations ORDER BY version
    """,
    min_rows=1,
    sees=("migrations",),
)


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="migration-procedure", rollback_eligible=False, needs=("platform-repo",))
@VERSIONS
def test_what_is_applied_is_what_the_repository_holds(rows: Rows, platform_repo: PlatformRepo, run: Run) -> None:
    """Code that runs ahead of its migrations errs; one that no repository holds is lost with the database."""
    applied, known = rows.column(), platform_repo.versions
    # Before a deployment its migrations are still to come.
    due = [] if run.stage == "predeploy" else known

    assert {
        "applied, in no repository": [version for version in applied if version not in known],
        "in the repository, not applied": [version for version in due if version not in applied],
    } == {"applied, in no repository": [], "in the repository, not applied": []}


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="migration-procedure", rollback_eligible=False, needs=("platform-repo",))
@depends_on("platform repository")
@asks_database(
    r"""
    SELECT version, md5(regexp_replace(array_to_string(statements, E'\n'), '--[^\n]*|[ \t\r\n;]', '', 'g')) AS written
      FROM supabase_migrations.schema_migrations WHERE cardinality(statements) > 0
    """,
    min_rows=1,
    sees=("migrations",),
)
def test_no_migration_was_edited_after_it_was_applied(rows: Rows, platform_repo: PlatformRepo) -> None:
    """It would make another schema on every new database than production has: what passes there proves nothing here."""
    applied = dict(rows)

    assert [
        script.up.name
        for script in platform_repo.scripts
        if applied.get(script.version, script.written) != script.written
    ] == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="migration-procedure", rollback_eligible=False, needs=("platform-repo",))
@depends_on("platform repository")
@VERSIONS
def test_pending_migrations_neither_lock_nor_break_what_runs(complaints: list[Complaint]) -> None:
    """The old code is still running, and users are in it: for them a locked table is an outage, a missing one too."""
    assert [str(complaint) for complaint in complaints if complaint.severity == "P1"] == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="migration-procedure", rollback_eligible=False, needs=("platform-repo",))
@depends_on("platform repository")
@VERSIONS
def test_pending_migrations_leave_no_trap(complaints: list[Complaint]) -> None:
    """A column that runs out of numbers, a lock that is waited for without end: easy to write otherwise today."""
    assert [str(complaint) for complaint in complaints if complaint.severity == "P2"] == []


@pytest.mark.predeploy
@pytest.mark.check(
    severity="P1", runbook="backup-recovery", rollback_eligible=False, needs=("platform-repo", "supabase")
)
@depends_on("platform repository", "supabase backups")
@VERSIONS
def test_a_release_that_carries_migrations_can_be_gone_back_before(
    pending: list[Script], backups: Backups, budgets: Budgets, evidence: Evidence
) -> None:
    """A migration that goes wrong costs everything since the last backup; no rollback of a deployment undoes it."""
    evidence.measure("pending", len(pending), "migrations")
    if not pending:
        return
    if backups.recovery_is_on and backups.recovery is not None:
        evidence.reason("point-in-time recovery goes back to the moment before")
        assert backups.hours_since(backups.recovery[1]) <= budgets.recovery_lag
        return
    assert backups.newest is not None, "there is no completed backup at all"
    assert backups.hours_since(backups.newest) <= budgets.backup_before_migrations, (
        "without point-in-time recovery: release soon after the daily backup, or switch it on"
    )


@pytest.mark.predeploy
@pytest.mark.check(
    severity="P1", runbook="migration-procedure", rollback_eligible=False, needs=("rehearsal", "platform-repo")
)
@depends_on("table schema_migrations", "platform repository")
def test_pending_migrations_apply(rehearsal: Rehearsal) -> None:
    """One that fails in the middle of a deployment leaves a schema that neither the old nor the new code knows."""
    assert rehearsal.refused == []


@pytest.mark.predeploy
@pytest.mark.check(
    severity="P2", runbook="migration-procedure", rollback_eligible=False, needs=("rehearsal", "platform-repo")
)
@depends_on("table schema_migrations", "platform repository")
def test_migrations_can_be_undone(rehearsal: Rehearsal) -> None:
    """Up, down and up again must lead to one schema: a way back that was never walked is none."""
    assert rehearsal.unscripted == []
    assert rehearsal.astray == []
