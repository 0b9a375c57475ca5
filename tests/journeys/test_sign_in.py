"""Sign-in through the form, as a student does it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from fixtures.browser.pages import Visit
from fixtures.checks.declarations import depends_on
from fixtures.site.accounts import Session
from fixtures.target.target import Target


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0",
    judges="function",
    runbook="authentication-issues",
    host_bound=True,
    needs=("accounts",),
    spends={"sign-ins": 1},
)
@pytest.mark.usefixtures("form_session")
@depends_on("GET /login", "GET /api/auth/csrf", "POST /api/auth/callback/credentials", "GET /dashboard", "GET /_next/*")
def test_sign_in_reaches_the_dashboard_and_survives_a_second_request(
    page: Page, visit: Visit, target: Target, form_role: str
) -> None:
    """Students cannot sign in, or their session is lost at the next request."""
    student = target.accounts[form_role]

    visit("/login")
    # By type, because not every target binds the labels of the form to its inputs.
    page.locator("input[type=email]").fill(student.email)
    page.locator("input[type=password]").fill(student.password)
    page.get_by_role("button", name="Giriş Yap").click()
    expect(page.get_by_role("heading", name="Kontrol Paneli", level=1)).to_be_visible()
    visit.reload()

    expect(page).to_have_url(re.compile(r"/dashboard$"))
    expect(page.get_by_role("heading", name="Kayıtlı Kursların")).to_be_visible()


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="authentication-issues", needs=("accounts",))
@depends_on("POST /api/auth/callback/credentials", "GET /api/auth/session", "GET /dashboard", "GET /_next/*")
def test_dashboard_opens_for_a_signed_in_student(page: Page, visit: Visit, signed_in: Session) -> None:
    """The dashboard does not open, so students who are signed in cannot reach their courses."""
    signed_in.enter(page.context)

    visit("/dashboard")

    expect(page).to_have_url(re.compile(r"/dashboard$"))
    expect(page.get_by_role("heading", name="Kontrol Paneli", level=1)).to_be_visible()
    expect(page.get_by_role("heading", name="Kayıtlı Kursların")).to_be_visible()
    expect(page.get_by_role("heading", name="Hızlı Erişim")).to_be_visible()
