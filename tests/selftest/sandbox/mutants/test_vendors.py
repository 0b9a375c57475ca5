"""Each rule of the vendors, and each that moves Vercel's domains, makes the trouble that its sentence names."""

from __future__ import annotations

import pytest

from fixtures.sandbox import mutants
from fixtures.sandbox.mutants.harmful import vendors, vercel
from fixtures.sandbox.mutants.mutant import Rule
from tests.selftest.coroutines import run
from tests.selftest.sandbox.mutants.asking import rules_of
from tests.selftest.sandbox.mutants.surroundings import troubles_with

# rule -> the trouble that it makes, and the subjects that it is tried with.
HARMFUL: dict[str, tuple[str, tuple[str, ...]]] = {
    "events-go-elsewhere": ("events", ("staging",)),
    "events-miss-the-route": ("events", ("singular",)),
    "events-stopped": ("events", ("disabled", "no-events")),
    "event-not-subscribed": ("events", ("checkout.session.completed",)),
    "stripe-fails": ("stripe", ("unavailable",)),
    "stripe-key-rolled": ("stripe", ("rolled",)),
    "checkout-refused": ("stripe", ("402",)),
    "stripe-modes-differ": ("mode", ("live",)),
    "supabase-fails": ("supabase", ("everything", "rows", "sign-in")),
    "supabase-keys-rotated": ("supabase", ("anon", "both")),
    "schema-cache-stale": ("supabase", ("review_helpfulness",)),
    "identity-service-wrong": (
        "identity",
        ("refuses-everybody", "refuses-registrations", "accepts-every-password"),
    ),
    "backups-missing": ("backups", ("old", "few", "stopped")),
    "commit-failed-its-checks": ("commit", ("sast-timed_out",)),
    "commit-status-red": ("commit", ("error",)),
    "commit-not-checked": ("commit", ("queued", "missing")),
    "sentry-without-release": ("release", ("release",)),
    "domain-without-deployment": ("domain", ("nothing", "deleted")),
    "domain-lost": ("domain", ("cut",)),
    "domain-on-an-older-deployment": ("older", ("control", "oldest")),
}


@pytest.mark.parametrize(
    ("rule", "subject"), [(rule, subject) for rule, (_, subjects) in HARMFUL.items() for subject in subjects]
)
def test_a_harmful_mutant_makes_its_trouble(rule: str, subject: str) -> None:
    """Plain requests to the vendors and the domain find it."""
    trouble, _ = HARMFUL[rule]
    assert trouble in run(troubles_with(mutants.find(f"{rule}/{subject}")))


def test_healthy_surroundings_have_no_trouble() -> None:
    """Otherwise an oracle would prove nothing about a mutant."""
    assert run(troubles_with(None)) == set()


def _around(kind: str) -> list[Rule]:
    rules = [rule for rule in mutants.rules().values() if rule.kind == kind and rule.place == "around"]
    return [rule for rule in rules if not next(rule.mutants()).truth.harmful]


@pytest.mark.parametrize("rule", [rule.name for kind in ("vendor", "vercel") for rule in _around(kind)])
def test_a_harmless_mutant_makes_no_trouble(rule: str) -> None:
    """A reader of keys by their names finds all of them, and the judged deployment serves production."""
    for subject in mutants.rules()[rule].subjects[::4]:
        assert run(troubles_with(mutants.find(f"{rule}/{subject.name}"))) == set(), subject.name


def test_every_harmful_rule_has_its_trouble() -> None:
    """A rule without one could change nothing, and nobody would know."""
    around = {rule.name for rule in vars(vercel).values() if isinstance(rule, Rule) and rule.place == "around"}
    assert set(HARMFUL) == rules_of(vendors) | around
