"""Free enrolment, from the shop to the first completed lesson."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from playwright.sync_api import Page

from fixtures.browser.elements import FIELDS, MAIN, press
from fixtures.browser.pages import Visit
from fixtures.browser.views import settled
from fixtures.checks.declarations import depends_on
from fixtures.model.texts import Texts
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Course, Data
from fixtures.site.client import Site
from fixtures.target.target import Target


class _Offer(msgspec.Struct):
    slug: str


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(
    severity="P1",
    judges="function",
    effect="enrolment",
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
    page: Page,
    visit: Visit,
    site: Site,
    browsing_student: Session,
    free_course: Course,
    target: Target,
    texts: Texts,
    met: list[str],
) -> None:
    """Students cannot find, enter or learn a course, or the platform forgets a completed lesson."""
    browsing_student.enter(page.context)
    main = page.locator(MAIN)
    slug = site.ask(f"GET /api/courses/{free_course.id}").read(Data[_Offer]).data.slug

    visit("/marketplace")
    main.locator(f"a[href$='/marketplace/{slug}']").first.click()
    page.wait_for_url(f"**/marketplace/{slug}", wait_until="commit")
    assert settled(visit).shows(free_course.title)
    if target.enrolment_code:
        main.locator(FIELDS).first.fill(target.enrolment_code)
    press(visit, texts["enrol_for_free"], met)
    entered = site.ask("GET /api/enrollments", cookies=browsing_student.cookies).text
    assert [course.title for course in [free_course] if course.id not in entered] == []

    # In a tab of its own, because the first one leaves for the dashboard by itself.
    visit = replace(visit, page=page.context.new_page())
    visit(f"/courses/{slug}")
    assert settled(visit).broken == ""
    visit.page.locator(MAIN).locator("a[href*='/lessons/']").first.click()
    visit.page.wait_for_url("**/lessons/**", wait_until="commit")
    answer, name = press(visit, texts["complete_lesson"], met)
    assert answer.ok, answer
    visit.reload()

    lesson = settled(visit)
    assert lesson.broken == ""
    assert name not in lesson.actions, f"the lesson is to be completed again: “{name}”"
