"""Checks of the platform's migrations: the applied ones, the pending ones, and the way back."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import asks_database, depends_on
from fixtures.checks.evidence import Evidence
from fixtures.database.rows import Rows
from fixtures.migrations.lint import Complaint
from fixtures.migrations.rehearsal import Rehearsal, Script
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
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure", needs=("platform-repo",))
@VERSIONS
def test_applied_migrations_match_the_repository(rows: Rows, platform_repo: list[Script], run: Run) -> None:
    """Code fails without its migrations, and a migration that is in no repository is lost with the database."""
    applied, known = rows.column(), [script.version for script in platform_repo]
    # Before a deployment its migrations are not applied yet.
    due = [] if run.stage == "predeploy" else known

    wrong = [f"{version} is applied and not in the repository" for version in applied if version not in known]
    wrong += [f"{version} is in the repository and not applied" for version in due if version not in applied]
    assert wrong == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="migration-procedure", needs=("platform-repo",))
@depends_on("platform repository")
@asks_database(
    r"""
    SELECT version, md5(regexp_replace(array_to_string(statements, E'\n'), '--[^\n]*|[ \t\r\n;]', '', 'g')) AS written
      FROM supabase_migrations.schema_migrations WHERE cardinality(statements) > 0
    """,
    min_rows=1,
    sees=("migrations",),
)
def test_no_migration_was_edited_after_it_was_applied(rows: Rows, platform_repo: list[Script]) -> None:
    """Every new database would get another schema than production, so tests there prove nothing about production."""
    applied = dict(rows)

    assert [
        script.up.name for script in platform_repo if applied.get(script.version, script.written) != script.written
    ] == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure", needs=("platform-repo",))
@depends_on("platform repository")
@VERSIONS
def test_pending_migrations_neither_lock_nor_break_what_runs(complaints: list[Complaint]) -> None:
    """Users work with the old code meanwhile: a locked or a missing table is an outage for them."""
    assert [str(complaint) for complaint in complaints if complaint.severity == "P1"] == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="migration-procedure", needs=("platform-repo",))
@depends_on("platform repository")
@VERSIONS
def test_pending_migrations_follow_the_rules_of_safe_migrations(complaints: list[Complaint]) -> None:
    """A column whose numbers run out, or a lock without a timeout, is easy to avoid now and costly later."""
    assert [str(complaint) for complaint in complaints if complaint.severity == "P2"] == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="backup-recovery", needs=("platform-repo", "supabase"))
@depends_on("platform repository", "supabase backups")
@VERSIONS
def test_a_release_with_migrations_can_be_undone(
    pending: list[Script], backups: Backups, budgets: Budgets, evidence: Evidence
) -> None:
    """A rollback of the deployment does not undo a bad migration; restoring loses everything since the last backup."""
    evidence.measure("pending", len(pending), "migrations")
    if not pending:
        return
    if backups.recovery_is_on and backups.recovery is not None:
        evidence.reason("point-in-time recovery can restore the moment before the release")
        assert backups.hours_since(backups.recovery[1]) <= budgets.recovery_lag
        return
    newest = backups.newest_within(budgets.backup_before_migrations.terms.limit)
    assert newest is not None, "there is no completed backup at all"
    assert backups.hours_since(newest) <= budgets.backup_before_migrations, (
        "without point-in-time recovery release soon after the daily backup, or switch recovery on"
    )


@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure", needs=("rehearsal", "platform-repo"))
@depends_on("table schema_migrations", "platform repository")
def test_pending_migrations_apply(rehearsal: Rehearsal) -> None:
    """A migration that fails during a deployment leaves a schema that neither the old nor the new code expects."""
    assert rehearsal.refused == []


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="migration-procedure", needs=("rehearsal", "platform-repo"))
@depends_on("table schema_migrations", "platform repository")
def test_migrations_can_be_undone(rehearsal: Rehearsal) -> None:
    """Undoing and applying again must lead to the same schema. An untested way back does not count."""
    assert rehearsal.unscripted == []
    assert rehearsal.astray == []
