"""Ways through the pages as people walk them; each tells whether it leads to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page as Tab
from playwright.sync_api import Route

from fixtures.sandbox.mutants.rendered import SHOWN
from tests.selftest.sandbox.mutants.visitor import NEEDED, Visitor, quietly

BY_PATH = {page.path: page for page in SHOWN}
LESSON = "/courses/{slug}/modules/{module}/lessons/{lesson}"
Walk = Callable[[Visitor], bool]


def stays(tab: Tab) -> None:
    """Raise an error when the dashboard goes away again, or loads again, within a moment."""
    tab.evaluate("window.stays = 1")
    tab.wait_for_timeout(250)
    tab.wait_for_selector(NEEDED["/dashboard"])
    tab.wait_for_function("window.stays === 1", timeout=50)


def signs_in(visitor: Visitor, *, times: int = 1, mistakes: int = 0) -> bool:
    """Sign in by the form, in one step or in two; the dashboard opens and stays."""
    known = visitor.running.accounts["student"]

    def walk() -> None:
        for _ in range(times):
            tab.evaluate("for (const name of ['sb-auth', 'auth_user', 'auth_token']) localStorage.removeItem(name)")
            tab.context.clear_cookies()
            tab.goto("/login", wait_until="load")
            tab.fill("input[type=email]", known.email)
            password = tab.locator("input[type=password]")
            for _ in range(mistakes):
                password.fill("yanlış")
                tab.locator("form [type=submit]").click()
                tab.wait_for_function("document.getElementById('message').textContent.includes('❌')")
            if not password.is_visible():
                tab.press("input[type=email]", "Enter")
            password.fill(known.password)
            # A click would not tell whether the button is there.
            tab.locator("form [type=submit]").click()
            tab.wait_for_url("**/dashboard*", wait_until="commit")
            tab.wait_for_selector(NEEDED["/dashboard"])
            tab.reload(wait_until="load")
            tab.wait_for_selector(NEEDED["/dashboard"])
        stays(tab)

    with visitor.tab() as tab:
        quietly(lambda: tab.goto("/robots.txt"))
        return quietly(walk)


def signs_in_again(visitor: Visitor) -> bool:
    """Sign in, and once more in the same browser."""
    return signs_in(visitor, times=2)


def signs_in_after_a_mistake(visitor: Visitor) -> bool:
    """Type a wrong password, then the right one."""
    return signs_in(visitor, mistakes=1)


def signs_out(visitor: Visitor) -> bool:
    """Sign out by the menu; neither the browser nor the server knows the session any longer."""
    with visitor.at(BY_PATH["/dashboard"]) as tab:
        ends = quietly(lambda: _sign_out(tab))
        session = tab.request.get("/api/auth/session").json()
    return ends and session == {}


def _sign_out(tab: Tab) -> None:
    tab.click(".avatar")
    tab.click("[data-sign-out]")
    _agree(tab)
    tab.wait_for_url("**/login*", wait_until="load")
    tab.wait_for_function("localStorage.getItem('auth_token') === null")


def _agree(tab: Tab) -> None:
    if tab.locator("dialog[open] button").count():
        tab.click("dialog[open] button")


@dataclass
class Asked:
    """The one request of a form, which is answered here: the rows stay as they are. body: what it carried."""

    method: str = ""
    body: Any = None

    def answering(self, status: int, answer: object) -> Callable[[Route], None]:
        """Return a handler that notes the request and answers it."""

        def handler(route: Route) -> None:
            request = route.request
            if request.method == "OPTIONS":
                route.fallback()
                return
            self.method, self.body = request.method, request.post_data_json if request.post_data else {}
            route.fulfill(status=status, json=answer, headers={"access-control-allow-origin": "*"})

        return handler


def enrols(visitor: Visitor) -> bool:
    """Enrol for free with the code, and be led to a page of one's own."""
    asked = Asked()

    def walk() -> None:
        tab.route("**/api/enroll/free", asked.answering(201, {"success": True}))
        if tab.locator("#free input:not([type=checkbox])").count():
            tab.fill("#free input:not([type=checkbox])", visitor.running.enrolment_code)
        _accept(tab, "#free")
        tab.click("#free [type=submit]")
        tab.wait_for_timeout(100)
        _agree(tab)
        tab.wait_for_url(lambda url: not url.endswith(here), wait_until="load")
        tab.wait_for_selector("#__next main")

    with visitor.at(BY_PATH["/marketplace/{slug}"]) as tab:
        here = visitor.address(BY_PATH["/marketplace/{slug}"])
        return quietly(walk) and (asked.method, asked.body) == (
            "POST",
            {"courseId": visitor.priced["id"], "code": visitor.running.enrolment_code},
        )


def _accept(tab: Tab, form: str) -> None:
    for box in tab.locator(f"{form} input[type=checkbox][required]").all():
        box.check()


def completes(visitor: Visitor) -> bool:
    """Complete a lesson: the server is told that it was watched, and the page says so."""
    asked = Asked()

    def walk() -> None:
        tab.route("**/api/student/progress/lesson*", asked.answering(201, {"success": True}))
        tab.click("#complete")
        tab.wait_for_timeout(50)
        _agree(tab)
        tab.wait_for_function("document.querySelector('#complete').dataset.done === 'true'")

    with visitor.at(BY_PATH[LESSON]) as tab:
        done = quietly(walk) and tab.locator("iframe[srcdoc*=Video]").count() == 1
    told = asked.body or {}
    return done and (told.get("lesson_id"), told.get("video_watch_percentage")) == (visitor.lesson, 100)


def buys(visitor: Visitor) -> bool:
    """Go from the offer to the payment, and from there to the address that the vendor gave."""
    asked = Asked()

    def walk() -> None:
        tab.route("**/api/payments/create-checkout-session", asked.answering(200, {"url": "/robots.txt"}))
        tab.click("#offer [data-goes$='/purchase'], #offer [href$='/purchase']")
        tab.wait_for_selector("#pay")
        tab.wait_for_function("window.platform && document.readyState === 'complete'")
        tab.click("#pay")
        tab.wait_for_timeout(50)
        _agree(tab)
        tab.wait_for_url("**/robots.txt")

    with visitor.at(BY_PATH["/marketplace/{slug}"]) as tab:
        return quietly(walk) and asked.body == {"type": "course", "courseId": visitor.priced["id"]}


def registers(visitor: Visitor) -> bool:
    """Register: the identity service gets the name, the address and the password, and the page says so."""
    asked, email = Asked(), "yeni@7peducation.test"

    def walk() -> None:
        tab.route("**/auth/v1/signup", asked.answering(200, {"user": {}}))
        name, address = tab.locator("input[name=name]"), tab.locator("input[type=email]")
        name.fill("Yeni Üye")
        address.fill(email)
        for field in tab.locator("input[type=password]").all():
            field.fill("Aa1!aaaaaaaa")
        _accept(tab, "#register")
        tab.click("#register [type=submit]")
        tab.wait_for_function("document.getElementById('message').textContent.includes('başarılı')")

    with visitor.at(BY_PATH["/register"]) as tab:
        tab.wait_for_load_state("load")
        told = {"email": email, "password": "Aa1!aaaaaaaa", "data": {"full_name": "Yeni Üye"}}
        return quietly(walk) and asked.body == told


def resets(visitor: Visitor) -> bool:
    """Ask for a link that resets the password."""
    asked = Asked()

    def walk() -> None:
        tab.route("**/api/auth/request-password-reset", asked.answering(200, {"message": "Gönderildi"}))
        tab.fill("input[type=email]", "uye@7peducation.test")
        tab.click("#reset [type=submit]")
        tab.wait_for_selector("#toasts p")

    with visitor.at(BY_PATH["/auth/reset-password"]) as tab:
        tab.wait_for_load_state("networkidle")
        return quietly(walk) and asked.body == {"email": "uye@7peducation.test"}


def verifies(visitor: Visitor) -> bool:
    """Open the link of a mail: the page sends its token and says that it worked."""
    asked = Asked()
    with visitor.tab() as tab:
        tab.route("**/api/auth/verify-email", asked.answering(200, {"success": True}))
        tab.goto("/auth/verify-email?token=t1", wait_until="commit")
        says = "(document.getElementById('outcome') || {}).textContent === 'Başarılı!'"
        return quietly(lambda: tab.wait_for_function(says)) and asked.body == {"action": "verify", "token": "t1"}


def searches(visitor: Visitor) -> bool:
    """Search for a course in the head of a page."""
    with visitor.at(BY_PATH["/dashboard"]) as tab:
        tab.fill("[data-search] input", "marka")
        tab.press("[data-search] input", "Enter")
        return quietly(lambda: tab.wait_for_url("**/courses?search=marka", wait_until="commit"))


def goes_on_and_back(visitor: Visitor) -> bool:
    """Follow a link of the side bar, then one out of the frame, then go back."""

    def walk() -> None:
        tab.click("aside [href='/settings']")
        tab.wait_for_selector(NEEDED["/settings"])
        tab.go_back()
        tab.wait_for_selector(NEEDED["/dashboard"])
        tab.goto("/", wait_until="load")
        tab.click("[href='/login']")
        tab.wait_for_url("**/login", wait_until="commit")

    with visitor.at(BY_PATH["/dashboard"]) as tab:
        return quietly(walk)


def reaches_courses(visitor: Visitor) -> bool:
    """See one's own courses, the lessons and the shop, with what is done."""
    return all(visitor.state_of(BY_PATH[path]) == "usable" for path in ("/courses", "/courses/{slug}", "/marketplace"))
