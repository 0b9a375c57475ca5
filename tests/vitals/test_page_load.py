"""Web Vitals of the public pages: cold cache, desktop viewport, budgets of the runbook."""

from __future__ import annotations

import pytest

from fixtures.browser.views import Look
from fixtures.browser.vitals import Measure
from fixtures.checks.budgets import Budgets
from fixtures.checks.declarations import depends_on

pages = pytest.mark.parametrize(
    "path",
    [
        pytest.param("/", id="home", marks=depends_on("GET /")),
        pytest.param("/login", id="login", marks=depends_on("GET /login")),
        pytest.param("/register", id="register", marks=depends_on("GET /register")),
    ],
)


@pages
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="budget", runbook="performance-optimization")
@depends_on("GET /_next/*")
def test_the_first_content_appears_in_time(path: str, vitals: Measure, budgets: Budgets) -> None:
    """A visitor who sees a white page for two seconds believes that the site is down."""
    assert vitals(path).fcp <= budgets.fcp


@pages
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="budget", runbook="performance-optimization")
@depends_on("GET /_next/*", "GET /images/*")
def test_the_largest_content_appears_in_time(path: str, vitals: Measure, budgets: Budgets) -> None:
    """The main content appears late, because of a heavy image or a slow answer."""
    assert vitals(path).lcp <= budgets.lcp


@pages
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="budget", runbook="performance-optimization")
@depends_on("GET /_next/*", "GET /images/*")
def test_content_stays_in_place_while_the_page_loads(path: str, vitals: Measure, budgets: Budgets) -> None:
    """Users click the wrong thing when an image without a size or a late banner moves the page."""
    assert vitals(path).cls <= budgets.cls


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/", id="home", marks=depends_on("GET /")),
        pytest.param("/login", id="login", marks=depends_on("GET /login")),
    ],
)
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="budget", runbook="performance-optimization")
@depends_on("GET /_next/*", "GET /images/*")
def test_content_stays_in_place_while_people_read(path: str, look: Look, budgets: Budgets) -> None:
    """A banner that comes seconds later, or one after the other, moves the line that somebody reads."""
    assert look.shift(path, budgets.cls.terms.limit) <= budgets.cls


@pages
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="budget", runbook="performance-optimization")
@depends_on("GET /_next/*")
def test_the_page_answers_the_first_click_in_time(path: str, vitals: Measure, budgets: Budgets) -> None:
    """A script that works for seconds freezes the page: users click, nothing happens, and they leave."""
    assert vitals(path).fid <= budgets.fid
