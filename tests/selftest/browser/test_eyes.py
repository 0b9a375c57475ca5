"""The eyes: pages that are there and cannot be seen, and pages that only look as if."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize

from fixtures.browser import eyes
from fixtures.browser.eyes import Findings, judged

Look = Callable[..., Findings]
SHEET = """body { font-family: sans-serif; margin: 0; background: #f6f7fb } .card { background: #fff; padding: 20px }
.title { font-size: 28px } .go { background: #3d348b; color: #fff; border: 0; padding: 8px } .note { color: #555 }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }"""
MAIN = """<main class=card><h1 class=title>Kurslarım</h1><p class=note>Kaldığın yerden devam et.</p>
<button class=go>Devam Et</button><ul class=list><li class=item><a href=/x><span>Pazarlama</span> <i>4P</i></a></li>
<li>Fiyat</li></ul></main>"""
LAYER = "position: fixed; inset: 0; z-index: 9; background: #fff"
STYLE = '<link rel=stylesheet href="/_next/static/b/app.css">'


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """Keep one page for all tests of this module."""
    with closing(browser.new_context(viewport=ViewportSize(width=1350, height=940))) as context:
        context.add_init_script(path=eyes.NOTED)
        yield context.new_page()


@pytest.fixture
def look(tab: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[Look]:
    """Return what serves a page with files of its own, opens it, and judges it at once."""
    monkeypatch.setattr(eyes, "_PATIENCE_S", 0.0)

    def look(body: str, *, style: str = STYLE, policy: str = "", **files: str) -> Findings:
        """files: name -> "type|content"; a file that is not named is missing."""
        served = {"app.css": f"text/css|{SHEET}"} | {name.replace("_", "."): file for name, file in files.items()}

        def answer(route: Route) -> None:
            name = route.request.url.rpartition("/")[2]
            if name == "page":
                headers = {"content-security-policy": policy} if policy else {}
                head = f"<!DOCTYPE html><html><head><meta charset=utf-8>{style}</head>"
                route.fulfill(content_type="text/html", headers=headers, body=f"{head}<body>{body}</body></html>")
            elif name in served:
                kind, _, content = served[name].partition("|")
                headers = {"x-content-type-options": "nosniff", "content-type": kind}
                route.fulfill(headers=headers, body=content)
            else:
                route.fulfill(status=404, body="")

        tab.route("**/*", answer)
        tab.goto("http://shop.test/page")
        return judged(tab, tab.inner_text("body"))

    yield look
    tab.unroute_all()


HIDDEN = {
    "transparent": "main { opacity: 0 }",
    "invisible": "main { visibility: hidden }",
    "left of the page": "main { position: absolute; left: -9999px }",
    "without height": "main { height: 0; padding: 0; overflow: hidden }",
    "cut off": "main { clip-path: inset(100%) }",
    "scaled to nothing": "main { transform: scale(0) }",
    "masked": "main { mask: linear-gradient(transparent, transparent) }",
    "without letters": "main, main * { font-size: 0 !important }",
    "in the colour of its ground": "main, main * { color: #fff !important; background: #fff !important }",
    "hardly there": "main { opacity: .02 }",
}


@pytest.mark.parametrize("rules", HIDDEN.values(), ids=HIDDEN)
def test_a_page_that_is_there_and_not_painted_is_unusable(look: Look, rules: str) -> None:
    """The DOM of such a page is complete."""
    assert look(f"{MAIN}<style>{rules}</style>").unusable[:1] != []


@pytest.mark.parametrize(
    "layer",
    [
        f'<div style="{LAYER}; pointer-events: none"></div>',
        f'<div style="{LAYER}; pointer-events: none"><h2>7P</h2><p>Hazırlanıyor</p></div>',
        f"<style>body::after {{ content: ''; {LAYER} }}</style>",
        f'<div style="{LAYER}"><button hidden>Kapat</button></div>',
        f'<div style="{LAYER}; background: none"></div>',
        "<style>main * { pointer-events: none }</style>",
        "<dialog id=d>Bekleyin</dialog><script>d.showModal()</script>",
    ],
    ids=["lets clicks through", "with a logo", "of a pseudo element", "takes clicks", "clear", "deaf", "no way out"],
)
def test_a_layer_that_stays_makes_a_page_unusable(look: Look, layer: str) -> None:
    """Users see the layer, or their clicks end on it."""
    assert len(look(MAIN + layer).unusable) == 1


HEALTHY = {
    "as it is": MAIN,
    "consent bar": f"{MAIN}<div role=dialog style='{LAYER}; top: 80%'><p>Çerez</p><button>Kabul et</button></div>",
    "consent wall": f"{MAIN}<div style='{LAYER}'><h2>Çerezler</h2><button>Kabul et</button></div>",
    "modal dialog": f"{MAIN}<dialog id=d><h2>Yeni</h2><button>Kapat</button></dialog><script>d.showModal()</script>",
    "dark theme": f"{MAIN}<style>body, .card {{ background: #111; color: #eee }} .note {{ color: #999 }}</style>",
    "sticky header": f"<header style='{LAYER}; bottom: auto; height: 60px'>7P</header><div style='height: 90px'></div>"
    f"{MAIN}",
    "a picture as heading": MAIN.replace(
        "Kurslarım", "<img alt=Kurslar width=80 height=20 src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
    ),
    "heading for ears": MAIN.replace("class=title", "class=sr"),
    "gradient text": f"{MAIN}<style>h1 {{ background: linear-gradient(red, blue); -webkit-background-clip: text;"
    " -webkit-text-fill-color: transparent }</style>",
    "below the fold": f"<div style='height: 3000px'></div>{MAIN}",
    "very long": MAIN + "<p>Ders</p>" * 500,
    "tint in front": f"{MAIN}<div style='{LAYER}; background: #fff1; pointer-events: none'></div>",
    "animation that ended": f"{MAIN}<style>@keyframes in {{ from {{ opacity: 0 }} }}"
    " main { animation: in .01s both }</style>",
    "endless decoration": f"{MAIN}<i class=go style='animation: t 1s infinite'></i><style>@keyframes t {{}}</style>",
    "progress": f"{MAIN}<div role=progressbar style='height: 9px; background: red'></div><progress></progress>",
    "field first": MAIN.replace("<button", "<input type=search placeholder=Ara><button"),
    "grey for a day of mourning": f"{MAIN}<style>html {{ filter: grayscale(1) }}</style>",
    "dark by a filter": f"{MAIN}<style>html {{ filter: invert(1) hue-rotate(180deg) }}</style>",
    "sepia, and smaller": f"{MAIN}<style>body {{ filter: sepia(1) contrast(.8); zoom: .9 }}</style>",
    "larger": f"{MAIN}<style>html {{ zoom: 1.25 }}</style>",
    "a tint that blends": f"{MAIN}<div style='{LAYER}; background: #0a4; mix-blend-mode: color;"
    " pointer-events: none'></div>",
    "slides in": f"{MAIN}<style>@keyframes s {{ from {{ opacity: 0; transform: translateX(40px) }} }}"
    " main { animation: s .3s both }</style>",
    "white on a picture": f"{MAIN}<style>h1 {{ color: #fff; background: linear-gradient(90deg, #fff, #246) }}</style>",
}


@pytest.mark.parametrize("body", HEALTHY.values(), ids=HEALTHY)
def test_a_page_that_only_looks_unusual_is_fine(look: Look, body: str) -> None:
    """Layers that users close, other looks, and content in other places are no fault."""
    assert look(body) == Findings()


@pytest.mark.parametrize(
    ("style", "sheet"),
    [
        ("", SHEET),
        (STYLE.replace("href", "media=print href"), SHEET),
        (STYLE, "/* nothing */"),
        (STYLE, "/*! purged */ *, ::before { box-sizing: border-box }"),
        (STYLE, "body { font-family: sans-serif; line-height: 1.5 } .other { color: red }"),
        (STYLE, "<!DOCTYPE html><p>7P</p>"),
    ],
    ids=["no link", "print only", "empty", "purged", "no rule knows a class", "html"],
)
def test_a_page_without_style_is_unusable(look: Look, style: str, sheet: str) -> None:
    """The rest of a purged style sheet may still choose a font."""
    found = look(MAIN, style=style, app_css=f"text/css|{sheet}")

    assert [line.partition(":")[0] for line in found.unusable] == ["without style"]


@pytest.mark.parametrize(
    ("style", "sheet", "body"),
    [
        ("", "", MAIN.replace("class=", "style='padding: 9px' data-is=")),
        ("<style>h1 { display: flex } p { padding: 8px } li { background: #eee }</style>", "", MAIN),
        ("", "", MAIN + "<script>document.adoptedStyleSheets = [new CSSStyleSheet()];"
         "document.adoptedStyleSheets[0].replaceSync('.card { padding: 9px } .note, li { display: flex }')</script>"),
        (STYLE, "main { max-width: 40rem } body { font-family: serif } p { padding: 2px }", MAIN),
    ],
    ids=["inline", "by element", "by script", "plain"],
)  # fmt: skip
def test_a_page_that_is_styled_in_another_way_is_fine(look: Look, style: str, sheet: str, body: str) -> None:
    """Styles come from attributes, from scripts, or without any class."""
    assert look(body, style=style, app_css=f"text/css|{sheet}").unusable == []


SCRIPT = '<script src="/_next/static/b/verify.js"></script>'


@pytest.mark.parametrize(
    ("part", "kind", "policy"),
    [
        (SCRIPT, "", ""),
        (SCRIPT, "text/plain|1", ""),
        (SCRIPT.replace("src", f'integrity="sha256-{"A" * 43}=" src'), "text/javascript|1", ""),
        (SCRIPT, "text/javascript|1", "script-src 'unsafe-inline'"),
    ],
    ids=["missing", "another type", "another digest", "refused by the policy"],
)
def test_a_lost_script_of_the_build_is_unusable(look: Look, part: str, kind: str, policy: str) -> None:
    """The page is painted, and its buttons do nothing."""
    found = look(MAIN + part, policy=policy, **({"verify_js": kind} if kind else {}))

    assert found.unusable == ["lost: script /_next/static/*/verify.js is missing or refused"]


@pytest.mark.parametrize(
    ("part", "flaw"),
    [
        ('<script src="/ingest/t.js"></script>', "script /ingest/t.js is missing or refused"),
        ('<img src="/images/cover-1.svg?w=3" alt="">', "picture /images/cover-1.svg is missing or refused"),
        ("<script>null.map</script>", "uncaught error: Uncaught TypeError: Cannot read properties of null"),
        ("<script>Promise.reject(new Error('lost'))</script>", "uncaught error: lost"),
        ("<p>KurslarÄ±m</p>", "shows letters that were read in another encoding"),
        ("<p aria-busy=true>Liste</p>", "shows that it loads, without end"),
        ("<style>h1 { color: #fff }</style>", "the heading “Kurslarım” has the colour of its ground"),
        ('<link rel=stylesheet href="/_next/static/css/more.css">', "style sheet /_next/static/css/more.css is"),
    ],
)
def test_a_page_that_has_lost_a_part_is_flawed(look: Look, part: str, flaw: str) -> None:
    """Users can go on; somebody should know of it."""
    found = look(MAIN.replace("</main>", f"{part}</main>"))

    assert found.unusable == []
    assert [line for line in found.flaws if not line.startswith(flaw)] == []
    assert found.flaws != []


@pytest.mark.parametrize(
    "part",
    [
        '<script src="/_vercel/insights/script.js"></script>',
        "<link rel=preload as=script href=/_next/static/b/later.js>",
        "<script>console.error('Warning: Text content did not match')</script>",
        "<script>Promise.reject(new DOMException('left', 'AbortError'))</script>",
        "<script>dispatchEvent(new ErrorEvent('error', { message: 'ResizeObserver loop limit exceeded' }))</script>",
        "<script>new Image().src = '/ingest/pixel.gif'</script>",
        '<img src="http://pictures.test/7p.png" alt="">',
    ],
)
def test_noise_is_no_finding(look: Look, part: str) -> None:
    """Nothing of it reaches a user."""
    assert look(MAIN + part) == Findings()


def test_a_script_of_another_site_is_a_finding_of_its_own(look: Look) -> None:
    """The vendor owes it, not the deployment."""
    found = look(MAIN + '<script src="http://vendor.test/tag.js"></script>')

    assert (found.unusable, found.flaws) == ([], [])
    assert found.of_others == ["vendor.test: script /tag.js is missing or refused"]
