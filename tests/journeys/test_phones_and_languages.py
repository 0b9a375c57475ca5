"""The pages on a phone, and for visitors who prefer another language: the main control is there and can be pressed."""

from __future__ import annotations

import pytest

from fixtures.browser.visitors import (
    ENGLISH_STRANGER,
    IN_ENGLISH,
    ON_A_PHONE,
    STRANGER_ON_A_PHONE,
    LookAs,
    Sort,
)
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.site.accounts import Session
from fixtures.site.catalogue import purchase_page, sells
from fixtures.site.client import Site
from fixtures.site.places import Places
from fixtures.target.target import Target

PUBLIC = ("/", "/login", "/register")
PURCHASE = "/courses/{id}/purchase"
PERSONAL = (
    "/dashboard",
    "/courses",
    "/marketplace",
    "/marketplace/{slug}",
)
NEEDED = (
    *(f"GET {page}" for page in (*PUBLIC, *PERSONAL, PURCHASE)),
    *("GET /_next/*", "GET /api/auth/session", "GET /api/courses", "GET /api/enrollments"),
)


def _lost(look_as: LookAs, sort: Sort, pages: list[str]) -> list[str]:
    """Return why a visitor cannot use a page, for each such page."""
    tour = look_as(sort)
    return [why for page in pages if (why := tour.out_of_reach(page))]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@depends_on("GET /login", "GET /register", "GET /_next/*")
def test_visitors_sign_in_and_register_on_a_phone(look_as: LookAs) -> None:
    """The form is there at a desk, and its button lies beyond the edge of a phone."""
    assert _lost(look_as, STRANGER_ON_A_PHONE, ["/login", "/register"]) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/health", "GET /api/courses?sortBy=price&sortOrder=desc&limit=2")
@depends_on("GET /courses/*/purchase", "GET /_next/*", "GET /api/auth/session")
def test_students_buy_on_a_phone(answers: list[Answer], look_as: LookAs, target: Target) -> None:
    """Half of all students have no other device; a button beyond the edge of the screen is no button."""
    assert _lost(look_as, ON_A_PHONE, [purchase_page(answers, target)]) == []


@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/health")
@depends_on(*NEEDED)
@pytest.mark.parametrize(
    ("stranger", "student"),
    [
        pytest.param(STRANGER_ON_A_PHONE, ON_A_PHONE, id="on a phone"),
        pytest.param(ENGLISH_STRANGER, IN_ENGLISH, id="in English"),
    ],
)
def test_every_important_page_works(
    stranger: Sort, student: Sort, answer: Answer, look_as: LookAs, site: Site, browsing_student: Session
) -> None:
    """Such a layout, or the texts of another language, are tried by nobody at a desk in Turkey."""
    pages = Places(site, browsing_student.cookies).some([*PERSONAL, *([PURCHASE] if sells(answer) else [])])
    lost = [*_lost(look_as, stranger, [*PUBLIC]), *_lost(look_as, student, pages)]

    assert lost == []
