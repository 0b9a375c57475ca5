"""
`ci/verify snapshot` keeps the database's counters ahead of a release; `--compare` judges the difference afterwards.

Read-only. Taking ends with 0, or with 3 and the reason. Comparing judges everything that differs, the statements that
need traffic included, and decides by the gate's own table.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ci.causes import Attribution
from ci.gate import EXIT, decide, red_of
from ci.incidents import tell
from ci.options import Options
from ci.red_checks import red_checks
from ci.report import Report
from ci.steps import say
from ci.unfinished import put_unreadable_aside
from fixtures.checks.evidence import NotMeasured
from fixtures.database.difference import DOCUMENT, before_of, take_after
from fixtures.database.snapshot import Snapshot, SnapshotError, take_snapshot
from fixtures.database.snapshot_change import JUDGED, Comparison, Finding, compare, compare_migrations
from fixtures.migrations.rehearsal import read_repo
from fixtures.model import escaping, redaction
from fixtures.model.runbook import runbook
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import Cause, CheckResult, Decision, Judges, Measurement, Outcome, Severity, Verdict
from fixtures.report import difference_page
from fixtures.run.directory import DIFFERENCE_PAGE, need_writable, new_run_id
from fixtures.state.state import State, StateBusyError, StateError, open_state, root_of
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE
from fixtures.target.target import Target, load

STAGE: Final = "compare"
# A job that migrates holds no other secret.
_USES: Final = frozenset({"database"})
_SECTIONS = {
    "new unusable indexes": "migration-procedure",
    "new tables without row level security": "incident-security",
    "changed access": "incident-security",
    "objects": "migration-procedure",
    "migrations": "migration-procedure",
}
_MILLISECONDS = 1000


def run(options: Options) -> int:
    """Take or compare; returns the exit code. Raises UsageError."""
    target = load(options.target, environ=options.environ, uses=_USES)
    target.redact_secrets()
    if target.url == "sandbox":
        msg = "snapshot: no sandbox is running; "
        msg += f"`.venv/bin/python -m fixtures.sandbox` starts one and prints its {SANDBOX_VARIABLE}"
        raise UsageError(msg)
    if "database" not in target.capabilities or target.database_dsn is None:
        msg = f"snapshot --target {target.name}: it has no database; add the capability and variables.database_dsn"
        raise UsageError(msg)
    if target.mode == "off":
        sys.stdout.write(f"7P Verify is OFF for {target.name}: no snapshot was taken or compared (mode off)\n")
        return 0
    if options.state:
        need_writable("--state", options.state)
    if options.compare:
        need_writable("--reports", options.reports)
    run_id = new_run_id()
    try:
        state = open_state(root_of(target, options.state), target.name)
        if options.compare:
            return _compare(target, state, options.reports / STAGE, run_id)
        return _take(target, target.database_dsn, state, run_id)
    except (SnapshotError, StateError, OSError) as error:
        say(redaction.redact(f"snapshot of {target.name}: {error}"))
        return EXIT[Decision.HOLD]


def _take(target: Target, dsn: str, state: State, run_id: str) -> int:
    began = time.monotonic()
    snapshot = take_snapshot(dsn, run_id)
    taken_in = _MILLISECONDS * (time.monotonic() - began)
    state.keep_document(DOCUMENT, snapshot)
    statements = len(snapshot.statements.by_text) if snapshot.statements else "no"
    access, migrations = len(snapshot.access or []), len(snapshot.migrations or [])
    lines = [
        f"before-snapshot of {target.name}, taken in {taken_in:.0f} ms, kept in {state.path}",
        f"  {len(snapshot.sizes)} tables, {statements} statements, {access} kinds of access, {migrations} migrations",
        *(f"  not seen: {blind}; `ci/verify doctor {target.name}` says how to change that" for blind in snapshot.blind),
        "  after the release `ci/verify postdeploy` judges the changes, `ci/verify snapshot --compare` the statements",
    ]
    sys.stdout.write(escaping.terminal(redaction.redact("\n".join(lines))) + "\n")
    return EXIT[Decision.HOLD] if snapshot.statements is None else 0


def _compare(target: Target, state: State, directory: Path, run_id: str) -> int:
    """Compare the database with its before-snapshot, decide and report; the files go into `directory`."""
    report = Report(run_id=run_id, stage=STAGE, target=target.name, url=target.url, mode=target.mode)
    report.notes += put_unreadable_aside(state)
    verdict, lines, problem = None, [], None
    started = _now()
    try:
        before = before_of(state, target)
        if before is None:
            problem = "there is no before-snapshot: run `ci/verify snapshot` ahead of the migrations"
        else:
            after = take_after(target.database_dsn or "", run_id, before)
            comparison = compare(before, after)
            _migrations(target, after, comparison)
            lines = comparison.lines()
            unmeasured = [_result(what, Outcome.NOT_MEASURED, why) for what, why in comparison.unmeasured.items()]
            verdict = Verdict(
                run_id=run_id,
                stage=STAGE,
                target=target.name,
                mode=target.mode,
                url=target.url,
                started=started,
                ended=_now(),
                complete=True,
                checks=[*_judged(comparison.findings), *unmeasured],
            )
            difference_page.write(directory / DIFFERENCE_PAGE, before, after, comparison, about=target.name)
            verdict.write(directory / "verdict.json")
    except (SnapshotError, StateError) as error:
        problem = str(error)
    same = Attribution(Cause.EXISTING, "the database is the same under every deployment")
    causes = dict.fromkeys([check.node_id for check in red_of(verdict)], same) if verdict else {}
    report.decided(decide(verdict, dict.fromkeys(causes, same.cause), STAGE, problem=problem))
    try:
        if verdict:
            report.red = red_checks(verdict, causes)
            report.pages = [DIFFERENCE_PAGE]
        if verdict and target.mode == "act":
            report.notes += tell(report, verdict, state, target.slack_webhook)
        report.write(directory)
    except (StateError, StateBusyError, OSError) as error:
        # The decision stands all the same.
        report.notes.append(f"not everything could be written down: {error}")
    lines += [*report.lines(directory), ""]
    sys.stdout.write(escaping.terminal(redaction.redact("\n".join(lines))))
    return report.exit_code


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _migrations(target: Target, after: Snapshot, comparison: Comparison) -> None:
    """Add how the migrations stand to the repository, where there is one."""
    if target.platform_repo is None:
        return
    try:
        versions = [script.version for script in read_repo(target.platform_repo)]
    except NotMeasured as error:
        comparison.unmeasured["migrations"] = str(error)
        return
    if after.migrations is None:
        comparison.unmeasured["migrations"] = "the recorded migrations were not read"
    else:
        comparison.findings.append(compare_migrations(after.migrations, versions))


def _judged(findings: Iterable[Finding]) -> Iterator[CheckResult]:
    """Yield one check a name: a slow statement is a check's finding, and ten are too."""
    by_name: dict[str, list[Finding]] = {}
    for finding in findings:
        by_name.setdefault(finding.name, []).append(finding)
    for name, found in by_name.items():
        over = [finding for finding in found if finding.severity]
        result = _result(name, Outcome.FAILED if over else Outcome.PASSED)
        result.measurements = [
            Measurement(name=one.name, value=one.value, unit=one.unit, limit=one.limit, samples=one.samples)
            for one in found
        ]
        if over:
            result.severity = min((one.severity for one in over if one.severity), key=str)
            result.reason = "\n".join(one.detail or f"{one.value:g} {one.unit}" for one in over)
            result.evidence = [DIFFERENCE_PAGE]
        yield result


def _result(name: str, outcome: Outcome, reason: str = "") -> CheckResult:
    """Return the verdict's entry for this name, or for the group that could not be measured."""
    budgets = [runbook().budgets[one] for one in JUDGED.get(name, (name,)) if one in runbook().budgets]
    section = _SECTIONS.get(name) or budgets[0].section
    worst = min((step for budget in budgets for step in budget.steps), key=str, default=Severity.P1)
    return CheckResult(
        node_id=f"snapshot::{name.replace(' ', '_')}",
        title=name.replace("_", " "),
        kind="database",
        severity=worst,
        section=section,
        judges=Judges.UPKEEP,
        outcome=outcome,
        reason=reason,
        first_action=runbook().sections[section].first_action,
    )
