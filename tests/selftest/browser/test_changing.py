"""Presses that show another part of a page, and controls that nobody may press."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from fixtures.browser.changing import Presses
from fixtures.browser.views import Lookout, Looks
from fixtures.browser.visitors import Tour
from fixtures.browser.watch import Watch
from fixtures.checks.evidence import Evidence

# Each press is noted.
BODY = """<!DOCTYPE html><meta charset='utf-8'><style>body { font: 16px sans-serif; margin: 2rem }</style>
<script>var noted = [];
addEventListener('click', ({target}) => noted.push(target.closest('button, summary').innerText));
</script><main><h1>Kurs</h1><p id='p'>Ders</p>%s</main>"""
FAILS = "document.querySelector('main').innerHTML = '<h2>Bir Hata Oluştu</h2>'"


@pytest.fixture
def pressed(browser: Browser, tmp_path: Path) -> Iterator[Callable[[str], tuple[list[str], list[str]]]]:
    """Return what presses the controls of a page with this content, and says which, and what it found."""
    context = browser.new_context(base_url="http://site.test")

    def press(content: str) -> tuple[list[str], list[str]]:
        context.route("**/kurs*", lambda route: route.fulfill(content_type="text/html", body=BODY % content))
        page = context.new_page()
        evidence = Evidence(directory=tmp_path, reports=tmp_path)
        presses = Presses(Tour(Looks(Lookout("tester", context, page), Watch(context), set(), evidence), {}))
        presses.on("/kurs")
        return page.evaluate("noted"), presses.findings

    yield press
    context.close()


def test_only_what_changes_the_view_is_pressed(pressed: Callable[[str], tuple[list[str], list[str]]]) -> None:
    """A press that buys, sends, deletes or signs out cannot be taken back."""
    content = """<button aria-expanded=false>1 Pazar</button><button role=tab>Yorumlar</button><button>Kaydet</button>
    <details><summary>Daha fazla</summary>Ders</details><button aria-haspopup=menu>Menü</button>
    <nav><button>Bildirimler</button><button>Çıkış Yap</button><button></button><button>Hesabı Sil</button></nav>
    <button aria-pressed=false>Ücretsiz Al</button><form><button aria-controls=p>Gönder</button>
    <button aria-expanded=false>Filtre</button></form><button role=tab disabled>Arşiv</button>"""
    names, findings = pressed(content)

    assert names == ["1 Pazar", "Yorumlar", "Daha fazla", "Menü", "Bildirimler"]
    assert findings == []


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("undefined.tab", "uncaught"),
        (FAILS, "shows a failure"),
        ("setTimeout(() => (document.getElementById('p').innerText = 'Sekme'), 200)", ""),
        ("location.hash = 'yorumlar'", ""),
        # It wrote, and the answer is ours; it led away.
        (f"fetch('/api/seen', {{method: 'POST'}}); {FAILS}", ""),
        ("location.assign('/kurs?sekme=2')", ""),
    ],
)
def test_a_press_is_judged_by_the_page_after_it(
    pressed: Callable[[str], tuple[list[str], list[str]]], script: str, why: str
) -> None:
    """The second tab of a page works like the first one."""
    _, findings = pressed(f'<button role=tab onclick="{script}">Yorumlar</button>')

    assert [why in finding for finding in findings] == [True] * bool(why)
