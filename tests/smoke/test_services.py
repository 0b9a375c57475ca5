"""The services behind the candidate, asked live with the candidate's own configuration; nothing is written."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import Evidence, NotApplicable, NotMeasured
from fixtures.inspection.authorship import json_of
from fixtures.model.verdict import Severity
from fixtures.site.catalogue import courses_of
from fixtures.site.client import Site
from fixtures.target.target import Target
from fixtures.target.targets_file import StripeAccess
from fixtures.vendors.environment_sources import Environment
from fixtures.vendors.stripe_settings import balance_of, endpoints_of, mixed_modes, wrong_endpoints


class Supabase:
    """Supabase's data plane as every browser asks it: with the platform's public key."""

    def __init__(self, site: Site, environment: Environment) -> None:
        self._site = site
        url, key = (environment.value(f"NEXT_PUBLIC_SUPABASE_{name}") for name in ("URL", "ANON_KEY"))
        if not url or not key:
            reason = "NEXT_PUBLIC_SUPABASE_URL and NEXT_PUBLIC_SUPABASE_ANON_KEY are not both set and readable"
            raise NotMeasured(reason)
        self._url = url.rstrip("/")
        self._headers = {"apikey": key, "authorization": f"Bearer {key}"}

    def ask(self, path: str) -> Answer:
        """Send a GET."""
        return self._site.ask(f"GET {self._url}{path}", headers=self._headers)


@pytest.fixture
def supabase(site: Site, environment: Environment) -> Supabase:
    """Return the project that the candidate is configured with."""
    return Supabase(site, environment)


class Health(msgspec.Struct):
    """GET /auth/v1/health."""

    name: str


class Row(msgspec.Struct):
    """One row; only the requested column."""

    id: str


class Priced(msgspec.Struct):
    """One row of a course."""

    id: str
    price: float | str | None = None


@pytest.mark.predeploy
@pytest.mark.check(
    severity="P1",
    judges="upkeep",
    runbook="authentication-issues",
    needs=("environment",),
    third_party="supabase",
)
@depends_on("vendor supabase sign-in", "variable NEXT_PUBLIC_SUPABASE_*")
def test_supabase_sign_in_accepts_the_public_key(supabase: Supabase) -> None:
    """A revoked key, or one of another project, signs nobody in, and the build does not show it."""
    health = supabase.ask("/auth/v1/health")

    assert health.status == HTTPStatus.OK
    assert health.read(Health).name == "GoTrue"


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(
    severity="P1",
    judges="upkeep",
    runbook="database-connection-issues",
    needs=("environment",),
    third_party="supabase",
)
@depends_on("vendor supabase rows", "variable NEXT_PUBLIC_SUPABASE_*", "table courses")
def test_supabase_reads_rows_with_the_public_key(supabase: Supabase) -> None:
    """Health may answer 200 without a database; only a row proves that the database is there."""
    rows = supabase.ask("/rest/v1/courses?select=id&limit=1")

    assert rows.status == HTTPStatus.OK
    assert len(rows.read(list[Row])) <= 1


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="payment-system-down", needs=("environment",))
@asks("GET /api/courses?limit=100")
@depends_on("vendor supabase rows", "variable NEXT_PUBLIC_SUPABASE_*", "table courses")
def test_courses_cost_what_their_rows_say(answer: Answer, supabase: Supabase, evidence: Evidence) -> None:
    """
    The shop shows another price than the one that somebody has set: students pay too much, or nothing.

    A lower price may be that of a campaign, so that it is an alert.
    """
    rows = supabase.ask("/rest/v1/courses?select=id,price&limit=1000")
    if rows.status == HTTPStatus.BAD_REQUEST:
        reason = f"the rows of courses have no price: {rows.exchange()}"
        raise NotApplicable(reason)
    if rows.status != HTTPStatus.OK:
        reason = f"nobody can say what the courses cost: {rows.exchange()}"
        raise NotMeasured(reason)
    prices = {row.id: float(row.price) for row in rows.read(list[Priced]) if row.price is not None}

    wrong = [course for course in courses_of(answer) if prices.get(course.id, course.price) != course.price]
    if wrong and all(0 < course.price < prices[course.id] for course in wrong):
        evidence.raise_severity(Severity.P2)
    assert [f"{course.title} costs {course.price:g}, and {prices[course.id]:g} by its row" for course in wrong] == []


@pytest.fixture
def stripe(target: Target) -> StripeAccess:
    """Return the client for Stripe's settings."""
    assert target.stripe
    return target.stripe


def _read(site: Site, stripe: StripeAccess, path: str) -> Answer:
    answer = site.ask(f"GET {stripe.api}{path}", headers={"authorization": f"Bearer {stripe.token}"})
    if answer.code == HTTPStatus.FORBIDDEN:
        reason = f"the restricted key has no right to read Balance and Webhook Endpoints: {answer!r}"
        raise NotMeasured(reason)
    return answer


def _payments_are_off(health: Answer) -> bool:
    """Whether the platform says so; other checks judge a health endpoint that says nothing."""
    content = json_of(health)
    return isinstance(content, dict) and content.get("paymentsMode", "stripe") != "stripe"


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P1",
    judges="upkeep",
    runbook="payment-system-down",
    needs=("environment", "stripe-config"),
    third_party="stripe",
)
@asks("GET /api/health")
@depends_on("vendor stripe", "variable NEXT_PUBLIC_STRIPE_*")
def test_stripe_answers_in_the_configured_mode(
    answer: Answer,
    site: Site,
    stripe: StripeAccess,
    environment: Environment,
    charges_cards: bool,  # noqa: FBT001
) -> None:
    """With keys of two modes the card form works, and the platform never finds the payment."""
    balance = _read(site, stripe, "/v1/balance")
    publishable = environment.value("NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY")
    is_on = not _payments_are_off(answer)

    assert balance.status == HTTPStatus.OK
    assert mixed_modes(stripe.token, balance_of(balance), publishable if is_on else None, live=charges_cards) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P1",
    judges="upkeep",
    runbook="payment-system-down",
    needs=("stripe-config",),
    third_party="stripe",
)
@asks("GET /api/health")
@depends_on("vendor stripe", "vendor stripe webhook")
def test_stripe_sends_its_events_to_the_platform(
    answer: Answer,
    site: Site,
    stripe: StripeAccess,
    target: Target,
    charges_cards: bool,  # noqa: FBT001
) -> None:
    """Without a working endpoint the platform never learns of a payment: customers pay and are not enrolled."""
    listed = _read(site, stripe, "/v1/webhook_endpoints?limit=100")
    is_on = not _payments_are_off(answer)

    assert listed.status == HTTPStatus.OK
    known = endpoints_of(listed) if is_on else []
    wrong = wrong_endpoints(known, target.url, stripe.events, live=charges_cards)
    # While payments are off there are no events to miss.
    assert (wrong if is_on else []) == []
