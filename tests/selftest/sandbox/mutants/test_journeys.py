"""The rules of the journeys tell the truth: people get to the end of every way but those that a harmful rule breaks."""

from __future__ import annotations

import pytest

from fixtures.sandbox.mutants.harmful import journeys as harmful
from fixtures.sandbox.mutants.harmless import journeys as harmless
from tests.selftest.sandbox.mutants import looks, walks
from tests.selftest.sandbox.mutants.looks import Case, case
from tests.selftest.sandbox.mutants.visitor import Visitor

# A browser walks for each mutant.
pytestmark = pytest.mark.proof

HARMFUL = [
    case("link-to-nowhere/login-to-register", looks.link_is_broken, "/login"),
    case("link-is-dead/home-to-login", looks.useless, "/"),
    case("link-to-another-environment/home-to-login", looks.useless, "/"),
    case("nobody-signs-in/half-kept", looks.cannot(walks.signs_in), "/"),
    case("dashboard-fails-after-the-sign-in/boundary", looks.cannot(walks.signs_in), "/"),
    case("dashboard-fails-after-the-sign-in/spinner", looks.cannot(walks.signs_in), "/"),
    case("signs-in-once-only/next-visit", looks.cannot(walks.signs_in_again), "/"),
    case("signs-in-once-only/wrong-password-first", looks.cannot(walks.signs_in_after_a_mistake), "/"),
    case("step-fails/enrolment-without-code", looks.cannot(walks.enrols), "/"),
    case("step-fails/lesson-without-watching", looks.cannot(walks.completes), "/"),
    case("step-fails/purchase-of-nothing", looks.cannot(walks.buys), "/"),
    case("step-fails/registration-elsewhere", looks.cannot(walks.registers), "/"),
    case("step-fails/reset-not-sent", looks.cannot(walks.resets), "/"),
    case("step-fails/sign-out-of-the-browser-only", looks.cannot(walks.signs_out), "/"),
    case("step-fails/back-button-dead", looks.cannot(walks.goes_on_and_back), "/"),
    case("part-missing/free-enrolment", looks.cannot(walks.enrols), "/"),
    case("part-missing/password-field", looks.useless, "/login"),
    case("session-lost-on-the-page/courses", looks.session_is_gone),
]
# Each walk that a change touches, and the one that everybody takes.
HARMLESS = {
    "sign-in-in-two-steps/added": walks.signs_in,
    "asks-first/enrolment": walks.enrols,
    "enrolment-leads-elsewhere/courses": walks.enrols,
    "dashboard-after-a-moment/500": walks.signs_in,
    "leads-on-in-another-way/form": walks.signs_in,
    "messages-reworded/waiting": walks.signs_in,
    "sign-in-with-more-parts/remember-me": walks.signs_in,
    "other-menu/more-entries": walks.goes_on_and_back,
    "parts-in-another-order/purchase": walks.buys,
    "ids-renamed/offer": walks.enrols,
    "terms-to-accept/register": walks.registers,
    "lesson-leads-on/next": walks.completes,
}


def test_every_rule_is_tried() -> None:
    """A new rule needs an oracle."""
    assert {one.mutant.partition("/")[0] for one in HARMFUL} == looks.rules_of(harmful)
    assert {name.partition("/")[0] for name in HARMLESS} == looks.rules_of(harmless)


@pytest.mark.parametrize("tried", HARMFUL, ids=looks.names(HARMFUL))
def test_a_harmful_mutant_hurts(visitor: Visitor, tried: Case) -> None:
    """Nobody gets to the end of the way."""
    visitor.deploy(tried.mutant)

    assert tried.look(visitor, tried.path)


@pytest.mark.parametrize("tried", looks.healthy(HARMFUL), ids=looks.names(looks.healthy(HARMFUL)))
def test_a_healthy_build_hurts_nobody(visitor: Visitor, tried: Case) -> None:
    """Each look is able to find nothing."""
    visitor.deploy()

    assert not tried.look(visitor, tried.path)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_mutant_hurts_nobody(visitor: Visitor, name: str) -> None:
    """The way leads to its end."""
    visitor.deploy(name)

    assert HARMLESS[name](visitor)
