"""The changes that the judged commit declares in its own 7p-verify.toml."""

from __future__ import annotations

import pytest
from httpx import codes

from fixtures.checks.declarations import depends_on
from fixtures.checks.declared_changes import problems_of
from fixtures.checks.evidence import NotMeasured
from fixtures.model.declared import Declaration
from fixtures.model.routes import probe
from fixtures.site.client import Site


@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="deployment-checklist", daily=False)
@depends_on("vendor github")
def test_the_declared_changes_are_valid(declaration: Declaration, request: pytest.FixtureRequest) -> None:
    """A file with a mistake is ignored, so that an intended change looks like a defect after the promotion."""
    if declaration.unread:
        raise NotMeasured(declaration.unread)

    assert problems_of(request.config) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="deployment-checklist")
@depends_on("vendor github")
def test_declared_routes_refuse_those_whom_they_do_not_admit(declaration: Declaration, site: Site) -> None:
    """A route that is new has no other check yet, and a forgotten guard shows its data to everyone."""
    # A request that writes would do harm where the guard is missing.
    guarded = [name for name, route in declaration.declared.routes.items() if route.guard and name.startswith("GET ")]
    answers = [site.ask(probe(name)) for name in guarded]

    assert [answer for answer in answers if codes.is_success(answer.status)] == []
