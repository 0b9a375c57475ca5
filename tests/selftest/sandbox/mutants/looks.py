"""Looks at a page of a build: each tells whether its visitors are hurt there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

from fixtures.sandbox import mutants
from fixtures.sandbox.mutants.mutant import Rule
from fixtures.sandbox.mutants.rendered import On, page_of
from fixtures.sandbox.mutants.subjects import Page
from tests.selftest.sandbox.mutants.visitor import LONG_MS, NEEDED, Visitor, quietly, usable
from tests.selftest.sandbox.mutants.walks import BY_PATH, Walk

Look = Callable[[Visitor, str], bool]
AHEAD_MS, LEAD_MS, FROZEN_MS, TEN_MEGABYTES = 5_000, 500, 400, 10_000_000


class Case(NamedTuple):
    """A mutant, and how it shows that it hurts. path: of the page that is looked at."""

    mutant: str
    look: Look
    path: str


def case(mutant: str, look: Look, path: str = "") -> Case:
    """Return a case; without a path the page is the subject of the mutant."""
    return Case(mutant, look, path or _subject(mutant).path)


def _subject(mutant: str) -> Page:
    rule, _, name = mutant.partition("/")
    (subject,) = [part for part in mutants.rules()[rule].subjects if part.name == name]
    assert isinstance(subject, Page | On), mutant
    return page_of(subject)


def healthy(cases: Sequence[Case]) -> list[Case]:
    """Return one case of each look at each page."""
    return list({(one.look, one.path): one for one in cases}.values())


def names(cases: Sequence[Case]) -> list[str]:
    """Return the names of the mutants, which name the tests."""
    return [one.mutant for one in cases]


def rules_of(*modules: ModuleType) -> set[str]:
    """Return the rules that modules hold."""
    return {value.name for module in modules for value in vars(module).values() if isinstance(value, Rule)}


def useless(visitor: Visitor, path: str) -> bool:
    """Tell whether what people come for cannot be used."""
    return visitor.state_of(BY_PATH[path]) != "usable"


def useless_on_a_phone(visitor: Visitor, path: str) -> bool:
    """Tell whether it cannot be used on a phone."""
    return visitor.state_of(BY_PATH[path], phone=True) != "usable"


def useless_the_second_time(visitor: Visitor, path: str) -> bool:
    """Tell whether it cannot be used at the second visit."""
    return visitor.state_of(BY_PATH[path], visits=2) != "usable"


def useless_later(visitor: Visitor, path: str) -> bool:
    """Tell whether it cannot be used some seconds after it was shown; the browser's clock goes ahead."""
    page = BY_PATH[path]
    with visitor.tab("student" if path.endswith("/purchase") else page.visitor) as tab:
        tab.clock.install()
        tab.goto(visitor.address(page), wait_until="load")
        visitor.wait(tab, page)
        quietly(lambda: tab.wait_for_load_state("networkidle"))
        tab.clock.fast_forward(AHEAD_MS)
        return usable(tab, NEEDED[path], visitor.patience_ms) != "usable"


def without(selector: str, *, phone: bool = False) -> Look:
    """Return a look that needs another part of the page."""

    def look(visitor: Visitor, path: str) -> bool:
        return visitor.state_of(BY_PATH[path], selector, phone=phone) != "usable"

    return look


def reads(pattern: str) -> Look:
    """Return a look for words that nobody should read."""

    def look(visitor: Visitor, path: str) -> bool:
        with visitor.at(BY_PATH[path]) as tab:
            tab.wait_for_load_state("load")
            return re.search(pattern, tab.inner_text("#__next")) is not None

    return look


def misses(pattern: str) -> Look:
    """Return a look for words that must be there."""
    found = reads(pattern)
    return lambda visitor, path: not found(visitor, path)


def unstyled(visitor: Visitor, path: str) -> bool:
    """Tell whether the page has the margin that browsers give to a page without a style sheet."""
    with visitor.at(BY_PATH[path]) as tab:
        quietly(lambda: tab.wait_for_function("getComputedStyle(document.body).marginTop !== '8px'"))
        return bool(tab.evaluate("getComputedStyle(document.body).marginTop") == "8px")


def cannot(walk: Walk) -> Look:
    """Return a look that walks a way to its end."""

    def look(visitor: Visitor, _path: str) -> bool:
        return not walk(visitor)

    return look


def asks_in_vain(script: str, says: str) -> Look:
    """Return a look that runs a script in the page, and compares its answer with the one that hurts."""

    def look(visitor: Visitor, path: str) -> bool:
        with visitor.at(BY_PATH[path]) as tab:
            quietly(lambda: tab.wait_for_load_state("networkidle"))
            return str(tab.evaluate(script)) == says

    return look


def goes_away(visitor: Visitor, path: str) -> bool:
    """Tell whether the page loads itself again."""
    page = BY_PATH[path]
    with visitor.tab(page.visitor) as tab:
        tab.clock.install()
        tab.goto(visitor.address(page), wait_until="load")
        visitor.wait(tab, page)
        quietly(lambda: tab.wait_for_load_state("networkidle"))
        tab.evaluate("window.stays = 1")
        tab.clock.fast_forward(AHEAD_MS)
        return quietly(lambda: tab.wait_for_function("window.stays !== 1", timeout=300))


def phone_without_a_button(visitor: Visitor, path: str) -> bool:
    """Tell whether the button of the form cannot be used on a phone."""
    return visitor.state_of(BY_PATH[path], "#__next [type=submit]", phone=True) != "usable"


def goes_nowhere(visitor: Visitor, path: str) -> bool:
    """Tell whether a click on what people need leads nowhere."""
    with visitor.at(BY_PATH[path]) as tab:
        tab.wait_for_load_state("load")
        tab.click(NEEDED[path])
        return not quietly(lambda: tab.wait_for_url(lambda url: url != f"{visitor.running.url}{path}", timeout=LEAD_MS))


def takes_no_text(visitor: Visitor, path: str) -> bool:
    """Tell whether a field does not keep what is typed."""
    with visitor.at(BY_PATH[path]) as tab:
        tab.wait_for_load_state("load")
        tab.locator("input").first.press_sequentially("7p")
        return tab.locator("input").first.input_value() != "7p"


def link_is_broken(visitor: Visitor, path: str) -> bool:
    """Tell whether a link of the page leads to an address that is not answered with 200."""
    with visitor.at(BY_PATH[path]) as tab:
        links = tab.eval_on_selector_all("#__next a[href^='/']", "links => links.map((link) => link.href)")
        return any(tab.request.get(link).status != 200 for link in links)


def session_is_gone(visitor: Visitor, path: str) -> bool:
    """Tell whether another page opened after this one asks for the sign-in."""
    with visitor.at(BY_PATH[path]) as tab:
        quietly(lambda: tab.wait_for_load_state("networkidle"))
        quietly(lambda: tab.goto("/settings", wait_until="load"))
        return not quietly(lambda: tab.wait_for_selector(NEEDED["/settings"]))


def freezes(visitor: Visitor, path: str) -> bool:
    """Tell whether the page is without an answer for 0.4 s on end within its first second."""
    longest = """new Promise((done) => { let last = performance.now(), longest = 0; const end = last + 900;
      const tick = () => { const now = performance.now(); longest = Math.max(longest, now - last); last = now;
      now < end ? setTimeout(tick, 10) : done(longest); }; tick(); })"""
    with visitor.at(BY_PATH[path]) as tab:
        return float(tab.evaluate(longest)) > FROZEN_MS


def freezes_at_a_key(visitor: Visitor, path: str) -> bool:
    """Tell whether a key that is typed appears after 0.4 s or later."""
    with visitor.at(BY_PATH[path]) as tab:
        quietly(lambda: tab.wait_for_load_state("load"))
        tab.focus("input")
        tab.evaluate("addEventListener('keydown', () => { window.pressed = performance.now(); }, true)")
        tab.evaluate("addEventListener('input', () => { window.typed = performance.now(); })")
        quietly(lambda: tab.keyboard.press("x"))
        return float(tab.evaluate("window.typed - window.pressed", None)) > FROZEN_MS


def moves(visitor: Visitor, path: str) -> bool:
    """Tell whether what people need moves while they look at it."""
    place = f"document.querySelector({NEEDED[path]!r}).getBoundingClientRect().y"
    with visitor.at(BY_PATH[path]) as tab:
        tab.wait_for_load_state("load")
        before = float(tab.evaluate(place))
        return quietly(lambda: tab.wait_for_function(f"Math.abs({place} - {before}) > 50", timeout=LEAD_MS))


def unpainted(visitor: Visitor, path: str) -> bool:
    """Tell whether the browser paints nothing while a style sheet is on its way."""
    with visitor.at(BY_PATH[path]) as tab:
        painted = "performance.getEntriesByName('first-contentful-paint').length > 0"
        return not quietly(lambda: tab.wait_for_function(painted))


def lacks_a_picture(visitor: Visitor, path: str) -> bool:
    """Tell whether a picture of the page is not there."""
    with visitor.at(BY_PATH[path]) as tab:
        loaded = "[...document.images].every((image) => image.complete && image.naturalWidth)"
        return not quietly(lambda: tab.wait_for_function(loaded))


def is_heavy(visitor: Visitor, path: str) -> bool:
    """Tell whether a file of the page is larger than ten megabytes."""
    with visitor.at(BY_PATH[path]) as tab:
        quietly(lambda: tab.wait_for_load_state("load"))
        files = tab.evaluate("[...document.querySelectorAll('[src], link[href]')].map((one) => one.src || one.href)")
        return any(len(tab.request.get(file, timeout=LONG_MS).body()) > TEN_MEGABYTES for file in files)
