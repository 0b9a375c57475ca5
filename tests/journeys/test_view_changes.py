"""Tabs, second views, menus and accordions: a user presses them only to see another part of a page."""

from __future__ import annotations

import pytest

from fixtures.browser.changing import Presses
from fixtures.browser.visitors import PRESSING, PRESSING_ADMIN, LookAs
from fixtures.checks.declarations import depends_on
from fixtures.site.accounts import Session
from fixtures.site.client import Site
from fixtures.site.places import Places, pages_of

LEAD_ON = {"/student"}
OF_STUDENTS = [page for page in pages_of("student") if page not in LEAD_ON]
OF_ADMINS = pages_of("admin")


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@depends_on(*(f"GET {page}" for page in OF_STUDENTS), "GET /_next/*", "GET /api/auth/session")
@depends_on("GET /api/courses", "GET /api/courses/*", "GET /api/enrollments", "GET /api/student/questions")
def test_every_part_of_a_students_pages_opens(look_as: LookAs, site: Site, browsing_student: Session) -> None:
    """Nobody but users opens the second tab; an error there is found by complaints."""
    presses = Presses(look_as(PRESSING))
    for page in Places(site, browsing_student.cookies).some(OF_STUDENTS):
        presses.on(page)

    assert presses.findings == []


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts", "admin"))
@depends_on(*(f"GET {page}" for page in OF_ADMINS), "GET /_next/*", "GET /api/auth/session")
@depends_on("POST /api/auth/callback/credentials", "GET /login", "vendor supabase identity")
def test_every_part_of_the_administration_opens(look_as: LookAs) -> None:
    """The same for the pages of staff."""
    presses = Presses(look_as(PRESSING_ADMIN))
    for page in OF_ADMINS:
        presses.on(page)

    assert presses.findings == []
