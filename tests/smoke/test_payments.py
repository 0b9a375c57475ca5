"""Payments, without charging a card."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlsplit

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.checks.evidence import NotMeasured
from fixtures.run.current_run import Run
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Course, courses_of, empty
from fixtures.site.client import Site
from fixtures.site.leftovers import Enrolment, Ledger, cancel
from fixtures.target.target import Target
from fixtures.target.variants import origin_of

from .conftest import AtOnce


class Mode(msgspec.Struct):
    """The payments mode, as the health endpoint reports it."""

    paymentsMode: Literal["stripe", "disabled"]  # noqa: N815  (the platform's word)


class Refusal(msgspec.Struct):
    """The answer of a payment route while payments are off."""

    message: str
    mode: str


def _wrong(answer: Answer, mode: str) -> bool:
    """Whether the answer of a payment route to an anonymous visitor contradicts the payments mode."""
    if mode == "disabled":
        off = Refusal("payments_disabled", "disabled")
        return answer.status != HTTPStatus.NOT_IMPLEMENTED or answer.read(Refusal) != off
    return answer.status != HTTPStatus.UNAUTHORIZED


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="payment-system-down")
@asks("GET /api/health")
@asks("POST /api/payments/create-checkout-session", json={})
def test_checkout_answers_as_the_payments_mode_says(answers: list[Answer]) -> None:
    """Nobody can buy while it fails. With payments off 501 is right; otherwise anonymous visitors get 401."""
    health, checkout = answers

    assert not _wrong(checkout, health.read(Mode).paymentsMode), checkout.exchange()


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="payment-system-down")
@asks("GET /api/health", "GET /api/payments/history", "GET /api/payments/subscriptions")
@asks("POST /api/payments/create-payment-intent", "POST /api/payments/customer-portal", json={})
def test_every_payment_route_answers_as_the_payments_mode_says(answers: list[Answer]) -> None:
    """One route that disagrees shows a form that cannot work, or hides one that could."""
    health, *routes = answers
    mode = health.read(Mode).paymentsMode

    assert [route for route in routes if _wrong(route, mode)] == []


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0",
    judges="function",
    runbook="payment-system-down",
    needs=("payments-test",),
    third_party="stripe",
)
@asks("POST /api/payments/test", json={})
def test_stripe_answers_through_the_platform(answer: Answer) -> None:
    """While Stripe is down, or our key for it is wrong, nobody can check out."""
    assert answer.status == HTTPStatus.OK


DEAREST = "GET /api/courses?sortBy=price&sortOrder=desc&limit=2"


def _dearest(answers: list[Answer]) -> Course:
    course = next(iter(courses_of(answers[-1])), None)
    if course is None or not course.price:
        reason = "no course in the shop has a price, so that nothing can be bought"
        raise NotMeasured(reason)
    return course


@pytest.fixture
def paid_course(answers: list[Answer], target: Target) -> Course:
    """Return the most expensive course of the shop; the last request of the test has the list."""
    if not courses_of(answers[-1]):
        raise empty(target, "nothing can be bought")
    return _dearest(answers)


class Checkout(msgspec.Struct):
    """Stripe's own page for one purchase."""

    sessionId: str  # noqa: N815  (the platform's word)
    url: str


class Begun(msgspec.Struct):
    """A started payment, with the fields by which the platform recognises it."""

    paymentIntentId: str  # noqa: N815


class Intent(Begun):
    """A started payment, with the secret that the browser pays it with."""

    clientSecret: str  # noqa: N815


class Portal(msgspec.Struct):
    """The address at which Stripe shows a customer's invoices."""

    url: str


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0",
    judges="function",
    runbook="payment-system-down",
    needs=("accounts", "checkout"),
    third_party="stripe",
)
@asks(DEAREST)
@depends_on("POST /api/payments/create-checkout-session")
def test_checkout_leads_a_student_to_stripe(site: Site, signed_in: Session, paid_course: Course) -> None:
    """Every sale begins with this step. Nobody pays this session, so that Stripe lets it expire."""
    body = {"courseId": paid_course.id}
    answer = site.ask("POST /api/payments/create-checkout-session", json=body, cookies=signed_in.cookies)
    checkout = answer.read(Checkout)

    assert checkout.sessionId.startswith("cs_")
    assert origin_of(checkout.url) == ("https", "checkout.stripe.com")


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P1",
    judges="function",
    runbook="payment-system-down",
    needs=("accounts", "stripe-test-mode"),
    third_party="stripe",
)
@asks(DEAREST)
@depends_on("POST /api/payments/create-payment-intent", "POST /api/payments/customer-portal")
def test_payment_intents_and_the_billing_portal_work(
    at_once: AtOnce, site: Site, signed_in: Session, paid_course: Course
) -> None:
    """These are the other ways to pay, and the only way to an invoice."""
    post = partial(site.ask, cookies=signed_in.cookies)
    begun, opened = at_once.do(
        lambda: post("POST /api/payments/create-payment-intent", json={"courseId": paid_course.id}),
        lambda: post("POST /api/payments/customer-portal", json={}),
    )
    intent, portal = begun.read(Intent), opened.read(Portal)

    assert intent.paymentIntentId.partition("pi_")[:2] == ("", "pi_")
    assert intent.clientSecret[: len(intent.paymentIntentId)] == intent.paymentIntentId
    assert urlsplit(portal.url).scheme == "https"


class Transaction(msgspec.Struct):
    """One payment; amount in minor units."""

    id: str
    amount: int
    status: Literal["pending", "completed", "failed", "refunded"]


class History(msgspec.Struct):
    """GET /api/payments/history."""

    transactions: list[Transaction]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="payment-system-down", needs=("accounts", "payments"))
@asks("GET /api/payments/history", "GET /api/payments/subscriptions", account="student")
def test_students_see_what_they_paid(answers: list[Answer]) -> None:
    """Without a receipt every purchase becomes a letter to support."""
    history, subscriptions = answers

    assert [paid.id for paid in history.read(History).transactions if paid.amount < 0] == []
    assert subscriptions.status == HTTPStatus.OK
    assert subscriptions.read(dict[str, object]) != {}


@pytest.fixture
def not_bought(
    site: Site, signed_in: Session, paid_course: Course, ledger: Ledger, target: Target, run: Run
) -> Iterator[Course]:
    """Return the most expensive course while the student is not enrolled in it; the run undoes its purchases."""
    ledger.add(Enrolment(target=target.name, url=target.url, role=signed_in.role, course=paid_course))
    # One purchase at a time: a purchase left by a bad deployment would turn the next deployment's check red.
    with run.locked("not-bought"):
        remains = cancel(site, signed_in.cookies, paid_course)
        if remains:
            reason = f"the student is already enrolled in {paid_course.title}, and this cannot be removed: {remains}"
            raise NotMeasured(reason)
        yield paid_course


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="payment-system-down", needs=("accounts", "writes"))
@asks(DEAREST)
@depends_on("POST /api/courses/*/enroll", "GET /api/enrollments")
def test_an_invented_payment_enrols_nobody(at_once: AtOnce, site: Site, signed_in: Session, not_bought: Course) -> None:
    """A platform that accepts it gives every course away to anyone who can open the browser's console."""
    route = f"POST /api/courses/{not_bought.id}/enroll"
    bodies = [
        {"paymentMethod": "stripe"},
        {"paymentMethod": "stripe", "paymentIntentId": "pi_7pVerifyInvented"},
        {"paymentMethod": "stripe", "paymentIntentId": "cs_test_7pVerifyInvented", "couponCode": "7P-VERIFY"},
    ]
    answers = at_once.do(*(partial(site.ask, route, json=body, cookies=signed_in.cookies) for body in bodies))

    assert [answer for answer in answers if answer.status != HTTPStatus.PAYMENT_REQUIRED] == []
    assert not_bought.id not in site.ask("GET /api/enrollments", cookies=signed_in.cookies).text


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0", judges="exposure", runbook="payment-system-down", needs=("accounts", "writes", "stripe-test-mode")
)
@asks(DEAREST)
@depends_on("POST /api/payments/create-payment-intent", "POST /api/courses/*/enroll", "GET /api/enrollments")
def test_an_unfinished_payment_enrols_nobody(site: Site, signed_in: Session, not_bought: Course) -> None:
    """Stripe knows this payment and it is for this course, but nobody has paid it."""
    begun = {"courseId": not_bought.id}
    payment = site.ask("POST /api/payments/create-payment-intent", json=begun, cookies=signed_in.cookies)
    if payment.status != HTTPStatus.OK:
        reason = f"no payment could be started: {payment.exchange()}"
        raise NotMeasured(reason)
    body = {"paymentMethod": "stripe", "paymentIntentId": payment.read(Begun).paymentIntentId}
    answer = site.ask(f"POST /api/courses/{not_bought.id}/enroll", json=body, cookies=signed_in.cookies)

    assert [refused for refused in [answer] if refused.status != HTTPStatus.PAYMENT_REQUIRED] == []
    assert not_bought.id not in site.ask("GET /api/enrollments", cookies=signed_in.cookies).text


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="feature-flags", needs=("accounts",))
@asks("GET /api/health", DEAREST)
@follow_up(lambda answers: [f"GET /courses/{_dearest(answers).id}/purchase"], account="student")
@depends_on("GET /courses/*/purchase")
@pytest.mark.usefixtures("paid_course")
def test_the_purchase_page_matches_the_payments_mode(answers: list[Answer], followed: list[Answer]) -> None:
    """A button while payments are off leads nowhere; no button while they are on sells nothing."""
    page = followed[0].page
    offered = "Pay with Stripe Checkout" in [*page.texts("button"), *page.texts("a")]

    assert offered is (answers[0].read(Mode).paymentsMode == "stripe")
