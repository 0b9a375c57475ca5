"""The stand-ins of the third parties: what they keep, what they refuse, and how a test breaks them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from fixtures.sandbox.vendors.sinks import Sinks
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge


@pytest.fixture
def running() -> Iterator[RunningEdge]:
    """Return an edge; the stand-ins use its listeners."""
    with run_edge() as running:
        yield running


@pytest.fixture
def sinks(running: RunningEdge) -> Sinks:
    """Return the stand-ins after they started to listen."""
    sinks = Sinks()
    running.do(sinks.open(running.edge.listeners))
    return sinks


def ask_stripe(running: RunningEdge, sinks: Sinks, method: str, path: str, **form: str) -> httpx.Response:
    """Ask Stripe with the right key."""
    headers = {"authorization": f"Bearer {sinks.stripe.secret_key}"}
    data = form if method == "POST" else None
    return running.client.request(method, f"{sinks.stripe_listener.url}{path}", headers=headers, data=data)


def test_slack_keeps_what_was_posted(running: RunningEdge, sinks: Sinks) -> None:
    """The answer is the word `ok`."""
    answer = running.client.post(sinks.slack_url, json={"text": "P0", "blocks": []})

    assert (answer.status_code, answer.text) == (200, "ok")
    assert sinks.slack.messages == [{"text": "P0", "blocks": []}]


def test_slack_refuses_what_slack_refuses(running: RunningEdge, sinks: Sinks) -> None:
    """Each refusal has its own word, and the message is not kept."""
    broken = running.client.post(sinks.slack_url, content=b"{")
    wordless = running.client.post(sinks.slack_url, json={"blocks": []})
    elsewhere = running.client.post(f"{sinks.slack_listener.url}/services/T/B/X", json={"text": "x"})
    sinks.slack.refusal = (429, "rate_limited")
    limited = running.client.post(sinks.slack_url, json={"text": "x"})

    refusals = [(answer.status_code, answer.text) for answer in (broken, wordless, elsewhere, limited)]
    assert refusals == [(400, "invalid_payload"), (400, "no_text"), (404, "no_service"), (429, "rate_limited")]
    assert limited.headers["retry-after"] == "1"
    assert sinks.slack.messages == []


def test_stripe_takes_its_own_test_key_only(running: RunningEdge, sinks: Sinks) -> None:
    """A deployment with a wrong key is refused."""
    other_student = running.client.get(
        f"{sinks.stripe_listener.url}/v1/balance", headers={"authorization": "Bearer sk_test_other"}
    )
    known = ask_stripe(running, sinks, "GET", "/v1/balance")

    assert (other_student.status_code, other_student.json()["error"]["type"]) == (401, "invalid_request_error")
    assert (known.status_code, known.json()["livemode"]) == (200, False)
    assert sinks.stripe.secret_key.startswith("sk_test_")
    assert sinks.stripe.publishable_key.startswith("pk_test_")


def test_a_checkout_session_opens_and_expires_once(running: RunningEdge, sinks: Sinks) -> None:
    """A test proves the checkout without a charge: it opens a session in test mode and lets it expire."""
    form = {"mode": "payment", "success_url": "http://127.0.0.2/", "metadata[courseId]": "c1"}
    opened = ask_stripe(running, sinks, "POST", "/v1/checkout/sessions", **form).json()
    path = f"/v1/checkout/sessions/{opened['id']}"

    expired = ask_stripe(running, sinks, "POST", f"{path}/expire")
    again = ask_stripe(running, sinks, "POST", f"{path}/expire")

    assert opened["id"].startswith("cs_test_")
    assert opened["url"].startswith("https://checkout.stripe.com/")
    assert (opened["livemode"], opened["status"], opened["metadata"]) == (False, "open", {"courseId": "c1"})
    assert (expired.json()["status"], again.status_code) == ("expired", 400)
    assert ask_stripe(running, sinks, "GET", path).json()["status"] == "expired"
    assert ask_stripe(running, sinks, "POST", "/v1/checkout/sessions/cs_test_x/expire").status_code == 404


def test_payment_intents_the_portal_and_refunds_answer(running: RunningEdge, sinks: Sinks) -> None:
    """The platform's other payment routes use these calls."""
    intent = ask_stripe(running, sinks, "POST", "/v1/payment_intents", amount="129900", currency="try").json()
    sinks.stripe.intents[intent["id"]]["status"] = "succeeded"

    assert intent["client_secret"].startswith(f"{intent['id']}_secret_")
    assert ask_stripe(running, sinks, "GET", f"/v1/payment_intents/{intent['id']}").json()["status"] == "succeeded"
    assert ask_stripe(running, sinks, "POST", "/v1/payment_intents", amount="x").status_code == 400
    portal = ask_stripe(running, sinks, "POST", "/v1/billing_portal/sessions", customer="cus_1").json()
    assert portal["url"].startswith("https://billing.stripe.com/")
    assert ask_stripe(running, sinks, "POST", "/v1/refunds").json()["status"] == "succeeded"


def test_a_broken_stripe_says_so_on_its_status_page(running: RunningEdge, sinks: Sinks) -> None:
    """The gate then blames no deployment for a red payment check."""
    page = sinks.third_parties["stripe"]
    before = running.client.get(page).json()["status"]["indicator"]
    sinks.stripe.failure = "unavailable"

    answer = ask_stripe(running, sinks, "GET", "/v1/balance")

    assert answer.status_code == 503
    assert (before, running.client.get(page).json()["status"]["indicator"]) == ("none", "major")


def test_a_silent_stripe_lets_its_clients_wait(running: RunningEdge, sinks: Sinks) -> None:
    """Only the client's own time limit ends the call."""
    sinks.stripe.failure = "silent"

    with pytest.raises(httpx.ReadTimeout):
        running.client.get(f"{sinks.stripe_listener.url}/v1/balance", timeout=0.3)


def test_the_control_address_answers_while_the_network_is_up(running: RunningEdge, sinks: Sinks) -> None:
    """A silent control address means that the runner's network is down, not the platform."""
    up = running.client.get(sinks.control_address)
    running.do(sinks.control_listener.cut())

    assert up.status_code == 204
    with pytest.raises(httpx.ConnectError):
        running.client.get(sinks.control_address)


def test_a_restricted_key_reads_settings_and_takes_no_money(running: RunningEdge, sinks: Sinks) -> None:
    """The key reads the configuration; a thief can do nothing else with it."""
    sinks.stripe.settings.listen("https://7peducation.test")
    api, headers = sinks.stripe_listener.url, {"authorization": f"Bearer {sinks.stripe.settings.key}"}
    listed = running.client.get(f"{api}/v1/webhook_endpoints", headers=headers).json()["data"]
    refused = running.client.post(f"{api}/v1/checkout/sessions", headers=headers, data={"mode": "payment"})

    assert [(row["url"], row["livemode"]) for row in listed] == [
        ("https://7peducation.test/api/webhooks/stripe", False)
    ]
    assert (refused.status_code, sinks.stripe.sessions) == (403, {})


def test_supabases_sign_in_is_healthy_without_its_database(running: RunningEdge, sinks: Sinks) -> None:
    """The real one behaves so: the health of one part says nothing of another, and every call needs a key."""
    data, api = sinks.supabase_data, sinks.supabase_data_listener.url
    data.database_down = True
    paths = ("/auth/v1/health", "/rest/v1/courses?select=id&limit=1")
    headers: tuple[dict[str, str], ...] = ({"apikey": data.keys["anon"]}, {"apikey": "other"}, {})

    answered = [[running.client.get(f"{api}{path}", headers=given).status_code for path in paths] for given in headers]

    assert answered == [[200, 503], [401, 401], [401, 401]]


def test_a_buyer_reads_the_own_payment_with_the_public_key(running: RunningEdge, sinks: Sinks) -> None:
    """Stripe's script does so in every browser; without the secret of a payment the key reads nothing."""
    api, stripe = sinks.stripe_listener.url, sinks.stripe
    as_platform = {"authorization": f"Bearer {stripe.secret_key}"}
    form = {"amount": "129900", "currency": "try"}
    begun = running.client.post(f"{api}/v1/payment_intents", headers=as_platform, data=form).json()
    as_buyer = {"authorization": f"Bearer {stripe.publishable_key}"}
    address = f"{api}/v1/payment_intents/{begun['id']}"

    told = running.client.get(f"{address}?client_secret={begun['client_secret']}", headers=as_buyer)
    refused = [running.client.get(asked, headers=as_buyer).status_code for asked in (address, f"{api}/v1/balance")]

    assert (told.status_code, told.json()["amount"], refused) == (200, 129900, [401, 401])
