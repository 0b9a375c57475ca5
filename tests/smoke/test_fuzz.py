"""Random input for every route, on the sandbox only."""

from __future__ import annotations

import pytest

from fixtures.checks.declarations import depends_on
from fixtures.inspection.fuzz import Fuzz, fuzzed
from fixtures.model.routes import probe
from fixtures.site.accounts import Session

FUZZED = fuzzed()


@pytest.mark.daily
@pytest.mark.check(
    severity="P2", judges="contract", runbook="application-not-loading", needs=("fuzz", "accounts"), last=True
)
@depends_on(*(probe(route) for route in FUZZED))
def test_random_input_crashes_no_route(fuzz: Fuzz, signed_in: Session) -> None:
    """Somebody sends such input one day, and gets the framework's error page or internals of the platform."""
    assert [offence for route in FUZZED for offence in fuzz.offences(route, signed_in.cookies)] == []
