"""The restore drill, every night: a capability of its own, for it copies what customers own to this machine."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import depends_on
from fixtures.migrations.restore_drill import Drill


@pytest.mark.daily
@pytest.mark.check(severity="P0", runbook="backup-recovery", rollback_eligible=False, needs=("restore-drill",))
@depends_on("table *")
def test_a_dump_restores_to_the_same_rows(drill: Drill) -> None:
    """A backup that was never restored is a hope: what does not come back is noticed on the day it is needed."""
    assert drill.refused == ""
    assert drill.differences == []
