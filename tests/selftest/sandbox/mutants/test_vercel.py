"""Each rule of Vercel's variables takes something from users or opens something, asked by plain requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import httpx
import pytest

from fixtures.sandbox import mutants
from fixtures.sandbox.mutants.harmful import vercel
from fixtures.sandbox.mutants.mutant import Rule
from fixtures.sandbox.vendors.supabase_data import key
from tests.selftest.sandbox.running_app import RunningApp

Oracle = Callable[[RunningApp], bool]
PROJECT = "aprojectoftheplatform"


def deploy(app: RunningApp) -> None:
    """Deploy a healthy build with keys of the form that Supabase gives."""
    app.deploy()
    app.build.environment["NEXT_PUBLIC_SUPABASE_ANON_KEY"] = key("anon", PROJECT)
    for name in ("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY"):
        app.build.environment[name] = key("service_role", PROJECT)


def fails(app: RunningApp) -> bool:
    """Whether a route that every visit needs answers with an error of the server."""
    with app.client() as client:
        return any(client.get(path).status_code >= 500 for path in ("/api/auth/session", "/api/courses", "/login"))


def leads_away(app: RunningApp) -> bool:
    """Whether sign-in sends its users to another host."""
    with app.client() as client:
        return not client.get("/api/auth/providers").json()["credentials"]["signinUrl"].startswith(app.url)


def sells_nothing(app: RunningApp) -> bool:
    """Whether payments are off or refused by Stripe, or its events by the platform."""
    body, signature = app.sign_event({"id": "evt_1", "type": "customer.created", "data": {"object": {}}})
    with app.client() as client:
        stripe = client.get("/api/health").json()["checks"]["stripe"]
        event = client.post("/api/webhooks/stripe", content=body, headers={"stripe-signature": signature})
    modes = {app.build.environment[name].split("_")[1] for name in _STRIPE_KEYS}
    return stripe is not True or event.status_code != 200 or len(modes) != 1


_STRIPE_KEYS = ("STRIPE_SECRET_KEY", "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY")


def refuses_codes(app: RunningApp) -> bool:
    """Whether free enrolment is off for whoever has got a code."""
    with app.client() as client:
        return client.post("/api/enroll/free", json={}).status_code == 501


def gives_away(app: RunningApp) -> bool:
    """Whether a student gets a priced course without a code."""
    course = app.course(free=False)["id"]
    with app.client("other_student") as client:
        answer = client.post("/api/enroll/free", json={"courseId": course, "code": "a guess"})
    app.rows(
        "DELETE FROM public.enrollments WHERE user_id = (SELECT id FROM public.users WHERE email = %s)",
        app.accounts["other_student"].email,
    )
    return answer.status_code == 201


def shows_a_secret(app: RunningApp) -> bool:
    """Whether a variable that scripts may hold has the value of one that they may not."""
    shown = {value for name, value in app.build.environment.items() if name.startswith("NEXT_PUBLIC_")}
    return bool(shown & {value for name, value in app.build.environment.items() if not name.startswith("NEXT_PUBLIC_")})


def mixes_keys(app: RunningApp) -> bool:
    """Whether a key of Supabase is of another role or project than its name says, or the address another's."""
    environment = app.build.environment
    roles = {"NEXT_PUBLIC_SUPABASE_ANON_KEY": "anon", "SUPABASE_SERVICE_KEY": "service_role"}
    roles["SUPABASE_SERVICE_ROLE_KEY"] = "service_role"
    claims = {name: _claims(environment[name]) for name in roles}
    right = all(claims[name]["role"] == role and claims[name]["ref"] == PROJECT for name, role in roles.items())
    return not right or httpx.URL(environment["NEXT_PUBLIC_SUPABASE_URL"]) != "https://sandbox.supabase.test"


def _claims(token: str) -> dict[str, str]:
    part = token.split(".")[1]
    claims: dict[str, str] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


# rule -> its oracle, and the subjects that it is tried with.
HARMFUL: dict[str, tuple[Oracle, tuple[str, ...]]] = {
    "variable-missing": (fails, ("NEXTAUTH_SECRET", "SUPABASE_SERVICE_KEY", "STRIPE_SECRET_KEY")),
    "variable-empty": (fails, ("STRIPE_WEBHOOK_SECRET",)),
    "variable-under-another-name": (fails, ("NEXT_PUBLIC_SUPABASE_ANON_KEY",)),
    "address-of-another-target": (leads_away, ("staging", "localhost")),
    "payments-mode-misspelt": (sells_nothing, ("capital", "spaces")),
    "free-enrolment-misspelt": (refuses_codes, ("one", "missing")),
    "free-enrolment-without-code": (gives_away, ("missing", "empty")),
    "secret-in-the-browser": (shows_a_secret, ("SUPABASE_SERVICE_ROLE_KEY",)),
    "stripe-key-of-another-account": (sells_nothing, ("secret", "publishable", "webhook")),
    "supabase-key-wrong": (mixes_keys, ("anon-of-another-project", "service-is-anon", "role-key-is-anon")),
    "supabase-address-wrong": (mixes_keys, ("http", "other-project")),
}


@pytest.mark.parametrize(
    ("rule", "subject"), [(rule, subject) for rule, (_, subjects) in HARMFUL.items() for subject in subjects]
)
def test_a_harmful_mutant_hurts(running: RunningApp, rule: str, subject: str) -> None:
    """The oracle sees nothing on a healthy build, and the effect on the mutant."""
    oracle, change = HARMFUL[rule][0], mutants.find(f"{rule}/{subject}").build
    deploy(running)
    assert not oracle(running), "the oracle condemns a healthy build"
    deploy(running)
    assert change is not None
    change(running.build)
    assert oracle(running), "nobody notices the mutant"


def _harmless() -> list[str]:
    return [
        name
        for name, mutant in mutants.mutants().items()
        if mutant.kind == "vercel" and mutant.build and not mutant.truth.harmful
    ]


@pytest.mark.parametrize("name", _harmless())
def test_a_harmless_mutant_hurts_nobody(running: RunningApp, name: str) -> None:
    """Everything but a campaign that was ended on purpose is there."""
    deploy(running)
    change = mutants.find(name).build
    assert change is not None
    change(running.build)
    oracles = {fails, leads_away, sells_nothing, gives_away, shows_a_secret, mixes_keys, refuses_codes}
    expected = {refuses_codes} if name.startswith("free-enrolment-ended/") else set()
    assert {oracle for oracle in oracles if oracle(running)} == expected


def test_every_harmful_rule_of_a_build_has_an_oracle() -> None:
    """Those around the builds are in the tests of the vendors."""
    rules = [rule for rule in vars(vercel).values() if isinstance(rule, Rule) and rule.place == "deployment"]
    assert set(HARMFUL) == {rule.name for rule in rules}
