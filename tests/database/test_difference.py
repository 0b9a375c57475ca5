"""What a release changed: PostgreSQL's own counters and objects against the snapshot from ahead of its migrations."""

from __future__ import annotations

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import depends_on
from fixtures.database.difference import Difference

# Undoing the deployment undoes nothing of it, and at night the snapshot is of another release.
OF_A_RELEASE = {"rollback_eligible": False, "needs": ("before-snapshot",), "daily": False}


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="migration-procedure", **OF_A_RELEASE)
@depends_on("table pg_index")
def test_the_release_left_no_index_unusable(difference: Difference) -> None:
    """An index whose building failed costs every write and helps no read, and its uniqueness is not kept."""
    assert difference.new_unusable_indexes() == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="incident-security", **OF_A_RELEASE)
@depends_on("table pg_class")
def test_the_release_opened_no_table(difference: Difference) -> None:
    """Without row level security the key that every browser holds reads and writes the whole table."""
    assert difference.new_unguarded_tables() == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P3", runbook="incident-security", **OF_A_RELEASE)
@depends_on("table pg_policies")
def test_the_release_changed_no_policy(difference: Difference) -> None:
    """Who may see whose rows is another matter than a release: when it has changed, somebody should have meant it."""
    assert difference.changed_policies() == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="database-maintenance", **OF_A_RELEASE)
@depends_on("table pg_stat_database")
def test_no_deadlock_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """PostgreSQL ends one of the two requests, and its user sees an error: new code takes rows in another order."""
    assert difference.counter("deadlocks") <= budgets.deadlocks


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="database-maintenance", **OF_A_RELEASE)
@depends_on("table pg_stat_database")
def test_queries_work_in_memory_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """A sort that does not fit goes to the disk: pages get slow first, then the disk is full."""
    assert difference.counter("temporary_files") <= budgets.temporary_files


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="database-maintenance", **OF_A_RELEASE)
@depends_on("table pg_stat_database")
def test_transactions_are_committed_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """What is rolled back again and again was an error for somebody, or work for nothing."""
    assert difference.counter("rolled_back") <= budgets.rolled_back


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="database-connection-issues", **OF_A_RELEASE)
@depends_on("table pg_stat_database")
def test_sessions_end_by_themselves_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """A session that is killed takes a request with it: a crash, a standby's conflict, or somebody who cleans up."""
    assert difference.counter("sessions_lost") <= budgets.sessions_lost


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="database-connection-issues", **OF_A_RELEASE)
@depends_on("table pg_stat_activity")
def test_connections_are_given_back_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """Code that keeps its connections uses up what there is within hours, and then nobody signs in. A burst may be."""
    assert difference.counter("connections_leaked") <= budgets.connections_leaked


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="database-maintenance", **OF_A_RELEASE)
@depends_on("table pg_class")
def test_no_table_grew_by_leaps_since_the_release(difference: Difference, budgets: Budgets) -> None:
    """A quarter more in an hour is a loop that writes, or a migration that rewrote it: the disk is next."""
    growing = [table for table, percent in difference.growth().items() if not percent <= budgets.table_growth]

    assert growing == []
