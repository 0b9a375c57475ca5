"""The rules of the pages tell the truth: the harmful ones hurt a visitor with a browser, the harmless ones nobody."""

from __future__ import annotations

import pytest

from fixtures.sandbox.mutants.harmful import pages as harmful
from fixtures.sandbox.mutants.harmless import documents, titles
from fixtures.sandbox.mutants.harmless import pages as harmless
from tests.selftest.sandbox.mutants import looks
from tests.selftest.sandbox.mutants.looks import Case, case
from tests.selftest.sandbox.mutants.visitor import Visitor

# A browser walks for each mutant.
pytestmark = pytest.mark.proof

_TEXT = looks.reads(r"undefined|NaN|\[object Object\]|null|\{\{ title|%s|Lorem|TODO")
HARMFUL = [
    case("emptied-by-a-script/login", looks.useless),
    case("emptied-for-some/login-phones", looks.useless_on_a_phone),
    case("emptied-for-some/login-second-visit", looks.useless_the_second_time),
    case("emptied-for-some/login-turkish-browsers", looks.useless),
    case("emptied-after-seconds/login", looks.useless_later),
    case("error-boundary/settings", looks.useless),
    case("loading-for-ever/settings", looks.useless),
    case("data-refused/settings-503", looks.useless),
    case("data-empty/settings-frame-only", looks.useless),
    case("page-of-another/dashboard", looks.misses("Elif Yılmaz")),
    case("placeholder-shown/login-heading", _TEXT),
    case("placeholder-shown/login-everything", _TEXT),
    case("price-lost/courses-id-purchase-NaN", looks.misses(r"₺[1-9]")),
    case("keys-shown/login", looks.reads(r"text_\d")),
    case("mojibake/login", looks.reads("Ã|Ä|Å")),
    case("in-german/login", looks.reads("Anmelden")),
    case("not-found-with-200/settings", looks.useless),
    case("consent-that-stays/login", looks.useless),
    case("behind-a-dialog/login", looks.useless),
    case("content-of-another-page/settings", looks.useless),
    case("reloads-for-ever/login", looks.goes_away),
    case("leads-home/login", looks.useless),
    case("page-repeats-itself/courses", looks.asks_in_vain("document.querySelectorAll('main').length > 99", "True")),
    case("document-of-an-old-build/login", looks.unstyled),
    case("says-the-session-ended/settings", looks.useless),
]
HARMLESS = [
    "headings-extended/courses",
    "reworded/login",
    "buttons-extended/dashboard",
    "emoji-added/home",
    "emoji-dropped/login",
    "other-letters/register-no-break",
    "other-headings/settings-aria",
    "other-markup/marketplace-deep",
    "attributes-for-tests/courses",
    "links-with-the-role-of-buttons/auth-verify-email",
    "buttons-in-place-of-links/home",
    "other-labels/login-labels-only",
    "section-added/home-errors",
    "consent-bar/login",
    "chat-bubble/dashboard",
    "skeleton/settings",
    "other-head/login-order",
    "other-title/home",
    "minified/marketplace",
    "language-tr-tr/register",
    "other-prices/courses-id-purchase-lira-behind",
    "nonce-of-each-answer/home",
    "other-images/marketplace-lazy",
    "odd-course-title/html",
    "odd-lesson-titles/sql",
    "odd-module-titles/very-long",
    "odd-name-of-a-student/Null",
]
# Which page shows what the rows hold.
SHOWS = {
    "odd-course-title/html": "/marketplace/{slug}",
    "odd-lesson-titles/sql": "/courses/{slug}",
    "odd-module-titles/very-long": "/courses/{slug}/modules",
    "odd-name-of-a-student/Null": "/admin/users",
}


def test_every_rule_is_tried() -> None:
    """A new rule needs an oracle."""
    assert {one.mutant.partition("/")[0] for one in HARMFUL} == looks.rules_of(harmful)
    assert {name.partition("/")[0] for name in HARMLESS} == looks.rules_of(harmless, titles, documents)


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
    """The page has what people come for, and it can be used."""
    visitor.deploy(name)

    assert not looks.useless(visitor, SHOWS.get(name) or case(name, looks.useless).path)
