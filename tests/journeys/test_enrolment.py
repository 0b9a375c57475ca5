"""Free enrolment, from the shop to the first completed lesson."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from fixtures.browser.pages import Visit
from fixtures.checks.declarations import depends_on
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Course
from fixtures.target.target import Target


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
    "GET /courses/*",
    "POST /api/student/progress/lesson",
    "GET /_next/*",
    "table enrollments",
    "table lesson_progress",
)
def test_free_enrolment_leads_to_a_completed_lesson(
    page: Page, visit: Visit, enroller: Session, free_course: Course, target: Target
) -> None:
    """Students cannot find, enter or learn a course, or the platform forgets a completed lesson."""
    enroller.enter(page.context)

    visit("/marketplace")
    page.get_by_role("listitem").filter(has_text=free_course.title).get_by_role("link", name="Detay").click()
    visit.reaches("**/marketplace/*")
    expect(page.get_by_role("heading", name=free_course.title, level=1)).to_be_visible()
    page.get_by_role("textbox", name="kod").fill(target.enrolment_code or "")
    page.get_by_role("button", name="Ücretsiz Al").click()
    page.get_by_role("link", name="Kursa Git").click()
    expect(page.get_by_role("heading", name="Kurs Müfredatı")).to_be_visible()
    page.get_by_role("main").get_by_role("listitem").get_by_role("link").first.click()
    visit.reaches("**/lessons/*")
    page.get_by_role("button", name="Tamamla", exact=True).click()
    expect(page.get_by_text("Tebrikler! Ders tamamlandı.")).to_be_visible()
    visit.reload()

    expect(page.get_by_role("button", name="Tamamlandı")).to_be_visible()
