"""The nightly restore drill. It is a capability of its own because it copies customers' rows to this machine."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import depends_on
from fixtures.migrations.restore_drill import Drill


@pytest.mark.daily
@pytest.mark.check(severity="P0", judges="upkeep", runbook="backup-recovery", needs=("restore-drill",))
@depends_on("table *")
def test_a_dump_restores_to_the_same_rows(drill: Drill) -> None:
    """Only a restored dump proves that a backup works."""
    assert drill.refused == ""
    assert drill.differences == []
