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
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotApplicable, NotMeasured
from fixtures.model import redaction
from fixtures.run.current_run import Run
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Course, Data, courses_of, empty
from fixtures.site.client import Site
from fixtures.site.leftovers import Enrolment, Ledger
from fixtures.target.target import Target
from fixtures.target.variants import origin_of
from fixtures.vendors.environment_sources import Environment

from .conftest import AtOnce


class Mode(msgspec.Struct):
    """The payments mode, as the health endpoint reports it: only the exact word `stripe` means that payments are on."""

    paymentsMode: str  # noqa: N815  (the platform's word)


class Refusal(msgspec.Struct):
    """The answer of a payment route while payments are off."""

    message: str
    mode: str


def _wrong(answer: Answer, mode: str) -> bool:
    """Whether the answer of a payment route to an anonymous visitor contradicts the payments mode."""
    if mode != "stripe":
        return answer.status != HTTPStatus.NOT_IMPLEMENTED or answer.read(Refusal).mode != "disabled"
    # A route that is gone answers with a page, and a route that fails with 5xx.
    return answer.is_html or answer.status not in range(400, 500)


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


@pytest.fixture
def stripe_api(target: Target) -> str:
    """Return the address of Stripe's API."""
    assert target.stripe
    return target.stripe.api


class Checkout(msgspec.Struct):
    """Stripe's own page for one purchase."""

    sessionId: str  # noqa: N815  (the platform's word)
    url: str


class Begun(msgspec.Struct):
    """A started payment, with the fields by which the platform recognises it."""

    paymentIntentId: str  # noqa: N815


class Intent(Begun):
    """A started payment, with the secret that the browser pays it with, and the amount in minor units."""

    clientSecret: str  # noqa: N815
    amount: int | None = None
    currency: str = ""


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
    body = {"type": "course", "courseId": paid_course.id}
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


class Asked(msgspec.Struct):
    """A payment as Stripe knows it; amount in minor units."""

    amount: int
    currency: str


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0",
    judges="function",
    runbook="payment-system-down",
    needs=("accounts", "stripe-test-mode", "stripe-config", "environment"),
    third_party="stripe",
)
@asks(DEAREST)
@depends_on("POST /api/payments/create-payment-intent", "variable NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY", "vendor stripe")
def test_stripe_is_asked_for_the_amount_that_buyers_see(
    site: Site, signed_in: Session, paid_course: Course, stripe_api: str, environment: Environment
) -> None:
    """Buyers see one price and pay another. Stripe tells it to everyone who has the payment's own secret."""
    body = {"courseId": paid_course.id}
    begun = site.ask("POST /api/payments/create-payment-intent", json=body, cookies=signed_in.cookies)
    if begun.status in range(400, 500):
        # The student owns the course, or the platform starts no payment in this way; other checks judge that.
        reason = f"the platform starts no payment for this student: {begun.exchange()}"
        raise NotApplicable(reason)
    intent, key = begun.read(Intent), environment.value("NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY")
    redaction.register([intent.clientSecret])
    if not key or intent.amount is None:
        reason = "the publishable key of Stripe or the amount that the buyer is told is not known"
        raise NotApplicable(reason)
    address = f"{stripe_api}/v1/payment_intents/{intent.paymentIntentId}?client_secret={intent.clientSecret}"
    told = site.ask(f"GET {address}", headers={"authorization": f"Bearer {key}"})
    if told.status != HTTPStatus.OK:
        reason = f"Stripe does not say what it was asked for: {told.exchange()}"
        raise NotMeasured(reason)
    asked = told.read(Asked)

    assert (asked.amount, asked.currency.upper()) == (intent.amount, (intent.currency or asked.currency).upper())


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


class Row(msgspec.Struct):
    """An enrolment; a cancelled one stays in the list."""

    course_id: str
    cancelled_at: str | None = None


class Rows(msgspec.Struct):
    """All of them."""

    enrollments: list[Row]


def _courses_of(site: Site, student: Session) -> dict[str, bool]:
    """Return each course that the student has an enrolment in, and whether it holds."""
    answer = site.ask("GET /api/enrollments?limit=50", cookies=student.cookies)
    return {row.course_id: row.cancelled_at is None for row in answer.read(Data[Rows]).data.enrollments}


@pytest.fixture
def not_bought(
    answers: list[Answer], site: Site, signed_in: Session, ledger: Ledger, target: Target, run: Run
) -> Iterator[Course]:
    """
    Return the most expensive course that the student never had an enrolment in; the run cancels its purchases.

    The platform enrols nobody twice, also not after a cancellation: a course that was tried before proves nothing.
    """
    if not courses_of(answers[-1]):
        raise empty(target, "nothing can be bought")
    # One purchase at a time: a purchase left by a bad deployment would turn the next deployment's check red.
    with run.locked("not-bought"):
        known = _courses_of(site, signed_in)
        untouched = [course for course in courses_of(answers[-1]) if course.price and course.id not in known]
        if not untouched:
            reason = "the student has had every course with a price that the shop shows"
            raise NotMeasured(reason)
        ledger.add(Enrolment(target=target.name, url=target.url, role=signed_in.role, course=untouched[0]))
        yield untouched[0]


def _refused(answer: Answer, site: Site, student: Session, course: Course) -> bool:
    """Whether a purchase failed: a 4xx that is no rate limit, and no enrolment afterwards."""
    said = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    limited = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return said and not limited and not _courses_of(site, student).get(course.id, False)


DEAREST_FIRST = "GET /api/courses?sortBy=price&sortOrder=desc&limit=50"


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0",
    judges="exposure",
    runbook="payment-system-down",
    needs=("accounts", "writes"),
    spends={"purchases": 1},
)
@asks(DEAREST_FIRST)
@depends_on("POST /api/courses/*/enroll", "GET /api/enrollments")
def test_an_invented_payment_enrols_nobody(site: Site, signed_in: Session, not_bought: Course) -> None:
    """A platform that accepts it gives every course away to anyone who can open the browser's console."""
    body = {"paymentMethod": "paid", "paymentIntentId": "pi_7pVerifyInvented"}
    answer = site.ask(f"POST /api/courses/{not_bought.id}/enroll", json=body, cookies=signed_in.cookies)

    assert _refused(answer, site, signed_in, not_bought), answer.exchange()


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0",
    judges="exposure",
    runbook="payment-system-down",
    needs=("accounts", "writes", "stripe-test-mode"),
    spends={"purchases": 1},
)
@asks(DEAREST_FIRST)
@depends_on("POST /api/payments/create-payment-intent", "POST /api/courses/*/enroll", "GET /api/enrollments")
def test_an_unfinished_payment_enrols_nobody(site: Site, signed_in: Session, not_bought: Course) -> None:
    """Stripe knows this payment and it is for this course, but nobody has paid it."""
    begun = {"courseId": not_bought.id}
    payment = site.ask("POST /api/payments/create-payment-intent", json=begun, cookies=signed_in.cookies)
    if payment.status != HTTPStatus.OK:
        reason = f"no payment could be started: {payment.exchange()}"
        raise NotMeasured(reason)
    body = {"paymentMethod": "paid", "paymentIntentId": payment.read(Begun).paymentIntentId}
    answer = site.ask(f"POST /api/courses/{not_bought.id}/enroll", json=body, cookies=signed_in.cookies)

    assert _refused(answer, site, signed_in, not_bought), answer.exchange()
