"""Payments, without charging anyone."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

import msgspec
import pytest

from fixtures.answers import Answer
from fixtures.declarations import asks


class Mode(msgspec.Struct):
    """Whether payments are on, as the health endpoint says."""

    paymentsMode: Literal["stripe", "disabled"]  # noqa: N815  (the platform's word)


class Refusal(msgspec.Struct):
    """What a payment route answers while payments are off."""

    message: str
    mode: str


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", runbook="payment-system-down")
@asks("GET /api/health")
@asks("POST /api/payments/create-checkout-session", json={})
def test_checkout_answers_as_the_payments_mode_says(answers: list[Answer]) -> None:
    """Nobody can buy when it errs. Off is not broken: 501 is the right answer then, 401 for strangers otherwise."""
    health, checkout = answers

    if health.read(Mode).paymentsMode == "disabled":
        assert checkout.read(Refusal) == Refusal("payments_disabled", "disabled")
        assert checkout.status == HTTPStatus.NOT_IMPLEMENTED
    else:
        assert checkout.status == HTTPStatus.UNAUTHORIZED


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", runbook="payment-system-down")
@asks("POST /api/webhooks/stripe", json={"id": "evt_7p_verify", "type": "checkout.session.completed"})
def test_webhook_refuses_what_stripe_did_not_sign(answer: Answer) -> None:
    """Open, anyone enrols without paying; erring, Stripe's own events are lost and paid courses stay closed."""
    assert answer.status == HTTPStatus.BAD_REQUEST


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P0",
    runbook="payment-system-down",
    needs=("payments", "payments-test"),
    third_party="stripe",
    rollback_eligible=False,
)
@asks("POST /api/payments/test", json={})
def test_stripe_answers_through_the_platform(answer: Answer) -> None:
    """Checkout is down for everyone while Stripe is, or while our key to it is wrong."""
    assert answer.status == HTTPStatus.OK
