"""A visitor with a browser, who knows what a page is for and nothing of the suite's checks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from playwright.sync_api import Browser, Error, StorageState, ViewportSize
from playwright.sync_api import Page as Tab

from fixtures.sandbox import mutants
from fixtures.sandbox.app.identity import add_account, find_account
from fixtures.sandbox.mutants.subjects import Page
from tests.selftest.sandbox.running_app import RunningApp

# What people come for, by the page's path: something that they click, fill in or read.
NEEDED = {
    "/": "[href='/login'], [data-goes='/login']",
    "/login": "input[type=password], #second",
    "/register": "input[type=email]",
    "/auth/reset-password": "input[type=email]",
    "/auth/verify-email": "[href='/login'], [data-goes='/login']",
    "/auth/verification-success": "[href='/dashboard'], [data-goes='/dashboard']",
    "/auth/verification-error": "[href='/login'], [data-goes='/login']",
    "/dashboard": "main [href='/settings'], main [data-goes='/settings']",
    "/marketplace": "main [href^='/marketplace/'], main [data-goes^='/marketplace/']",
    "/courses": "main [href^='/courses/'], main [data-goes^='/courses/']",
    "/settings": "main input[type=tel]",
    "/student/materials": "main [data-view=buyer]",
    "/student/questions": "main [data-view=buyer]",
    "/marketplace/{slug}": "#free [type=submit]",
    "/courses/{slug}": "main a[href*='/lessons/']",
    "/courses/{slug}/modules": "main a[href*='/lessons/']",
    "/courses/{slug}/modules/{module}/lessons/{lesson}": "#complete",
    "/courses/{id}/purchase": "#pay",
    "/admin/dashboard": "main .total",
    "/admin/users": "main td",
    "/admin/courses": "main td",
    "/admin/payments": "#__next td",
    "/admin/qna": "main :is(h2, h3, [role=heading][aria-level='2'])",
    "/admin/settings": "main [role=tab]",
}
WIDE, PHONE = ViewportSize(width=1350, height=940), ViewportSize(width=390, height=844)
# How long a visitor of a broken page waits here; one of a page that works waits for ten seconds.
SHORT_MS, LONG_MS = 500, 10_000
_STAYS_MS = 150
_USABLE = """
(selector) => {
  const parts = [...document.querySelectorAll(selector)];
  if (!parts.length) return "missing";
  const part = parts.find((one) => one.getClientRects().length) || parts[0];
  part.scrollIntoView({ block: "center" });
  if (!part.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return "unseen";
  const style = getComputedStyle(part), box = part.getBoundingClientRect();
  if (box.width < 4 || box.height < 4 || parseFloat(style.fontSize) < 4) return "too small";
  for (let one = part; one; one = one.parentElement)
    if (getComputedStyle(one).maskImage !== "none") return "masked";
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  if (x < 0 || y < 0 || x > innerWidth || y > innerHeight) return "off the screen";
  const hit = document.elementFromPoint(x, y);
  if (!hit || !(part.contains(hit) || hit.contains(part) && hit.closest("label"))) return "covered";
  if (part.matches(":disabled")) return "disabled";
  let ground = part;
  while (ground && /, 0\\)|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
  if (ground && getComputedStyle(ground).backgroundColor === style.color) return "unreadable";
  return "usable";
}
"""


class Visitor:
    """
    Opens pages of the running application.

    patience_ms: how long it waits for something.  slug, module, lesson: of a student's own course.  priced: id and slug
    of a course to buy.
    """

    def __init__(self, running: RunningApp, browser: Browser) -> None:
        self.running, self.browser = running, browser
        identity = running.sinks.supabase_data.identity
        identity.find = partial(find_account, running.platform.database)
        identity.add = partial(add_account, running.platform.database)
        self.patience_ms = LONG_MS
        self._states: dict[str, StorageState] = {}
        self._found = False
        email = running.accounts["student"].email
        own = running.rows(
            "SELECT c.slug, m.id::text, l.id::text, c.id::text FROM public.users u"
            " JOIN public.enrollments e ON e.user_id = u.id JOIN public.courses c ON c.id = e.course_id"
            " JOIN public.course_modules m ON m.course_id = c.id JOIN public.course_lessons l ON l.module_id = m.id"
            " WHERE u.email = %s ORDER BY e.progress_percentage, m.order_index, l.order_index LIMIT 1",
            email,
        )[0]
        self.slug, self.module, self.lesson, self.course_id = own
        self.priced = running.course(free=False)

    def deploy(self, mutant: str = "") -> None:
        """Serve a new healthy build, or the one of a mutant; a mutant around the build is carried out."""
        running = self.running
        running.deploy()
        environment = running.build.environment
        environment["NEXT_PUBLIC_SUPABASE_URL"] = running.sinks.supabase_data_listener.url
        environment["NEXT_PUBLIC_SUPABASE_ANON_KEY"] = running.sinks.supabase_data.keys["anon"]
        self.patience_ms = LONG_MS
        if not mutant:
            return
        known = mutants.find(mutant)
        if known.build is not None:
            known.build(running.build)
        if known.sandbox is not None:
            # As much of a sandbox as these rules know.
            sandbox: Any = SimpleNamespace(postgres=SimpleNamespace(superuser_dsn=running.dsn))
            asyncio.run_coroutine_threadsafe(_carried_out(known.sandbox(sandbox)), running.loop).result(LONG_MS / 1000)
        if known.truth.harmful:
            self.patience_ms = SHORT_MS

    def address(self, page: Page) -> str:
        """Return the path of a page with real values: an own course, or one to buy."""
        slug = self.priced["slug"] if page.path.startswith("/marketplace") else self.slug
        path = page.path.replace("{slug}", slug).replace("{module}", self.module).replace("{lesson}", self.lesson)
        return path.replace("{id}", self.priced["id"])

    def state(self, role: str) -> StorageState:
        """Return what the browser of a user keeps after a sign-in; each role signs in once."""
        if role not in self._states:
            with self.running.client(role) as client:
                host = self.running.url.partition("://")[2].partition(":")[0]
                cookies: Any = [
                    {"name": name, "value": value, "domain": host, "path": "/"}
                    for name, value in client.cookies.items()
                ]
            kept = [{"name": name, "value": "{}"} for name in ("auth_user", "auth_token", "sb-auth")]
            origins: Any = [{"origin": self.running.url, "localStorage": kept}]
            self._states[role] = StorageState(cookies=cookies, origins=origins)
        return self._states[role]

    @contextmanager
    def tab(self, role: str = "everyone", *, phone: bool = False) -> Iterator[Tab]:
        """Lend an empty tab of a new browser profile; it is signed in unless the role is `everyone`."""
        state = None if role == "everyone" else self.state(role)
        context = self.browser.new_context(
            base_url=self.running.url, viewport=PHONE if phone else WIDE, locale="tr-TR", storage_state=state
        )
        try:
            tab = context.new_page()
            tab.set_default_timeout(self.patience_ms)
            tab.set_default_navigation_timeout(self.patience_ms + SHORT_MS)
            yield tab
        finally:
            context.close()

    @contextmanager
    def at(self, page: Page, *, phone: bool = False, visits: int = 1) -> Iterator[Tab]:
        """Open a page in a new profile and wait until it has what people need, or patience ends."""
        role = "student" if page.path.endswith("/purchase") else page.visitor
        with self.tab(role, phone=phone) as tab:
            for _ in range(visits):
                quietly(lambda: tab.goto(self.address(page), wait_until="commit"))
                self.wait(tab, page)
            yield tab

    def wait(self, tab: Tab, page: Page) -> None:
        """Wait until the part that people need is there, or patience ends; the question for it is then a short one."""
        self._found = quietly(lambda: tab.wait_for_selector(NEEDED[page.path], state="attached"))

    def state_of(self, page: Page, selector: str = "", *, phone: bool = False, visits: int = 1) -> str:
        """Return `usable`, or why people cannot use a page, or another part of it."""
        with self.at(page, phone=phone, visits=visits) as tab:
            return usable(tab, selector or NEEDED[page.path], self.patience_ms if self._found else 1)


async def _carried_out(change: Awaitable[None]) -> None:
    await change


def usable(tab: Tab, selector: str, patience_ms: float) -> str:
    """Return `usable` when the part is and stays so for a moment, and the last reason why not when patience ends."""
    asks = f"window.verdict = ({_USABLE})({selector!r})"
    is_usable = f"({asks}) === 'usable'"
    if quietly(lambda: tab.wait_for_function(is_usable, timeout=patience_ms)):
        # A script that takes the part away runs after the part is there.
        quietly(lambda: tab.wait_for_timeout(_STAYS_MS))
        if quietly(lambda: tab.wait_for_function(is_usable, timeout=SHORT_MS)):
            return "usable"
    # A script that never ends lets no question through.
    why: list[str] = []
    quietly(lambda: why.append(str(tab.wait_for_function(asks, timeout=SHORT_MS).json_value())))
    return why[0] if why else "frozen"


def quietly(action: Callable[[], object]) -> bool:
    """Tell whether an action of the browser succeeds."""
    try:
        action()
    except Error:
        return False
    return True
