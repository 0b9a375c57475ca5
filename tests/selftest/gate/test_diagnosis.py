"""The proof that a rollback target passes P0."""

from __future__ import annotations

import pytest

from ci.diagnosis import passes_p0
from fixtures.model.verdict import Outcome
from tests.selftest.gate.verdicts import a_check, a_verdict

FAILED, PASSED = Outcome.FAILED, Outcome.PASSED


class TestPassesP0:
    """A rollback target must pass P0 itself."""

    def test_green(self) -> None:
        """A check that does not apply does not count."""
        inapplicable = a_check("t::test_x", outcome=Outcome.NOT_APPLICABLE)

        assert passes_p0(a_verdict(a_check(), inapplicable), pinned=True)[0]

    @pytest.mark.parametrize("outcome", [FAILED, Outcome.NOT_MEASURED, Outcome.SUPERSEDED])
    def test_not_green(self, outcome: Outcome) -> None:
        """A check that did not run did not pass."""
        assert passes_p0(a_verdict(a_check(), a_check("t::test_x", outcome=outcome)), pinned=True) == (
            False,
            f"x: {outcome}",
        )

    def test_nothing_ran(self) -> None:
        """A run without a P0 check proves nothing."""
        assert not passes_p0(a_verdict(), pinned=True)[0]
        assert not passes_p0(a_verdict(a_check(), complete=False), pinned=True)[0]

    def test_host_bound_checks_count_where_they_can_be_pinned(self) -> None:
        """Without a pin they ask production, which serves the bad deployment."""
        verdict = a_verdict(a_check(), a_check("t::test_sign_in", outcome=FAILED, host_bound=True))

        assert not passes_p0(verdict, pinned=True)[0]
        assert passes_p0(verdict, pinned=False)[0]
