"""No page holds up a run, fills its memory, or raises inside the suite: every wait ends, and the check says why."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Error, Page, expect

from fixtures.browser import views
from fixtures.browser.deadline import ends_within
from fixtures.browser.options import dropped_variables
from fixtures.browser.pages import Visit
from fixtures.browser.processes import MOST_MB
from fixtures.browser.red_pages import finding_of, leave_evidence, pytest_runtest_call
from fixtures.browser.views import Look
from fixtures.browser.watch import MOST_LINES, MOST_PAGES, WATCH, Watch
from fixtures.checks.answers import Answer
from fixtures.checks.evidence import Evidence
from fixtures.target.target import Target
from fixtures.target.variants import Variant

LATER = "<main><h1>7P</h1>Ders</main><script>setTimeout(() => { %s }, 900)</script>"
PAGES: dict[str, str] = {
    "/loop": "<h1>7P</h1><script>for (;;) {}</script>",
    "/plain": "<h1>7P</h1>",
    "/console": "<h1>7P</h1><script>for (let i = 0; i < 5000; i++) console.error('x'.repeat(2000))</script>",
    "/surrogate": "<h1>7P</h1><script>console.error('half \\ud800'); throw new Error('\\udfff \\u001b[31m')</script>",
    "/popups": "<h1>7P</h1><script>for (let i = 0; i < 30; i++) open('/plain')</script>",
    "/dialogs": "<h1>7P</h1><script>for (let i = 0; i < 20; i++) { alert(i); confirm(i); prompt(i) }</script>",
    "/requests": "<h1>7P</h1><script>for (let i = 0; i < 3500; i++) fetch('/plain?' + i).catch(() => 0)</script>",
    "/workers": "<h1>7P</h1><script>for (let i = 0; i < 60; i++) new Worker('/worker.js')</script>",
    "/worker.js": "setInterval(() => 0, 1000)",
    "/odd-method": "<h1>7P</h1><script>fetch('/plain', {method: 'patch'}).finally(() => document.title = 'x')</script>",
    "/memory": "<h1>7P</h1><script>const a=[];setInterval(()=>a.push(new Uint8Array(5e7).fill(1)),1)</script>",
    "/fades": LATER % "document.body.replaceChildren()",
    "/leaves": LATER % "location.assign('/plain')",
    "/turns": LATER % "(document.querySelector('h1').innerText = 'A')",
    "/banners": LATER % "document.body.prepend(Object.assign(document.createElement('div'), {style: 'height: 500px'}))",
    "/there": "<h1>7P</h1><script>location.assign('/back')</script>",
    "/back": "<h1>7P</h1><script>location.assign('/there')</script>",
    "/pixel": "<h1>7P</h1><img src=HANGS/pixel.gif width=1 height=1 alt=''>",
    "/own-pixel": "<h1>7P</h1><img src=/hangs.gif width=1 height=1 alt=''>",
}


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in {"/pixel.gif", "/hangs.gif"}:
            self.server.ended.wait(60)
            return
        if path == "/download":
            kind, body = "application/zip", b"PK" * 1000
        else:
            kind = "text/javascript" if path.endswith(".js") else "text/html; charset=utf-8"
            body = PAGES.get(path, "").replace("HANGS", self.server.other).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-greeting", "Hoş geldiniz, öğrenci".encode().decode("latin-1"))
        self.send_header("x-old", "Hoş geldiniz".encode("iso-8859-9").decode("latin-1"))
        self.send_header("set-cookie", 'dil={"a": [1]}; Expires=nonsense; Path=/')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ended = threading.Event()
        self.other = f"http://localhost:{self.server_port}"


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    """Serve the pages for the tests of this module; as "localhost" it is a third party."""
    with _Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.ended.set()
        server.shutdown()


@pytest.fixture
def variant(server: _Server) -> Variant:
    """Ask the loopback site."""
    return Variant(name="candidate", url=f"http://127.0.0.1:{server.server_port}")


@pytest.fixture
def target(variant: Variant) -> Target:
    """Return the loopback site as a target."""
    return Target(name="loopback", url=variant.url, mode="shadow")


@pytest.fixture
def watch(page: Page, request: pytest.FixtureRequest) -> Watch:
    """Return what watches the pages of this test."""
    assert page
    return cast("Watch", request.node.stash[WATCH])


LOOP = "() => { while (true); }"


def test_a_page_that_loops_is_closed_alone(page: Page, watch: Watch) -> None:
    """`page.evaluate` has no time-out of its own; the browser goes on for the next check."""
    browser, began = page.context.browser, time.monotonic()
    page.goto("/plain")

    with ends_within(0.5, lambda: watch.end("the page does not answer")), pytest.raises(Error) as closed:
        page.evaluate(LOOP)

    assert str(finding_of(closed.value, watch)) == "the page does not answer"
    assert time.monotonic() - began < 10
    assert browser is not None
    other = browser.new_context()
    assert other.new_page().evaluate("1 + 1") == 2
    other.close()


def test_pages_that_lead_to_each_other_without_end_are_named(look: Look, request: pytest.FixtureRequest) -> None:
    """The next page is opened all the same: it is judged by itself, and no check is red for the page before it."""
    with pytest.raises(AssertionError, match="leads from page to page without end"):
        look("/there")

    assert [view.headings for view in look("/plain", "/plain?again")] == [["7P"], ["7P"]]
    seen: Watch = request.node.stash[WATCH]
    assert [hop.trouble for hop in seen.hops() if hop.trouble] == []


def test_a_page_whose_script_never_ends_is_named_soon(
    look: Look, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Its check does not wait a minute, and nobody waits for the same page again."""
    monkeypatch.setattr(views, "FROZEN_S", 0.7)
    with pytest.raises(Error) as closed:
        look("/loop")
    seen: Watch = request.node.stash[WATCH]

    assert "keeps the browser so busy" in str(finding_of(closed.value, seen))
    with pytest.raises(AssertionError, match="keeps the browser so busy"):
        look("/loop")


@pytest.mark.parametrize(
    ("page", "does"), [("/fades", "shows no content"), ("/leaves", "leads to /plain by itself"), ("/turns", "")]
)
def test_a_page_that_nobody_touches_stays(look: Look, monkeypatch: pytest.MonkeyPatch, page: str, does: str) -> None:
    """It may change, and it may neither empty itself nor go away."""
    monkeypatch.setattr(views, "_UNTOUCHED_S", 1.5)
    monkeypatch.setattr(views, "_SECOND_LOOK_MS", 100)
    monkeypatch.setattr(views, "_LEFT_OPEN", {f"GET {page}"})

    found = [line for line in look.unrest(page) if page in line]  # another page of this visitor may be open, too

    assert does in "".join(found)
    assert len(found) == bool(does)


@pytest.mark.parametrize(("page", "moves"), [("/banners", True), ("/turns", False)])
def test_late_shifts_of_the_content_are_measured(
    look: Look, monkeypatch: pytest.MonkeyPatch, page: str, *, moves: bool
) -> None:
    """A second load decides, where the first one is over the limit."""
    monkeypatch.setattr(views, "_UNTOUCHED_S", 1.5)
    monkeypatch.setattr(views, "_LEFT_OPEN", {f"GET {page}"})

    found = look.shift(page, 0.01)

    assert (found > 0.01, found.samples) == ((True, 2) if moves else (False, 1))


def test_a_wait_that_ends_in_time_is_left_alone(page: Page, watch: Watch) -> None:
    """The timer ends with its block."""
    page.goto("/plain")
    with ends_within(0.2, lambda: watch.end("late")):
        assert page.evaluate("1") == 1

    page.wait_for_timeout(400)
    assert (watch.ended, page.is_closed()) == ("", False)


def test_a_page_that_crashes_fails_the_check(page: Page, watch: Watch) -> None:
    """A crash of the page is a failure of the page, not an error of the suite."""
    with pytest.raises(Error):
        page.goto("chrome://crash")
    with pytest.raises(Error) as crashed:
        page.evaluate("1")

    assert str(finding_of(crashed.value, watch)).startswith("the page crashed: ")


@pytest.mark.parametrize("path", ["/download", "http://127.0.0.1:9/", "http://nowhere.invalid/"])
def test_an_error_that_the_page_caused_fails_the_check(page: Page, request: pytest.FixtureRequest, path: str) -> None:
    """A download is refused, an address does not answer: the check is red, with one line of Playwright's."""
    with pytest.raises(Error) as refused:
        page.goto(path)
    call = pytest_runtest_call(cast("pytest.Item", SimpleNamespace(stash=request.node.stash, config=request.config)))
    next(call)

    with pytest.raises(AssertionError, match=r"^Page.goto: (net::ERR_|Download)[^\n]*$") as failed:
        call.throw(refused.value)
    # Without a line of the test the error would count as the suite's own. The first entry is this throw.
    assert __file__ in [str(entry.path) for entry in failed.traceback[1:]]


@pytest.mark.parametrize(
    "said",
    [
        "Page.evaluate: Execution context was destroyed, most likely because of a navigation",
        "ElementHandle.click: Protocol error (DOM.scrollIntoViewIfNeeded): Cannot find context with specified id",
    ],
)
def test_a_page_that_leaves_while_it_is_used_fails_the_check(page: Page, watch: Watch, said: str) -> None:
    """A sign-in form that leads away is of no use to anybody; a suite error would hold the deployment."""
    assert page
    assert str(finding_of(Error(said), watch)) == "the page led to another one by itself while it was used"


def test_an_error_of_ours_stays_one(page: Page, watch: Watch) -> None:
    """A selector with a typing error is no finding about the page."""
    page.goto("/plain")
    with pytest.raises(Error) as wrong:
        page.locator("css=[[").count()

    assert finding_of(wrong.value, watch) is None


def test_console_lines_are_few_and_short(page: Page, watch: Watch) -> None:
    """Five thousand lines of two thousand characters would be ten megabytes a page."""
    page.goto("/console", wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name="7P")).to_be_visible()

    assert len(watch.errors) <= MOST_LINES
    assert max(len(line) for line in watch.errors) <= 500


def test_half_a_character_is_no_error_of_ours(page: Page, watch: Watch, evidence: Evidence) -> None:
    """A script may print what no encoding holds."""
    page.goto("/surrogate")
    expect(page.get_by_role("heading")).to_be_visible()

    leave_evidence(watch, evidence)

    assert [line.partition(" ")[0] for line in watch.errors] == ["half", "uncaught"]


def test_pop_ups_are_bounded(page: Page, watch: Watch) -> None:
    """The newest are closed."""
    page.goto("/popups")
    page.wait_for_timeout(500)
    # Closing a page takes a moment.
    for _ in range(30):
        if len(page.context.pages) > MOST_PAGES:
            page.wait_for_timeout(100)

    assert len(page.context.pages) <= MOST_PAGES
    assert watch.ended == ""


def test_dialogs_hold_nobody_up(page: Page) -> None:
    """The suite dismisses every dialog that a page opens."""
    page.goto("/dialogs")

    expect(page.get_by_role("heading", name="7P")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "why"), [("/requests", "3000 requests"), ("/workers", "30 workers"), ("/there", "150 navigations")]
)
def test_a_page_without_an_end_is_closed(page: Page, watch: Watch, path: str, why: str) -> None:
    """The check says which limit it was."""
    with suppress(Error):
        page.goto(path)
    with pytest.raises(Error) as closed:
        page.wait_for_timeout(20_000)

    assert str(finding_of(closed.value, watch)) == f"the pages were closed: more than {why}"
    # The way in which pages are closed is no failure of the platform.
    assert [hop.trouble for hop in watch.hops() if hop.trouble] == []
    assert [line for line in watch.failures if "DISCONNECTED" in line] == []


def test_a_page_that_takes_memory_without_an_end_is_ended(page: Page, watch: Watch) -> None:
    """Chromium limits neither arrays nor the text of a document: the machine of the run would end everything."""
    page.goto("/memory")
    with pytest.raises(Error) as ended:
        page.wait_for_timeout(20_000)

    assert str(finding_of(ended.value, watch)) == f"the page takes more than {MOST_MB} MB of memory; it was ended"


def test_an_odd_method_and_turkish_headers_are_answers(page: Page, watch: Watch) -> None:
    """Neither of them raises an error where the suite counts and inspects the requests of pages."""
    page.goto("/odd-method")
    expect(page).to_have_title("x")

    (hop,) = watch.hops()
    assert hop.code == 200
    assert "geldiniz" in hop.headers["x-greeting"]


def test_a_third_party_that_does_not_answer_holds_nobody_up_for_long(
    visit: Visit, evidence: Evidence, server: _Server
) -> None:
    """The load event waits for its picture; users do not. Once it is known, nobody waits for it again."""
    began = time.monotonic()
    visit("/pixel")
    first = time.monotonic() - began
    visit("/pixel")
    visit.reload()

    assert 2.5 < first < 8
    assert time.monotonic() - began - first < 5
    assert f"localhost:{server.server_port} does not answer" in evidence.note


def test_an_own_picture_that_does_not_answer_is_waited_for(
    visit: Visit, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform is at fault, so the check is red."""
    monkeypatch.setattr("fixtures.browser.pages.NAVIGATION_MS", 1_000)
    with pytest.raises(Error, match="Timeout"):
        visit("/own-pixel")
    assert page.url.endswith("/own-pixel")


def test_a_page_that_hangs_again_is_waited_for_less(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Re-runs open it five times more: the gate must decide within a minute."""
    monkeypatch.setattr("fixtures.browser.pages.NAVIGATION_MS", 3_000)
    monkeypatch.setattr("fixtures.browser.pages.ACTION_MS", 300)
    seconds = []
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Error, match="Timeout"):
            visit("/loop")
        seconds.append(time.monotonic() - began)

    assert seconds[0] >= 3 > seconds[1]


def test_variables_of_debugging_do_not_reach_the_browser() -> None:
    """PWDEBUG opens windows and takes every time-out away."""
    names = [
        "PWDEBUG",
        "DEBUG",
        "PW_TEST_X",
        "PLAYWRIGHT_NODEJS_PATH",
        "PLAYWRIGHT_BROWSERS_PATH",
        "HOME",
        "DEBUGGER_X",
    ]

    assert dropped_variables(names) == ["PWDEBUG", "DEBUG", "PW_TEST_X", "PLAYWRIGHT_NODEJS_PATH"]


_TEXT = st.text(st.characters(), max_size=60)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=st.dictionaries(_TEXT, _TEXT, max_size=5), text=_TEXT, url=_TEXT, status=st.integers(100, 599))
def test_no_event_of_a_page_raises(headers: dict[str, str], text: str, url: str, status: int) -> None:
    """Headers, lines and addresses may hold any character, halves too."""
    frame = SimpleNamespace(parent_frame=None)

    class Request:
        def __init__(self, **known: object) -> None:
            self.__dict__ |= known

    request = Request(
        url=url,
        method=text,
        failure=text,
        frame=frame,
        is_navigation_request=lambda: True,
        timing={"responseStart": -1},
    )
    response = SimpleNamespace(
        request=request, url=url, status=status, ok=False, headers=headers, all_headers=lambda: headers
    )
    watch = Watch(cast("object", SimpleNamespace(on=lambda *_: None, pages=[])))  # type: ignore[arg-type]
    watch._on_request(request)  # type: ignore[arg-type]  # noqa: SLF001
    watch._on_response(response)  # type: ignore[arg-type]  # noqa: SLF001
    watch._on_failure(request)  # type: ignore[arg-type]  # noqa: SLF001
    watch._on_console(SimpleNamespace(type="error", text=text))  # type: ignore[arg-type]  # noqa: SLF001
    watch._on_error(SimpleNamespace(error=text))  # type: ignore[arg-type]  # noqa: SLF001

    assert all(isinstance(hop, Answer) for hop in watch.hops())
    assert "\n".join(watch.lines()).encode()
