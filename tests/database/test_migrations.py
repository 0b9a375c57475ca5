"""The platform's migrations: what is applied, what is pending, and whether there is a way back."""

from __future__ import annotations

import pytest

from fixtures.database import Rows
from fixtures.declarations import asks_database, touches
from fixtures.migrations import PlatformRepo, Rehearsal
from fixtures.run import Run

VERSIONS = asks_database(
    "SELECT version FROM supabase_migrations.schema_migrations ORDER BY version", min_rows=1, sees=("migrations",)
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
@pytest.mark.check(
    severity="P1", runbook="migration-procedure", rollback_eligible=False, needs=("rehearsal", "platform-repo")
)
@touches("table schema_migrations", "platform repository")
def test_pending_migrations_apply(rehearsal: Rehearsal) -> None:
    """One that fails in the middle of a deployment leaves a schema that neither the old nor the new code knows."""
    assert rehearsal.refused == []


@pytest.mark.predeploy
@pytest.mark.check(
    severity="P2", runbook="migration-procedure", rollback_eligible=False, needs=("rehearsal", "platform-repo")
)
@touches("table schema_migrations", "platform repository")
def test_migrations_can_be_undone(rehearsal: Rehearsal) -> None:
    """Up, down and up again must lead to one schema: a way back that was never walked is none."""
    assert rehearsal.unscripted == []
    assert rehearsal.astray == []
