"""Forms and buttons reach their service: what users type or press is sent. Nobody is registered, and nobody pays."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from fixtures.browser.elements import UNDOES, leads_to_no_purchase, press
from fixtures.browser.forms import open_link, send_form
from fixtures.browser.pages import Visit
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotApplicable, NotMeasured
from fixtures.model.texts import Texts
from fixtures.site.accounts import Session
from fixtures.site.catalogue import dearest_of, empty, sells
from fixtures.site.client import Site
from fixtures.site.places import Places
from fixtures.target.target import Target
from fixtures.target.variants import origin_of

STRIPE = frozenset({"js.stripe.com", "checkout.stripe.com"})
# The requests of a service worker cannot be held back.
WITHOUT_WORKERS = pytest.mark.browser_context_args(service_workers="block")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", third_party="supabase")
@depends_on("GET /register", "GET /_next/*", "POST /api/auth/register", "vendor supabase identity")
@WITHOUT_WORKERS
def test_the_registration_form_reaches_its_service(visit: Visit) -> None:
    """Nobody new can register: the page is not painted, or page and service do not understand each other."""
    assert send_form(visit, "/register", password=True) == ""


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@depends_on("GET /auth/reset-password", "GET /_next/*", "POST /api/auth/request-password-reset")
@WITHOUT_WORKERS
def test_the_form_for_a_new_password_reaches_its_service(visit: Visit) -> None:
    """Users who forgot their password write to support instead."""
    assert send_form(visit, "/auth/reset-password") == ""


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading")
@depends_on("GET /auth/verify-email", "GET /_next/*", "POST /api/auth/verify-email")
@WITHOUT_WORKERS
def test_the_page_that_verifies_an_address_reaches_its_service(visit: Visit) -> None:
    """New users stay without the verification that their first sign-in asks for."""
    assert open_link(visit, "/auth/verify-email") == ""


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/health")
@depends_on("GET /marketplace/*", "GET /_next/*", "GET /api/auth/session", "GET /api/courses", "GET /api/enrollments")
@WITHOUT_WORKERS
def test_an_offer_leads_to_its_purchase(
    answer: Answer, page: Page, visit: Visit, site: Site, browsing_student: Session, target: Target
) -> None:
    """Students read what a course costs, and find no way to buy it."""
    places = Places(site, browsing_student.cookies)
    sold, owned = [course for course in places.listed if course.price > 0], {row.course_id for row in places.enrolled}
    course = next((course for course in sold if course.id not in owned), None)
    if not sells(answer):
        reason = "payments are off, so that no offer leads to a purchase"
        raise NotApplicable(reason)
    if not sold:
        raise empty(target, "nothing is sold")
    if course is None:
        reason = "the student of the form owns every course that is sold"
        raise NotApplicable(reason)
    browsing_student.enter(page.context)
    visit(f"/marketplace/{course.slug}")

    assert leads_to_no_purchase(visit, f"/courses/{course.id}/purchase") == ""


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P1",
    judges="function",
    runbook="payment-system-down",
    needs=("accounts", "checkout"),
    third_party="stripe",
    spends={"purchases": 1},
)
@asks("GET /api/courses?sortBy=price&sortOrder=desc&limit=2")
@depends_on("GET /courses/*/purchase", "GET /_next/*", "POST /api/payments/create-checkout-session")
def test_the_purchase_page_leads_to_stripe(
    answer: Answer, page: Page, visit: Visit, browsing_student: Session, target: Target, texts: Texts, met: list[str]
) -> None:
    """Students who want to buy press a button that does nothing. Nobody pays this session, so that it expires."""
    offered = dearest_of(answer, target)

    def leaves(request: Request) -> bool:
        of_the_tab = request.is_navigation_request() and request.frame.parent_frame is None
        return of_the_tab and origin_of(request.url) not in visit.own

    browsing_student.enter(page.context)
    # Stripe counts its visitors; we only need the address.
    page.context.route("**", lambda route: route.abort() if leaves(route.request) else route.continue_())
    visit(f"/courses/{offered.id}/purchase")
    lost = ""
    try:
        with page.expect_request(leaves):
            press(visit, texts["pay"], met, UNDOES)
    except PlaywrightTimeoutError:
        if any(urlsplit(frame.url).hostname in STRIPE for frame in page.frames):
            reason = "the page shows a form of Stripe, so that it need not lead to Stripe's page"
            raise NotMeasured(reason) from None
        lost = "the page asks for a payment, and does not lead to the page where it is paid"

    assert lost == ""
