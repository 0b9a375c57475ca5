"""
Checks that the runbook's SQL still works: PostgreSQL plans it and does not run it.

The statements are corrected where the runbook is wrong about PostgreSQL: `mean_time` has another name since 13, a count
of pg_stat_activity includes the server's own workers, locks need their age and blocker, and `user_profiles` is `users`.
The monitoring role may not read the tables of support's three queries, so a function in the database plans them.
"""

from __future__ import annotations

import re

import pytest

from fixtures.checks.declarations import asks_database, depends_on, queries_of
from fixtures.checks.evidence import NotMeasured, current
from fixtures.database.rows import TAKEN, Rows
from fixtures.database.session import Seen

# Other errors of EXPLAIN (a timeout, a missing right) do not concern the statement.
_NO_LONGER_RUNS = re.compile(r"does not exist|syntax error|is not unique|must appear in the GROUP BY")


@pytest.fixture
def refusal(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> str:
    """Return why the statement cannot be planned, "" where it can; raises NotMeasured."""
    (query,) = queries_of(request.node)
    taken = pytestconfig.stash[TAKEN].result()
    seen = taken.seen.get(query.sql, Seen(trouble=taken.trouble or "the query was not run"))
    if seen.trouble and (taken.trouble or not _NO_LONGER_RUNS.search(seen.trouble)):
        raise NotMeasured(seen.trouble)
    current().measure("examined", seen.examined, "rows")
    return seen.trouble or ""


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="database-maintenance")
@pytest.mark.parametrize(
    "_statement",
    [
        pytest.param(
            "slow queries",
            marks=asks_database(
                """
                EXPLAIN SELECT query, mean_exec_time, calls
                          FROM pg_stat_statements ORDER BY mean_exec_time DESC LIMIT 10
                """,
                min_rows=1,
            ),
        ),
        pytest.param(
            "connections",
            marks=asks_database(
                "EXPLAIN SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'", min_rows=1
            ),
        ),
        pytest.param(
            "table sizes",
            marks=asks_database(
                """
                EXPLAIN SELECT schemaname, tablename,
                               pg_size_pretty(pg_total_relation_size(format('%I.%I', schemaname, tablename))) AS size
                          FROM pg_tables WHERE schemaname = 'public'
                         ORDER BY pg_total_relation_size(format('%I.%I', schemaname, tablename)) DESC
                """,
                min_rows=1,
            ),
        ),
        pytest.param(
            "locks",
            marks=asks_database(
                """
                EXPLAIN SELECT pid, locktype, relation::regclass, mode, clock_timestamp() - waitstart AS waiting,
                               pg_blocking_pids(pid) AS blocked_by
                          FROM pg_locks WHERE NOT granted ORDER BY waitstart
                """,
                min_rows=1,
            ),
        ),
    ],
)
def test_the_runbooks_sql_still_runs(_statement: str, refusal: str) -> None:
    """A person who follows the runbook at night would get an error and lose minutes."""
    assert refusal == ""


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="support-procedures")
@depends_on("table users", "table payment_transactions", "table enrollments")
@asks_database("SELECT look_up, refusal FROM synthetic.support_look_ups()", min_rows=3, sees=("counters",))
def test_support_can_look_a_customer_up(rows: Rows) -> None:
    """A customer waits on the phone while support's query ends with an error."""
    assert [f"{look_up}: {refusal}" for look_up, refusal in rows if refusal] == []
