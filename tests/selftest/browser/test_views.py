"""How pages are looked at: what counts as the same name, what is waited for, and what a view holds."""

from __future__ import annotations

import msgspec
import pytest
from playwright.sync_api import Page

from fixtures.browser.views import View, _view, alike

SHELL = "<h3>Kontrol Paneli Yükleniyor</h3>"
CONTENT = """<h1>7P Education</h1><main><h1>Kurs Mağazası</h1><h2 style="text-transform: uppercase">Kurslar (24)</h2>
<button>🚀 Ücretsiz Al</button><a href="/marketplace/x">Detay</a><button hidden>Şimdi Satın Al</button></main>"""


def _serve(page: Page, name: str, body: str) -> None:
    kind = "text/html; charset=utf-8"
    page.route(f"**/{name}", lambda route: route.fulfill(content_type=kind, body=body))


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("Giriş Yap", "🚀 Giriş Yap", True),
        ("Sorular ve Cevaplar", "Sorular ve Cevaplar 3", True),
        ("Kayıtlı Kursların", "KAYITLI KURSLARIN", True),
        ("E-posta Doğrulama", "e posta  doğrulama!", True),
        ("Ücretsiz Al", "Şimdi Satın Al", False),
    ],
)
def test_names_are_compared_loosely(expected: str, found: str, *, same: bool) -> None:
    """Case, signs, emoji and further words do not count; other words do."""
    assert alike(expected, found) is same


def test_a_page_is_seen_once_its_script_has_filled_the_shell(page: Page) -> None:
    """The shell is not the page, its names are not the page's, and what is hidden is not there."""
    filling = f"setTimeout(() => (document.body.innerHTML = {msgspec.json.encode(CONTENT).decode()}), 300)"
    _serve(page, "shop", f"{SHELL}<script>{filling}</script>")
    page.goto("http://shop.test/shop")
    view: View = _view("/shop", page, ["kurslar (24)"])

    assert (view.steady, view.path) == (True, "/shop")
    assert (view.has_heading("Kurs Mağazası"), view.has_heading("7P Education")) == (True, False)
    assert (view.has_control("Ücretsiz Al"), view.has_control("Şimdi Satın Al")) == (True, False)
    assert view.links == [("Detay", "/marketplace/x")]


def test_a_page_that_leads_away_is_left_at_once(page: Page) -> None:
    """Only the way is of interest where no text is waited for."""
    _serve(page, "guarded", "<script>location.replace('/login')</script>Yükleniyor")
    _serve(page, "login", "Yükleniyor")
    page.goto("http://shop.test/guarded", wait_until="commit")

    assert _view("/guarded", page, []).path == "/login"


def test_a_page_that_has_no_body_yet_is_an_empty_view(page: Page) -> None:
    """A slow machine looks at a document between its first byte and its first element."""
    _serve(page, "bare", "<script>document.documentElement.remove()</script>")
    page.goto("http://shop.test/bare")
    view = _view("/guarded", page, [])

    assert (view.path, view.text, view.headings) == ("/bare", "", [])
