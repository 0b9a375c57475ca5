"""How pages are looked at: when a page is steady without a word of it, and what a view holds."""

from __future__ import annotations

import msgspec
import pytest
from playwright.sync_api import Page

from fixtures.browser.views import View, flaws_of, view_of
from fixtures.browser.watch import Watch
from fixtures.site.accounts import Session

SHELL = "<h3>Kontrol Paneli Yükleniyor</h3>"
CONTENT = """<h1>7P Education</h1><main><h1>Kurs Mağazası</h1><h2 style="text-transform: uppercase">Kurslar (24)</h2>
<button>🚀 Ücretsiz Al</button><a href="/marketplace/x">Detay</a><button hidden>Şimdi Satın Al</button>
<button aria-expanded="true">1 Pazar</button><p class="clamp">Lazy Loading</p></main>"""


def _view(page: Page, body: str, *, asked: str = "/shop", leave: bool = False) -> View:
    kind, body = "text/html; charset=utf-8", f"<style>main {{ padding: 1px }}</style>{body}"
    page.route(f"**{asked}", lambda route: route.fulfill(content_type=kind, body=body))
    page.goto(f"http://shop.test{asked}", wait_until="commit")
    return view_of(page, asked, Watch(page.context), (), leave=leave)


def _filled(content: str) -> str:
    filling = f"setTimeout(() => (document.body.innerHTML = {msgspec.json.encode(content).decode()}), 300)"
    return f"{SHELL}<script>{filling}</script>"


def test_a_page_is_seen_once_its_script_has_filled_the_shell(page: Page) -> None:
    """The shell is not the page, its names are not the page's, and what is hidden is not there."""
    view = _view(page, _filled(CONTENT.replace("Lazy Loading", "")))

    assert (view.steady, view.path) == (True, "/shop")
    assert view.headings[0] == "Kurs Mağazası"
    assert view.buttons == ["🚀 Ücretsiz Al", "1 Pazar"]
    assert view.actions == ["🚀 Ücretsiz Al"]
    assert view.links == [("Detay", "/marketplace/x")]


def test_a_page_whose_title_has_no_heading_of_its_own_is_seen(page: Page) -> None:
    """A style makes a heading of a paragraph; the page works as before."""
    view = _view(page, _filled("<main><p class='h1'>Mağaza</p><a href='/marketplace/x'>Detay</a></main>"))

    assert (view.steady, view.broken) == (True, "")


def test_a_request_that_has_not_ended_is_waited_for(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data of a page often comes after its heading."""
    own = {("http", "shop.test")}
    pending = [own, own, set()]
    page.route("**/shop", lambda route: route.fulfill(content_type="text/html", body="<main><h1>A</h1>x</main>"))
    page.goto("http://shop.test/shop", wait_until="commit")
    watch = Watch(page.context)
    monkeypatch.setattr(watch, "waits_for", lambda: pending.pop(0))
    view_of(page, "/shop", watch, own)

    assert pending == []


def test_a_page_that_leads_away_is_left_at_once(page: Page) -> None:
    """Only the way is of interest where nothing of the page is judged."""
    page.route("**/login", lambda route: route.fulfill(content_type="text/html", body="Loading"))

    assert _view(page, "<script>location.replace('/login')</script>Loading", leave=True).path == "/login"


@pytest.mark.parametrize(
    ("content", "broken"),
    [
        ("<main><h1>Any words</h1><p>Text</p></main>", ""),
        ("<main><h1>Any words</h1></main>", "shows no content"),
        ("<main><h1>Ayarlar</h1><div><h2>Bir Hata Oluştu!</h2><button>Tekrar Dene</button></div></main>", "a failure"),
        ("<main><h1>Bir Hata Oluştu dediğinizde</h1><p>Hata sayfaları dersi</p></main>", ""),
        ("<main><h1>Kurslar</h1><p>Kurslar yükleniyor...</p></main>", "shows no content"),
        ("<main><h1>Kurslar</h1><h3>Lazy Loading</h3><p>Ders</p></main>", ""),
        ("<main><h1>Kurslar</h1><span>Lazy Loading</span><p>Ders</p></main>", ""),
    ],
)
def test_a_page_is_broken_by_what_it_is_not_by_its_words(page: Page, content: str, broken: str) -> None:
    """A heading over an empty page is no page; a title that speaks of errors or of loading is data."""
    view = _view(page, content)

    assert (view.broken == "") is (broken == "")
    assert broken in view.broken


def test_a_page_that_has_no_body_yet_is_an_empty_view(page: Page) -> None:
    """A slow machine looks at a document between its first byte and its first element."""
    view = _view(page, "<script>document.documentElement.remove()</script>")

    assert (view.path, view.text, view.headings) == ("/shop", "", [])


@pytest.mark.parametrize(
    ("content", "flaw"),
    [
        ("<h1>undefined</h1><p>Text</p>", "shows “undefined” in place of a value"),
        ("<h1>Kurs</h1><p>Fiyat: ₺NaN</p>", "shows “Fiyat: ₺NaN” in place of a value"),
        ("<h1>Kurs</h1><p>null TL</p>", "shows “null TL” in place of a value"),
        ("<h1>Kurs</h1><button>[object Object]</button>", "shows “[object Object]” in place of a value"),
        ("<h1>Merhaba</h1><p>{{ name }}</p>", "shows “{{ name }}” in place of a value"),
        ("<h1>JavaScript: undefined ve null</h1><p>NaN nedir? <code>undefined</code></p><pre><i>NaN</i></pre>", ""),
        ("<h1>Nullable</h1><p>1.499 TL</p><p hidden>undefined</p>", ""),
    ],
)
def test_a_value_that_is_missing_is_seen(page: Page, content: str, flaw: str) -> None:
    """Prose and code may name such words; a whole element or an amount of money is none."""
    found = _view(page, f"<main>{content}</main>").found

    assert [line for line in found.flaws if "in place of" in line] == ([flaw] if flaw else [])


def test_content_that_comes_late_is_a_flaw(page: Page) -> None:
    """Users wait before it, and it is there all the same."""
    view = _view(page, CONTENT)

    assert list(flaws_of(view, 4.1)) == ["its content is there only after more than 4 s"]
    assert list(flaws_of(view, 3.9)) == []


def test_links_keep_the_address_of_another_site(page: Page) -> None:
    """Its path would be asked on the platform, which has no such page."""
    links = "<a href='/a?b=1'>A</a><a href='http://localhost:3000/a'>B</a><a href='mailto:a@b.test'>C</a>"
    view = _view(page, f"<main><h1>A</h1>{links}</main>")

    assert [address for _, address in view.links] == ["/a?b=1", "http://localhost:3000/a", "mailto:a@b.test"]


def test_a_session_has_lost_what_a_page_took(page: Page) -> None:
    """Cookies of the page itself do not matter, and neither do further keys of the storage."""
    session = Session(
        role="student", url="http://shop.test", cookies={"next-auth.session-token": "a"}, storage={"auth": "b"}
    )
    session.enter(page.context)
    _view(page, "<main><h1>A</h1>x</main><script>document.cookie = 'c=d'; localStorage.e = 'f'</script>")

    assert session.lost(page.context, ["auth", "e"]) == set()
    assert session.lost(page.context, ["e"]) == {"auth"}
    page.context.clear_cookies(name="next-auth.session-token")
    assert session.lost(page.context, ["auth", "e"]) == {"next-auth.session-token"}


def test_a_session_is_entered_once_and_given_to_nobody_else(page: Page) -> None:
    """A page that takes the session away is seen by the next one, and the frame of another site holds none of it."""
    session = Session(role="student", url="http://shop.test", cookies={"a": "b"}, storage={"auth": "b"})
    session.enter(page.context)
    keys = "Object.keys(localStorage)"
    page.context.route("http://other.test/", lambda route: route.fulfill(content_type="text/html", body="<p>x</p>"))
    _view(page, "<main><h1>A</h1>x</main><iframe src='http://other.test/'></iframe>")
    found = [frame.evaluate(keys) for frame in page.frames]
    page.evaluate("localStorage.clear()")
    page.reload()
    left = page.evaluate(keys)
    session.enter_again(page.context)
    page.reload()

    assert (found, left, page.evaluate(keys)) == ([["auth"], []], [], ["auth"])
