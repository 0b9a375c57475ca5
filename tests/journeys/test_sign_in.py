"""Sign-in through the form, as a student does it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from fixtures.browser.pages import Visit
from fixtures.browser.sign_in import submit_form
from fixtures.browser.views import Look, settled
from fixtures.checks.declarations import depends_on
from fixtures.site.accounts import Session
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
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues", needs=("accounts",))
@depends_on("GET /login", "GET /api/auth/csrf", "GET /_next/*")
def test_the_form_works_again_in_the_same_browser(
    page: Page, visit: Visit, browsing_student: Session, target: Target, form_role: str
) -> None:
    """Students whose session has ended cannot sign in again: the form works only once in a browser."""
    browsing_student.leave_storage(page.context)
    visit("/login")
    account = target.accounts[form_role]
    name = account.email.partition("@")[0]

    def carries_it(request: Request) -> bool:
        return request.method != "GET" and name in (request.post_data or "")

    # Nobody is signed in: the attempt would count against the platform's limit.
    page.route("**", lambda route: route.abort() if carries_it(route.request) else route.continue_())
    silent = ""
    try:
        with page.expect_request(carries_it):
            submit_form(page, account)
    except PlaywrightTimeoutError:
        silent = (
            f"{urlsplit(page.url).path} sends no sign-in, where an ended session has left its storage in the browser"
        )

    assert silent == ""


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
