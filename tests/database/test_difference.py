"""Checks of what a release changed: PostgreSQL's counters and objects, compared with the snapshot before it."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import depends_on
from fixtures.checks.evidence import Evidence, NotMeasured
from fixtures.database.difference import Difference
from fixtures.database.schema_change import columns_narrowed, guards_gone, migrated, rows_gone
from fixtures.database.snapshot_change import (
    access_void,
    changed_access,
    new_unguarded_tables,
    new_unusable_indexes,
    reads_lost,
)

# A rollback of the deployment does not undo it, and at night the snapshot is of another release.
OF_A_RELEASE = {"needs": ("before-snapshot",), "daily": False}


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure", **OF_A_RELEASE)
@depends_on("table pg_index")
def test_the_release_left_no_index_unusable(difference: Difference) -> None:
    """An index that failed to build slows every write, helps no read, and does not keep values unique."""
    assert new_unusable_indexes(*difference) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security", **OF_A_RELEASE)
@depends_on("table pg_class")
def test_the_release_opened_no_table(difference: Difference) -> None:
    """Without row level security the key that every browser holds reads and writes the whole table."""
    assert new_unguarded_tables(*difference) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="incident-security", **OF_A_RELEASE)
@depends_on("table pg_policies", "table pg_class")
def test_the_release_closed_nothing_that_users_read(difference: Difference) -> None:
    """Users lose their receipts, or visitors the catalogue, and no migration says that it was meant."""
    if reason := access_void(*difference):
        raise NotMeasured(reason)
    lost = [] if migrated(*difference) else reads_lost(*difference)

    assert lost == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P3", judges="upkeep", runbook="incident-security", **OF_A_RELEASE)
@depends_on("table pg_policies", "table pg_class")
def test_the_release_changed_nobodys_access(difference: Difference) -> None:
    """Somebody reads or writes other relations than before the release; a person should confirm the intention."""
    if reason := access_void(*difference):
        raise NotMeasured(reason)
    assert changed_access(*difference) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="migration-procedure", **OF_A_RELEASE)
@depends_on("table pg_constraint", "table pg_index", "table pg_attribute")
def test_no_guard_of_rows_went_without_a_migration(difference: Difference, evidence: Evidence) -> None:
    """A constraint, key or default is gone and no migration took it: the next mistake of the code is kept as a row."""
    gone = guards_gone(*difference)
    if gone and migrated(*difference):
        evidence.reason(f"a migration of this release took {'; '.join(gone)}")
        return

    assert gone == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="migration-procedure", **OF_A_RELEASE)
@depends_on("table pg_attribute")
def test_the_release_made_no_column_narrower(difference: Difference) -> None:
    """All rows of today fit, and the next address, price or session does not."""
    assert columns_narrowed(*difference) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="backup-recovery", **OF_A_RELEASE)
@depends_on("table *")
def test_the_release_lost_no_rows(difference: Difference) -> None:
    """A script or a restore has removed rows of users, courses or payments; nobody deletes a fifth of them by hand."""
    before, after = (snapshot.rows for snapshot in difference)
    if before is None or after is None:
        msg = "the counter of rows was not read: run ci/sql/monitor_role.sql again"
        raise NotMeasured(msg)

    assert rows_gone(before, after) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security", **OF_A_RELEASE)
@depends_on("table user_profiles", "table users")
def test_the_release_made_no_administrator(difference: Difference) -> None:
    """An account that became administrator since the snapshot can read and change everything."""
    before, after = (snapshot.administrators for snapshot in difference)
    if before is None or after is None:
        msg = "the counter of accounts was not read: run ci/sql/monitor_role.sql again"
        raise NotMeasured(msg)

    assert after <= before


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance", **OF_A_RELEASE)
@depends_on("table pg_stat_database")
def test_no_deadlock_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """New code locks rows in another order; PostgreSQL ends one of two requests, and its user sees an error."""
    assert difference.counter("deadlocks") <= budgets.deadlocks


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance", **OF_A_RELEASE)
@depends_on("table pg_stat_database")
def test_queries_work_in_memory_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """A sort that does not fit into memory uses the disk: pages become slow, and later the disk is full."""
    assert difference.counter("temporary_files") <= budgets.temporary_files


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance", **OF_A_RELEASE)
@depends_on("table pg_stat_database")
def test_transactions_are_committed_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """A transaction that was rolled back was an error for a user, or useless work."""
    assert difference.counter("rolled_back") <= budgets.rolled_back


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-connection-issues", **OF_A_RELEASE)
@depends_on("table pg_stat_database")
def test_sessions_end_by_themselves_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """A killed session takes a request with it. The cause is a crash, a conflict on a standby, or a person."""
    assert difference.counter("sessions_lost") <= budgets.sessions_lost


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-connection-issues", **OF_A_RELEASE)
@depends_on("table pg_stat_activity")
def test_connections_are_given_back_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """Code that keeps its connections uses all of them within hours, and nobody can sign in. A burst does not count."""
    assert difference.counter("connections_leaked") <= budgets.connections_leaked


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance", **OF_A_RELEASE)
@depends_on("table pg_class")
def test_no_table_grew_suddenly_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """A quarter more in an hour means a loop that writes, or a migration that rewrote the table; the disk fills up."""
    growing = [table for table, percent in difference.growth().items() if not percent <= budgets.table_growth]

    assert growing == []
