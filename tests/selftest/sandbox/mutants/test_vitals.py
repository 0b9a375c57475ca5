"""The rules of the vitals tell the truth: a visitor waits or the page moves, and on a healthy build it does not."""

from __future__ import annotations

import pytest

from fixtures.sandbox.mutants.harmful import vitals as harmful
from tests.selftest.sandbox.mutants import looks
from tests.selftest.sandbox.mutants.looks import Case, case
from tests.selftest.sandbox.mutants.visitor import Visitor

# A browser walks for each mutant.
pytestmark = pytest.mark.proof

HARMFUL = [
    case("main-thread-blocked-at-load/login", looks.freezes),
    case("clicks-answered-late/login", looks.freezes_at_a_key),
    case("always-busy/login", looks.freezes),
    case("content-pushed-down/login", looks.moves),
    case("content-faded-in-late/login", looks.useless),
    case("data-late/settings", looks.useless),
    case("tag-blocks-the-document/login", looks.useless),
    case("asset-late/app.css", looks.unpainted, "/login"),
    case("asset-late/app.js", looks.useless, "/settings"),
    case("image-late/hero.jpg", looks.lacks_a_picture, "/"),
    case("file-of-twelve-megabytes/hero.jpg", looks.is_heavy, "/"),
    case("file-of-twelve-megabytes/app.js", looks.is_heavy, "/"),
    case("document-late/login", looks.useless),
    case("typing-is-slow/login", looks.freezes_at_a_key),
]


def test_every_rule_is_tried() -> None:
    """A new rule needs an oracle."""
    assert {one.mutant.partition("/")[0] for one in HARMFUL} == looks.rules_of(harmful)


@pytest.mark.parametrize("tried", HARMFUL, ids=looks.names(HARMFUL))
def test_a_harmful_mutant_hurts(visitor: Visitor, tried: Case) -> None:
    """A visitor of the page waits, or sees it move."""
    visitor.deploy(tried.mutant)

    assert tried.look(visitor, tried.path)


@pytest.mark.parametrize("tried", looks.healthy(HARMFUL), ids=looks.names(looks.healthy(HARMFUL)))
def test_a_healthy_build_hurts_nobody(visitor: Visitor, tried: Case) -> None:
    """Each look is able to find nothing."""
    visitor.deploy()

    assert not tried.look(visitor, tried.path)
