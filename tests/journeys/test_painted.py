"""Painted means painted: what the browser shows of each page, and what the pages of the whole run have lost."""

from __future__ import annotations

import pytest

from fixtures.browser.views import Look
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.inspection.inspected import OF_OTHERS, PAINTED, Inspected
from fixtures.site.catalogue import purchase_page
from fixtures.target.target import Target

EVERY_PAGE = depends_on("GET /[!a_]*", "GET /", "GET /admin*", "GET /auth/*", "GET /_next/*", "GET /images/*")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="application-not-loading")
@depends_on("GET /", "GET /login", "GET /_next/*")
def test_home_and_sign_in_are_painted(look: Look) -> None:
    """Visitors see a white or unstyled page, or a form that does nothing, although the server's HTML is complete."""
    assert [view.broken for view in look("/", "/login") if view.broken] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", last=True)
@depends_on("GET /", "GET /login", "GET /_next/*")
def test_public_pages_stay_as_they_are_while_nobody_touches_them(look: Look) -> None:
    """A page that empties or loads itself again after some seconds takes every click and every word away."""
    assert look.unrest("/", "/login") == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",), last=True)
@depends_on("GET /dashboard", "GET /courses", "GET /courses/*", "GET /settings", "GET /student/*", "GET /marketplace*")
@depends_on("GET /_next/*", "GET /api/auth/session")
def test_own_pages_stay_as_they_are_while_nobody_touches_them(look_as_student: Look) -> None:
    """The same for students, whose sessions a page may doubt again and again."""
    assert look_as_student.unrest("/dashboard") == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",), last=True)
@asks("GET /api/health", "GET /api/courses?sortBy=price&sortOrder=desc&limit=2")
@depends_on("GET /courses/*/purchase", "GET /_next/*", "GET /api/auth/session")
def test_the_purchase_page_stays_as_it_is_while_nobody_touches_it(
    answers: list[Answer], look_as_student: Look, target: Target
) -> None:
    """A student reads the terms, and the button is gone before they are read."""
    assert look_as_student.unrest(purchase_page(answers, target)) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", last=True)
@EVERY_PAGE
def test_no_page_of_the_run_has_lost_a_part(inspected: Inspected) -> None:
    """A picture, a script, letters or the answer to a click are missing, on a page that users can use all the same."""
    assert inspected.offenders(PAINTED) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P3", judges="function", runbook="application-not-loading", last=True)
@EVERY_PAGE
def test_no_page_of_the_run_lacks_a_part_of_another_site(inspected: Inspected) -> None:
    """A vendor's script is gone or fails, and with it what it did on the page."""
    assert inspected.offenders(OF_OTHERS) == []
