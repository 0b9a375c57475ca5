"""The rules of the scripts tell the truth: what they break is dead for a visitor, and what they change still works."""

from __future__ import annotations

import pytest

from fixtures.sandbox.mutants.harmful import scripts as harmful
from fixtures.sandbox.mutants.harmless import scripts as harmless
from tests.selftest.sandbox.mutants import looks, walks
from tests.selftest.sandbox.mutants.looks import Case, case
from tests.selftest.sandbox.mutants.visitor import Visitor

# A browser walks for each mutant.
pytestmark = pytest.mark.proof

_SIGN_IN = looks.cannot(walks.signs_in)
_PICTURE = "[...document.images].some((image) => image.complete && !image.naturalWidth)"
# What a visitor notices where, by the directive that is wrong.
_REFUSED: dict[str, tuple[looks.Look, str]] = {
    "script-src": (looks.useless, "/settings"),
    "sandbox": (looks.useless, "/settings"),
    "connect-src": (_SIGN_IN, "/login"),
    "style-src": (looks.unstyled, "/"),
    "img-src": (looks.asks_in_vain(_PICTURE, "True"), "/"),
}
# The first mistake in each directive.
_POLICIES = list({one.directive: one for one in reversed(harmful.POLICIES)}.values())
HARMFUL = [
    case("script-missing/app.js", looks.useless, "/settings"),
    case("script-empty/router.js", looks.useless, "/settings"),
    case("script-throws/app.js", looks.useless, "/settings"),
    case("script-cut/login.js", _SIGN_IN, "/login"),
    case("script-for-another-browser/offer.js", looks.cannot(walks.enrols), "/"),
    case("script-never-ends/app.js", looks.useless, "/settings"),
    case("script-hangs/router.js", looks.useless, "/settings"),
    case("script-is-html/lesson.js", looks.cannot(walks.completes), "/"),
    case("script-of-another-type/purchase.js", looks.cannot(walks.buys), "/"),
    case("script-of-another-digest/login.js", _SIGN_IN, "/login"),
    case("script-missing/verify.js", looks.cannot(walks.verifies), "/"),
    case("script-missing/register.js", looks.cannot(walks.registers), "/"),
    case("script-missing/reset.js", looks.cannot(walks.resets), "/"),
    *(case(f"policy-refuses-our-own/{one.name}", *_REFUSED[one.directive]) for one in _POLICIES),
    case("clicks-swallowed/home", looks.goes_nowhere),
    case("handlers-lost/login-login", _SIGN_IN, "/login"),
    case("disabled-for-ever/login-login", looks.without("[type=submit]"), "/login"),
    case("throws-in-turkish/settings", looks.useless),
    case("field-empties-itself/login", looks.takes_no_text),
    case("keys-swallowed/login", looks.takes_no_text),
    case("script-in-the-shell-missing/settings", looks.useless),
]
HARMLESS = {
    "noise-in-the-console/login-error": "/login",
    "analytics-fail/home-missing-script": "/",
    "embed-hangs/settings-pixel": "/settings",
    "toast-shown/login": "/login",
    "idle-worker/home": "/",
    "remembers-something/login-database": "/login",
    "scripts-built-in-another-way/bundled": "/settings",
    "scripts-built-in-another-way/inline": "/settings",
    "scripts-built-in-another-way/modules": "/settings",
    "prefetches-otherwise/all-links": "/settings",
    "part-loaded-later/home": "/",
    "extra-data-in-the-document/settings": "/settings",
    "vendor-code-in-the-page/login": "/login",
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
    """The page has what people come for, and the session goes on."""
    visitor.deploy(name)

    assert not looks.useless(visitor, HARMLESS[name])
