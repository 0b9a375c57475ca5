"""What a visitor feels while the public pages load: cold cache, desktop viewport, the runbook's budgets."""

from __future__ import annotations

import pytest

from fixtures.browser.vitals import Measure
from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import depends_on

pages = pytest.mark.parametrize(
    "path",
    [
        pytest.param("/", id="home", marks=depends_on("GET /")),
        pytest.param("/login", id="login", marks=depends_on("GET /login")),
        pytest.param("/marketplace", id="marketplace", marks=depends_on("GET /marketplace")),
    ],
)


@pages
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="performance-optimization")
@depends_on("GET /_next/*")
def test_something_is_painted_soon(path: str, vitals: Measure, budgets: Budgets) -> None:
    """A visitor who sees a white page for two seconds believes that the site is down."""
    assert vitals(path).fcp <= budgets.fcp


@pages
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="performance-optimization")
@depends_on("GET /_next/*", "GET /images/*")
def test_the_largest_content_is_painted_soon(path: str, vitals: Measure, budgets: Budgets) -> None:
    """What the page is about arrives late: a heavy or slow image, or a slow answer behind it."""
    assert vitals(path).lcp <= budgets.lcp


@pages
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="performance-optimization")
@depends_on("GET /_next/*", "GET /images/*")
def test_nothing_moves_while_the_page_loads(path: str, vitals: Measure, budgets: Budgets) -> None:
    """What moves under the finger is clicked by mistake: an image without a size, a banner that comes late."""
    assert vitals(path).cls <= budgets.cls
