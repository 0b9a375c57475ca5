"""
Faults of the database against the whole database folder: the named checks are red, and no others.

The matrix in ci/bench runs every fault after a deployment. What only predeploy and the nightly run ask is held here,
with a sample of the others.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.model.verdict import Outcome, Severity, Verdict
from tests.selftest.conftest import ROOT, environment_of_a_run


@pytest.mark.parametrize(
    ("fault", "red"),
    [
        ("index-twice", {"test_no_index_is_there_twice": Severity.P3}),
        (
            "transaction-ids-used",
            {
                "test_transaction_ids_are_far_from_their_end": Severity.P0,
                # Ids run out because nobody freezes rows.
                "test_freezing_keeps_up": Severity.P2,
            },
        ),
        ("page-corrupt", {"test_no_page_has_failed_its_checksum": Severity.P0}),
        ("rows-dead", {"test_dead_rows_are_cleaned_away": Severity.P2}),
        ("autovacuum-off", {"test_autovacuum_tends_every_table": Severity.P1}),
        ("index-idle", {"test_no_large_index_goes_unused": Severity.P3}),
        ("primary-key-corrupt", {"test_no_primary_key_is_corrupt": Severity.P0}),
        ("statistics-stale", {"test_statistics_follow_the_rows": Severity.P2}),
        ("freezing-behind", {"test_freezing_keeps_up": Severity.P2}),
        ("pooler-full", {"test_the_pooler_leads_to_the_same_database": Severity.P1}),
        (
            "transaction-open",
            {
                "test_no_transaction_stays_open_for_long": Severity.P2,
                "test_no_transaction_would_hold_a_migration_up": Severity.P1,
            },
        ),
    ],
)
def test_a_fault_turns_its_check_red_and_no_other(fault: str, red: dict[str, Severity], tmp_path: Path) -> None:
    """The test runs every check of the folder, of any stage."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/database", "-q", f"--fault={fault}"]
    command.append(f"--reports={tmp_path}")
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, text=True, timeout=120, check=False
    )
    checks = Verdict.read(tmp_path / "verdict.json").checks
    # A page that cannot be read cannot be dumped either, and the drill says so.
    drill = "test_a_dump_restores_to_the_same_rows"
    unmeasured = [check.node_id for check in checks if check.outcome is Outcome.NOT_MEASURED]
    unmeasured = [node_id for node_id in unmeasured if fault != "page-corrupt" or drill not in node_id]
    # Nobody visits: a hundred transactions have not been made.
    quiet = "test_transactions_are_committed_since_the_release"
    unmeasured = [node_id for node_id in unmeasured if quiet not in node_id]
    # Counters that are shown older than they are were not counted on from the snapshot.
    aged = "_since_the_release"
    unmeasured = [node_id for node_id in unmeasured if fault != "index-idle" or not node_id.endswith(aged)]
    found = {check.node_id.rpartition("::")[2]: check.severity for check in checks if check.outcome is Outcome.FAILED}

    assert (found, unmeasured) == (red, []), done.stdout + done.stderr
