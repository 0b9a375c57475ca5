"""Sign-in through the form, as a student does it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from fixtures.browser.pages import Visit
from fixtures.browser.sign_in import submit_form
from fixtures.browser.views import Look, settled
from fixtures.checks.declarations import depends_on
from fixtures.target.target import Target


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0",
    judges="function",
    effect="sign-in",
    runbook="authentication-issues",
    host_bound=True,
    needs=("accounts",),
    spends={"sign-ins": 1},
)
@pytest.mark.usefixtures("form_session")
@depends_on(
    "GET /login",
    "GET /api/auth/csrf",
    "GET /api/auth/session",
    "POST /api/auth/callback/credentials",
    "GET /dashboard",
    "GET /_next/*",
    "vendor supabase identity",
)
def test_sign_in_reaches_the_dashboard_and_survives_a_second_request(
    page: Page, visit: Visit, target: Target, form_role: str
) -> None:
    """Students cannot sign in, or their session is lost at the next request."""
    visit("/login")
    submit_form(page, target.accounts[form_role])
    page.wait_for_url(lambda url: urlsplit(url).path != "/login", wait_until="domcontentloaded")
    first = settled(visit)
    visit("/dashboard")
    second = settled(visit)

    assert "/login" not in {first.path, second.path}
    assert (first.broken, second.broken) == ("", "")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(
    severity="P0", judges="function", effect="sign-in", runbook="authentication-issues", needs=("accounts",)
)
@depends_on("POST /api/auth/callback/credentials", "GET /api/auth/session", "GET /dashboard", "GET /_next/*")
def test_dashboard_opens_for_a_signed_in_student(look_as_student: Look) -> None:
    """The dashboard does not open, so students who are signed in cannot reach their courses."""
    (dashboard,) = look_as_student("/dashboard")

    assert dashboard.broken == ""
    assert dashboard.links or dashboard.buttons, dashboard
