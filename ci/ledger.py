"""The memory of a run for the next ones: the deployment that it kept, and its decision in shadow mode."""

from __future__ import annotations

import time
from collections.abc import Callable

from ci.report import Report
from fixtures.model.verdict import Decision, Outcome, Verdict
from fixtures.state.state import Good, ShadowEntry, State

LET_STAND = frozenset({Decision.KEEP, Decision.ALERT})


def remember(report: Report, verdict: Verdict | None, state: State, migrations: Callable[[], list[str] | None]) -> None:
    """
    Write to the ledger, in shadow also to the shadow log. Raises StateError.

    Only a complete run that nobody narrowed enters the ledger: the decision of any other is hold.
    migrations: reads the versions that are applied now, None: it cannot.
    """
    if report.mode == "shadow":
        state.record_shadow(_shadow(report))
    good = report.decision in LET_STAND and report.stage != "predeploy"
    if verdict is None or report.deployment_id is None or not good:
        return
    passed = [check.node_id for check in verdict.checks if check.outcome is Outcome.PASSED]
    state.record_good(
        Good(
            deployment_id=report.deployment_id,
            run_id=report.run_id,
            recorded_at=time.time(),
            passed=passed,
            migrations=migrations(),
        )
    )


def _shadow(report: Report) -> ShadowEntry:
    would = [report.deed()] if report.rollback else []
    return ShadowEntry(
        run_id=report.run_id,
        recorded_at=time.time(),
        deployment_id=report.deployment_id,
        decision=report.decision,
        exit_code=report.exit_code,
        reasons=report.reasons,
        would=would,
    )
