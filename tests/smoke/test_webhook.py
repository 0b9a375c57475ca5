"""The webhook for Stripe's events: it accepts signed events and refuses all others."""

from __future__ import annotations

import secrets
from functools import partial
from http import HTTPStatus

import msgspec
import pytest
from httpx import codes

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotMeasured
from fixtures.run.current_run import Run
from fixtures.site.accounts import Session
from fixtures.site.catalogue import courses_of, empty
from fixtures.site.client import Site
from fixtures.site.leftovers import Enrolment, Ledger
from fixtures.site.stripe_events import COMPACT, FORMS, Form, signature
from fixtures.target.target import Target

from .conftest import AtOnce

WEBHOOK = "POST /api/webhooks/stripe"
EVENT = {"id": "evt_7p_verify", "type": "checkout.session.completed"}
# A stamp of the year 2100: Stripe's own libraries accept it, so that only the signature is wrong.
BADLY_SIGNED = {"stripe-signature": f"t=4102444800,v1={'0' * 64}"}
# Stripe allows 300 s; a clock that is half a minute off must not decide.
OLD_S = 600
# Not 404: a webhook that is gone refuses nothing, and Stripe's own events are lost.
REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="payment-system-down")
@asks(WEBHOOK, json=EVENT)
@asks(WEBHOOK, json=EVENT, headers=BADLY_SIGNED)
@asks(WEBHOOK, json=EVENT, headers={"stripe-signature": f"t=1700000000,v1={'0' * 64}"})
def test_webhook_refuses_events_that_stripe_did_not_sign(answers: list[Answer]) -> None:
    """An open webhook enrols people who did not pay; a broken one loses Stripe's own events."""
    assert [answer for answer in answers if not _refused(answer)] == []


def _refused(answer: Answer) -> bool:
    """Whether the platform refused an event on purpose; a 5xx makes Stripe repeat the event for days."""
    return answer.status in REFUSALS


class Stripe:
    """Sends events as Stripe does. secret: of the platform's endpoint, or an invented one."""

    def __init__(self, site: Site, secret: str) -> None:
        self._site = site
        self._secret = secret

    def send(self, body: bytes, *, age: int = 0, altered: bytes | None = None) -> Answer:
        """Send an event that was signed `age` seconds ago. altered: sent in its place, with its signature."""
        headers = signature(body, self._secret, age=age)
        return self._site.ask(WEBHOOK, content=altered or body, headers=headers)


@pytest.fixture
def stripe(site: Site, target: Target) -> Stripe:
    """Return the sender of events; raises NotMeasured where the secret is not known."""
    if target.stripe_webhook_secret is None:
        reason = f"the target {target.name} has stripe-test-mode and no variables.stripe_webhook_secret"
        raise NotMeasured(reason)
    return Stripe(site, target.stripe_webhook_secret)


def _harmless(run: Run, name: str, form: Form) -> bytes:
    return form.write(f"evt_7p_{run.id}_{name}", "7p.verify", {"id": f"7p_{run.id}", "object": "7p.verify"})


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="function", runbook="payment-system-down", needs=("stripe-test-mode",))
@depends_on(WEBHOOK)
def test_webhook_accepts_events_as_stripe_writes_and_signs_them(at_once: AtOnce, stripe: Stripe, run: Run) -> None:
    """Customers have paid and stay locked out: Stripe retries for three days and then gives up."""
    forms = (COMPACT, *FORMS)
    answers = at_once.do(*(partial(stripe.send, _harmless(run, f"f{n}", form)) for n, form in enumerate(forms)))
    refused = {
        form.name: answer for form, answer in zip(forms, answers, strict=True) if not codes.is_success(answer.status)
    }
    # A program's own JSON is compact: it survives a webhook that verifies a body which it has written again.
    only_compact = set(refused) == {form.name for form in FORMS}
    why = "; it accepts a compact one, so it may verify a body that it has written again" if only_compact else ""

    assert [f"it refuses {name}{why}: {answer.exchange()}" for name, answer in refused.items()] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="payment-system-down")
@depends_on(WEBHOOK)
def test_webhook_refuses_old_and_altered_events(at_once: AtOnce, site: Site, target: Target, run: Run) -> None:
    """
    A copied event could be sent again at any time, or changed to say something else.

    Without the endpoint's secret an invented one signs: the platform refuses these events in any payments mode.
    """
    sender = Stripe(site, target.stripe_webhook_secret or f"whsec_{secrets.token_hex(16)}")
    old, new = (_harmless(run, name, FORMS[1]) for name in ("old", "altered"))
    answers = at_once.do(
        partial(sender.send, old, age=OLD_S), partial(sender.send, new, altered=new.replace(b"7p.verify", b"7p.forged"))
    )

    assert [answer for answer in answers if not _refused(answer)] == []


class SignedIn(msgspec.Struct):
    """GET /api/auth/session."""

    user: dict[str, object]


class History(msgspec.Struct):
    """GET /api/payments/history."""

    transactions: list[dict[str, object]]


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P1",
    judges="function",
    runbook="payment-system-down",
    needs=("accounts", "writes", "stripe-test-mode"),
)
@asks("GET /api/courses?sortBy=price&sortOrder=desc&limit=2")
@asks("GET /api/auth/session", account="student")
@depends_on(WEBHOOK, "GET /api/payments/history")
def test_webhook_records_a_repeated_event_once(
    answers: list[Answer], stripe: Stripe, site: Site, signed_in: Session, ledger: Ledger, target: Target, run: Run
) -> None:
    """Stripe repeats an event when it is not sure that it arrived; two records make the accounts wrong."""
    courses, signed_in_user = answers
    course = next(reversed(courses_of(courses)), None)
    if course is None:
        raise empty(target, "no event could be about a course")
    ledger.add(Enrolment(target=target.name, url=target.url, role=signed_in.role, course=course))
    user = signed_in_user.read(SignedIn).user["id"]
    # The count is read now, because another check may have added a payment.
    before = site.ask("GET /api/payments/history", cookies=signed_in.cookies).read(History).transactions
    session = {"id": f"cs_test_7p_{run.id}_{len(before)}", "amount_total": int(100 * course.price), "currency": "try"}
    session |= {"metadata": {"userId": user, "courseId": course.id}}
    event = FORMS[1].write(f"evt_{session['id']}", "checkout.session.completed", session)
    taken = [stripe.send(event), stripe.send(event)]
    after = site.ask("GET /api/payments/history", cookies=signed_in.cookies).read(History).transactions

    assert [answer for answer in taken if not codes.is_success(answer.status)] == []
    assert len(after) - len(before) == 1


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P1", judges="exposure", runbook="payment-system-down", needs=("accounts", "writes", "payments")
)
@asks("GET /api/courses?sortBy=price&sortOrder=desc&limit=2")
@asks("GET /api/auth/session", account="student")
@depends_on(WEBHOOK, "GET /api/payments/history")
def test_refused_events_record_no_payment(
    answers: list[Answer], at_once: AtOnce, site: Site, signed_in: Session, ledger: Ledger, target: Target, run: Run
) -> None:
    """A platform that acts before it verifies the signature gives paid courses away, although it answers 400."""
    courses, signed_in_user = answers
    course = next(reversed(courses_of(courses)), None)
    if course is None:
        raise empty(target, "no event could be about a course")
    ledger.add(Enrolment(target=target.name, url=target.url, role=signed_in.role, course=course))
    user = signed_in_user.read(SignedIn).user["id"]
    # No course has this price, and each attempt has another: a payment of an earlier attempt does not count.
    amount = 70_000_000 + secrets.randbelow(1_000_000)
    session = {"id": f"cs_test_7p_{run.id}_{amount}", "amount_total": amount, "currency": "try"}
    session |= {"metadata": {"userId": user, "courseId": course.id}}
    event = {"id": f"evt_{session['id']}", "type": "checkout.session.completed", "data": {"object": session}}
    refused = at_once.do(*(partial(site.ask, WEBHOOK, json=event, headers=headers) for headers in ({}, BADLY_SIGNED)))
    booked = site.ask("GET /api/payments/history", cookies=signed_in.cookies).read(History).transactions

    assert [answer for answer in refused if not _refused(answer)] == []
    assert [paid for paid in booked if paid["amount"] == amount] == []
