"""The pages of `doctor --contract`: opens each in a browser and compares what is there in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Error, Locator, Page, sync_playwright

from ci.steps import SetupError
from fixtures.browser.deadline import ends_within
from fixtures.browser.executable import BY_PLAYWRIGHT, find_browser
from fixtures.browser.pages import ACTION_MS, NAVIGATION_MS
from fixtures.model.contract import Departure, Shown
from fixtures.site.accounts import Session
from fixtures.target.target import Target
from fixtures.target.variants import origin_of

TITLE, LANGUAGE = "7P Eğitim Platformu", "tr"
# Seconds that a page may take until everything is there, and milliseconds between two looks.
_SETTLES_S = 4.0
_LOOK_MS = 200
# Seconds after which a page is closed.
_ENDS_S = 25.0
_TAGS = {"button": "button, [role=tab]", "link": "a", "textbox": "input"}


@contextmanager
def visiting(
    target: Target, visitor: str, cookies: Mapping[str, str]
) -> Iterator[tuple[BrowserContext, list[Departure]]]:
    """Lend a browser of one visitor, and the departures of the sign-in form when a student signs in through it."""
    browser = find_browser()
    if browser is None:
        msg = f"no browser starts, so no page was opened; fix: {BY_PLAYWRIGHT}"
        raise SetupError(msg)
    with sync_playwright() as playwright:
        shell = playwright.chromium.launch(executable_path=str(browser))
        context = shell.new_context(base_url=target.url, locale="tr-TR")
        context.set_default_timeout(ACTION_MS)
        context.set_default_navigation_timeout(NAVIGATION_MS)
        departed = _sign_in(target, visitor, context) if cookies else []
        # The session of the API goes along in any case, so that the pages are seen where the form fails.
        Session(role=visitor, url=target.url, cookies=dict(cookies)).enter(context)
        yield context, departed
        shell.close()


def _sign_in(target: Target, visitor: str, context: BrowserContext) -> list[Departure]:
    """Sign in through the form as a user does."""
    account, page = target.accounts[visitor], context.new_page()
    try:
        with ends_within(_ENDS_S, page.close):
            page.goto("/login", wait_until="load")
            page.locator("input[type=email]").fill(account.email)
            page.locator("input[type=password]").fill(account.password)
            page.locator("input[type=password]").press("Enter")
            page.wait_for_url("**/dashboard", wait_until="commit")
            page.locator("main h1").first.wait_for()
    except Error:
        return [("ends at /dashboard", f"ends at {_place(page)}")]
    finally:
        page.close()
    return []


def visit(context: BrowserContext, path: str, one: Shown) -> tuple[list[Departure], dict[str, str]]:
    """Open a page; return its departures, and the paths of the links that later entries ask."""
    page = context.new_page()
    try:
        # A page whose script loops, or that navigates for ever, answers no question.
        with ends_within(_ENDS_S, page.close):
            page.goto(path, wait_until="domcontentloaded")
            return _settled(page, one), dict(_leads(page, one))
    except Error as error:
        return [("a page that can be read", error.message.splitlines()[0])], {}
    finally:
        page.close()


def _settled(page: Page, one: Shown) -> list[Departure]:
    """Wait until the page has everything, and return what it lacks after four seconds."""
    until = time.monotonic() + _SETTLES_S
    while True:
        try:
            lacks = list(_lacks(page, one))
        except Error:  # it navigates at this moment
            lacks = [("a page that rests", f"it still navigates, to {_place(page)}")]
        if not lacks or time.monotonic() > until:
            return [*lacks, *_title(page)]
        page.wait_for_timeout(_LOOK_MS)


def _title(page: Page) -> Iterator[Departure]:
    title, language = page.title(), page.locator("html").get_attribute("lang")
    if not title.startswith(TITLE) or language != LANGUAGE:
        yield f"title {TITLE}, lang {LANGUAGE}", f"{title}, {language}"


def _lacks(page: Page, one: Shown) -> Iterator[Departure]:
    """Yield what is not there; nothing more where the browser ended at another path."""
    at = _place(page)
    if one.ends and at != one.ends:
        yield f"ends at {one.ends}", f"ends at {at}, h1 {_texts(page.locator('h1'))}"
        return
    if one.h1 and not page.get_by_role("heading", level=1, name=one.h1).count():
        yield f"h1 {one.h1}", f"{_texts(page.locator('h1'))} at {at}"
    lacking = [name for name in one.headings if not page.get_by_role("heading", name=name).count()]
    yield from ((f"heading {name}", f"{_texts(page.get_by_role('heading'))} at {at}") for name in lacking)
    for control in one.controls:
        if not any(found.count() for found in _controls(page, control)):
            others = page.locator(_TAGS.get(control.split(" ")[0].split("|")[0], "main"))
            yield control, f"none at {at}; {_texts(others)}"
    yield from ((f"text {text}", f"none at {at}") for text in one.texts if not page.get_by_text(text).count())


def _controls(page: Page, control: str) -> Iterator[Locator]:
    """Yield a locator of each role and name that a control may have."""
    kind, _, name = control.partition(" ")
    if kind == "css":
        yield page.locator(name)
        return
    for role in kind.split("|"):
        for part in name.split("|"):
            yield page.get_by_role(role, name=part)  # type: ignore[arg-type]  # a word of contract.toml


def _leads(page: Page, one: Shown) -> Iterator[tuple[str, str]]:
    """Yield name and path of the links to pages of the same site."""
    for name, selector in one.leads.items():
        link = page.locator(selector).first
        target = (link.get_attribute("href") or "") if link.count() else ""
        if target.startswith("/") or (target and origin_of(target) == origin_of(page.url)):
            yield name, urlsplit(target).path


def _texts(found: Locator) -> str:
    """Return the texts of the first elements, in one line."""
    texts = [" ".join(text.split()) for text in found.all_inner_texts()]
    return ", ".join(f"“{text[:40]}”" for text in texts[:6] if text) or "none"


def _place(page: Page) -> str:
    return urlsplit(page.url).path
