"""Payments in both modes, failures of Stripe, and the webhook's rules."""

from __future__ import annotations

import secrets

import httpx
import pytest

from fixtures.model.routes import NOBODY
from tests.selftest.sandbox.running_app import RunningApp

ROUTES = [
    ("POST", "/api/payments/create-checkout-session"),
    ("POST", "/api/payments/create-payment-intent"),
    ("POST", "/api/payments/customer-portal"),
    ("GET", "/api/payments/history"),
    ("GET", "/api/payments/subscriptions"),
    ("PATCH", "/api/payments/subscriptions"),
]


def _event(kind: str = "charge.updated", content: object = None) -> dict[str, object]:
    return {"id": f"evt_{secrets.token_hex(12)}", "type": kind, "data": {"object": content or {}}}


def _purchase(app: RunningApp, course_id: str) -> dict[str, object]:
    """Return the object of a checkout session that the other student completed."""
    user = app.rows("SELECT id::text FROM public.users WHERE email = %s", app.accounts["other_student"].email)[0][0]
    session = f"cs_test_{secrets.token_hex(12)}"
    return {
        "id": session,
        "amount_total": 49900,
        "currency": "try",
        "metadata": {"userId": user, "courseId": course_id},
    }


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_disabled_payments_say_so(app: RunningApp, client: httpx.Client, method: str, path: str) -> None:
    """The answer is 501 with the documented body, before the session is checked; the connection test is not there."""
    app.deploy(payments_mode="disabled")
    answer = client.request(method, path)

    assert answer.status_code == 501
    assert answer.json().keys() == {"success", "message", "error", "mode"}
    assert client.post("/api/payments/test").status_code == 404
    assert (answer.json()["message"], answer.json()["mode"]) == ("payments_disabled", "disabled")


def test_disabled_payments_need_no_stripe_variable(app: RunningApp, client: httpx.Client) -> None:
    """Data routes and health work without these variables."""
    app.deploy(payments_mode="disabled")

    assert [name for name in app.build.environment if "STRIPE" in name] == []
    assert [client.get(path).status_code for path in ("/api/courses", "/api/health", "/marketplace")] == [200] * 3


def test_a_course_can_be_paid_for(app: RunningApp, student: httpx.Client) -> None:
    """Stripe gets exactly the price in minor units, and nothing is booked before the payment."""
    course = app.course(free=False)
    session = student.post(
        "/api/payments/create-checkout-session", json={"type": "course", "courseId": course["id"]}
    ).json()
    intent = student.post("/api/payments/create-payment-intent", json={"courseId": course["id"]}).json()
    price = app.rows("SELECT price FROM public.courses WHERE id = %s", course["id"])[0][0]

    assert session["url"].startswith("https://checkout.stripe.com/")
    assert app.sinks.stripe.sessions[session["sessionId"]]["metadata"]["courseId"] == course["id"]
    assert intent.keys() == {"clientSecret", "paymentIntentId", "amount", "currency"}
    assert app.sinks.stripe.intents[intent["paymentIntentId"]]["amount"] == intent["amount"] == price * 100
    assert student.get("/api/payments/history").json() == {"transactions": []}
    assert student.get("/api/payments/subscriptions").json() == {"subscriptions": []}
    assert student.post("/api/payments/customer-portal").json()["url"].startswith("https://billing.stripe.com/")


@pytest.mark.parametrize(("body", "status"), [({}, 400), ({"courseId": "x"}, 400), ({"courseId": NOBODY}, 404)])
def test_what_cannot_be_bought_is_refused(student: httpx.Client, body: object, status: int) -> None:
    """The refusal is `{error}`."""
    answer = student.post("/api/payments/create-payment-intent", json=body)

    assert (answer.status_code, answer.json().keys()) == (status, {"error"})


def test_a_free_course_is_not_for_sale(app: RunningApp, student: httpx.Client) -> None:
    """The answer is 400, and Stripe is not asked."""
    body = {"type": "course", "courseId": app.course(free=True)["id"]}

    assert student.post("/api/payments/create-checkout-session", json=body).status_code == 400


def test_stripe_being_down_is_named(app: RunningApp, client: httpx.Client, student: httpx.Client) -> None:
    """The answer is 502 `{error}`, and 200 while Stripe works."""
    before = client.post("/api/payments/test")
    app.sinks.stripe.failure = "unavailable"
    body = {"type": "course", "courseId": app.course(free=False)["id"]}
    down = [client.post("/api/payments/test"), student.post("/api/payments/create-checkout-session", json=body)]

    assert (before.status_code, before.json()["livemode"]) == (200, False)
    assert [(answer.status_code, answer.json().keys()) for answer in down] == [(502, {"error"})] * 2


def test_the_webhook_refuses_what_stripe_did_not_sign(app: RunningApp, client: httpx.Client) -> None:
    """A missing, foreign or old signature and an altered body are a 400 in either mode."""
    event = _event()
    body, good = app.sign_event(event)
    _, foreign = app.sign_event(event, secret=secrets.token_hex(16))
    _, old = app.sign_event(event, age=400)
    requests = [(body, None), (body, "garbled"), (body, "t=,v1="), (body, foreign), (body, old)]
    requests += [(body + b" ", good), (body, good.replace("v1=", "v0="))]
    for mode in ("stripe", "disabled"):
        app.deploy(payments_mode=mode)
        answers = [_deliver(client, content, signature) for content, signature in requests]

        assert [answer.status_code for answer in answers] == [400] * len(requests)
        assert all(answer.json().keys() == {"error"} for answer in answers)


def test_the_webhook_accepts_one_good_signature_among_others(app: RunningApp, client: httpx.Client) -> None:
    """Several signatures are normal while a secret is rotated; a stamp from the future is accepted, too."""
    body, signature = app.sign_event(_event())
    ahead, early = app.sign_event(_event(), age=-600)

    assert _deliver(client, body, f"{signature},v1={'0' * 64}").json() == {"received": True}
    assert _deliver(client, ahead, early).status_code == 200


def test_a_purchase_is_booked_once(app: RunningApp, client: httpx.Client, student: httpx.Client) -> None:
    """The same event again changes nothing; another event about the same session does not book it twice."""
    course_id = app.course(free=False)["id"]
    purchase = _purchase(app, course_id)
    event, second = (_event("checkout.session.completed", purchase) for _ in range(2))
    answers = [_deliver(client, *app.sign_event(each)).json() for each in (event, event, second)]
    booked = student.get("/api/payments/history").json()["transactions"]
    enrolled = student.get("/api/enrollments").json()["data"]["enrollments"]

    assert answers == [{"received": True}] * 3
    assert [(row["course_id"], row["amount"], row["status"]) for row in booked] == [(course_id, 49900, "completed")]
    assert [(row["course_id"], row["plan"]) for row in enrolled] == [(course_id, "paid")]


def test_a_foreign_purchase_is_refused_and_may_come_again(app: RunningApp, client: httpx.Client) -> None:
    """A session of another system is not booked and not remembered as processed."""
    unknown = _event("checkout.session.completed", _purchase(app, NOBODY))
    shapeless = _event("checkout.session.completed", {"id": "cs_test_x"})
    answers = [_deliver(client, *app.sign_event(event)) for event in (unknown, unknown, shapeless)]

    assert [answer.status_code for answer in answers] == [400] * 3


def test_an_admin_gives_the_money_back_once(app: RunningApp, client: httpx.Client, student: httpx.Client) -> None:
    """The payment is refunded and the enrolment cancelled; a second refund is refused."""
    event = _event("checkout.session.completed", _purchase(app, app.course(free=False)["id"]))
    _deliver(client, *app.sign_event(event))
    payment = student.get("/api/payments/history").json()["transactions"][0]["id"]
    body = {"transactionId": payment, "paymentIntentId": "pi_x", "amount": 49900}
    with app.client("admin") as admin:
        answers = [admin.post("/api/admin/payments/refund", json=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 404]
    assert student.get("/api/payments/history").json()["transactions"][0]["status"] == "refunded"
    assert answers[0].json()["data"]["refund"]["amount"] == 49900
    assert student.get("/api/enrollments?status=active").json()["data"]["total"] == 0


def _deliver(client: httpx.Client, body: bytes, signature: str | None) -> httpx.Response:
    headers = {"content-type": "application/json"} | ({"stripe-signature": signature} if signature else {})
    return client.post("/api/webhooks/stripe", content=body, headers=headers)
