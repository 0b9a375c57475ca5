"""Free enrolment, from the shop to the first completed lesson."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest
from playwright.sync_api import Page, expect

from fixtures.browser.pages import Visit
from fixtures.checks.declarations import depends_on
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Course, Data
from fixtures.site.client import Site
from fixtures.target.target import Target

# "Tamamla", and neither "Tamamlandı" nor "Profilimi Tamamla"; a sign may stand before it.
COMPLETE = re.compile(r"^\W*Tamamla\W*$")


class _Offer(msgspec.Struct):
    slug: str


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(
    severity="P1",
    judges="function",
    runbook="application-not-loading",
    needs=("accounts", "writes"),
    spends={"enrolments": 1},
)
@depends_on(
    "GET /marketplace",
    "GET /marketplace/*",
    "POST /api/enroll/free",
    "GET /api/enrollments",
    "GET /courses/*",
    "GET /dashboard",
    "POST /api/student/progress/lesson",
    "GET /_next/*",
    "table enrollments",
    "table lesson_progress",
)
def test_free_enrolment_leads_to_a_completed_lesson(
    page: Page, visit: Visit, site: Site, browsing_student: Session, free_course: Course, target: Target
) -> None:
    """Students cannot find, enter or learn a course, or the platform forgets a completed lesson."""
    browsing_student.enter(page.context)
    main = page.get_by_role("main")
    slug = site.ask(f"GET /api/courses/{free_course.id}").read(Data[_Offer]).data.slug

    visit("/marketplace")
    main.locator(f"a[href$='/marketplace/{slug}']").first.click()
    expect(main.get_by_role("heading", name=free_course.title, level=1)).to_be_visible()
    if target.enrolment_code:
        main.get_by_role("textbox", name="kod").fill(target.enrolment_code)
    with page.expect_response("**/api/enroll/free") as enrolled:
        main.get_by_role("button", name="Ücretsiz Al").click()
    enrolled.value.finished()
    entered = site.ask("GET /api/enrollments", cookies=browsing_student.cookies).text
    assert [course.title for course in [free_course] if course.id not in entered] == []

    # In a tab of its own, because the first one leaves for the dashboard by itself.
    visit = replace(visit, page=page.context.new_page())
    main = visit.page.get_by_role("main")
    visit(f"/courses/{slug}")
    expect(main.get_by_role("heading", name="Kurs Müfredatı")).to_be_visible()
    main.locator("a[href*='/lessons/']").first.click()
    main.get_by_role("button", name=COMPLETE).click()
    expect(visit.page.get_by_text("Ders tamamlandı")).to_be_visible()
    visit.reload()

    expect(main.get_by_role("button", name="Tamamlandı")).to_be_visible()
