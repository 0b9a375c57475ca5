"""The rules of the styles tell the truth: what they hide nobody sees or clicks, and what they change is still there."""

from __future__ import annotations

import pytest

from fixtures.sandbox.mutants.harmful import styles as harmful
from fixtures.sandbox.mutants.harmless import styles as harmless
from tests.selftest.sandbox.mutants import looks
from tests.selftest.sandbox.mutants.looks import Case, case
from tests.selftest.sandbox.mutants.visitor import Visitor

# A browser walks for each mutant.
pytestmark = pytest.mark.proof

HARMFUL = [
    *(case(f"content-hidden/login-{way}", looks.useless) for way in harmful.HIDDEN),
    case("text-in-the-colour-of-the-ground/home", looks.useless),
    case("layer-over-the-page/login", looks.useless),
    case("clear-layer-takes-the-clicks/login", looks.useless),
    case("nothing-takes-a-click/login", looks.useless),
    case("hidden-on-phones/login-portrait", looks.useless_on_a_phone),
    case("hidden-on-phones/login-wide", looks.useless_on_a_phone),
    case("button-out-of-reach-on-phones/login", looks.phone_without_a_button),
    case("fields-and-buttons-hidden/login", looks.useless),
    case("page-without-style/login", looks.unstyled),
    case("style-for-print-only/login", looks.unstyled),
    case("style-of-another-build/login", looks.unstyled),
    *(case(f"stylesheet-broken/{way.name}", looks.unstyled, "/login") for way in harmful.SHEETS),
]
HARMLESS = {
    "site-restyled/dark": "/register",
    "page-restyled/login-green": "/login",
    "page-with-an-effect/home-decoration-in-front": "/",
    "sheet-built-in-another-way/in-two-files": "/login",
    "classes-renamed/hashes": "/",
    "classes-added/login": "/login",
    "style-of-the-page-apart/home": "/",
    "side-bar-moved/right": "/settings",
}


def test_every_rule_is_tried() -> None:
    """A new rule needs an oracle."""
    assert {one.mutant.partition("/")[0] for one in HARMFUL} == looks.rules_of(harmful)
    assert {name.partition("/")[0] for name in HARMLESS} == looks.rules_of(harmless)


@pytest.mark.parametrize("tried", HARMFUL, ids=looks.names(HARMFUL))
def test_a_harmful_mutant_hurts(visitor: Visitor, tried: Case) -> None:
    """A visitor of the page notices it."""
    visitor.deploy(tried.mutant)

    assert tried.look(visitor, tried.path)


def test_a_healthy_build_hurts_nobody(visitor: Visitor) -> None:
    """Each look is able to find nothing."""
    visitor.deploy()

    assert [one.mutant for one in looks.healthy(HARMFUL) if one.look(visitor, one.path)] == []


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_mutant_hurts_nobody(visitor: Visitor, name: str) -> None:
    """The page is styled, and it can be used."""
    visitor.deploy(name)

    assert (looks.useless(visitor, HARMLESS[name]), looks.unstyled(visitor, HARMLESS[name])) == (False, False)
