"""The configured browser on a loopback site: where pages open, what they send along, and the evidence they leave."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import cast

import pytest
from playwright.sync_api import Browser, Error, Page
from pytest_playwright.pytest_playwright import CreateContextCallback

from fixtures.browser import pages
from fixtures.browser.executable import BrowserError
from fixtures.browser.red_pages import leave_evidence, pytest_runtest_call
from fixtures.browser.watch import WATCH, Watch
from fixtures.checks.evidence import EVIDENCE, Evidence, NotMeasured
from fixtures.model import redaction
from fixtures.model.verdict import Cause
from fixtures.run.current_run import Run
from fixtures.site.accounts import Session
from fixtures.target.target import Target
from fixtures.target.variants import Variant

BYPASS = "x-vercel-protection-bypass"
SECRET = "bypass-secret-0123456789"  # noqa: S105  (a loopback site's)
PAGES = {
    "/plain": "<h1>7P</h1><iframe src=/framed></iframe>",
    "/framed": "<p>Ders</p>",
    "/named": "<h1>7P</h1><script src=/app.js?dpl=dpl_named></script>",
    "/form": "<h1>Giriş</h1><label>Kod<input></label>",
    "/broken": "<h1>7P</h1><script>fetch('/gone?key=KEY').then(() => { throw new Error('boom') })</script>",
}


class _Handler(BaseHTTPRequestHandler):
    """Serves PAGES; answers under /unnamed do not name their deployment."""

    server: _Server

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["host"], self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        headers = {} if path == "/named" else {"x-deployment-id": "dpl_loopback"}
        if self.headers.get(BYPASS) == SECRET and self.headers.get("x-vercel-set-bypass-cookie"):
            headers["set-cookie"] = "_vercel_jwt=granted; Path=/; HttpOnly"
        moves = {"/moved": "/plain", "/leaves": f"http://localhost:{self.server.server_port}/landed"}
        if path in moves:
            headers["location"] = moves[path]
        known = path in PAGES or path in {*moves, "/app.js", "/robots.txt"}
        body = PAGES.get(path, "").replace("KEY", SECRET).encode()
        self.send_response(307 if path in moves else 200 if known else 404)
        headers |= {"content-type": "text/html; charset=utf-8", "content-length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


class _Server(ThreadingHTTPServer):
    """Remembers host, path and headers of every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def sent(self, path: str) -> list[dict[str, str]]:
        """Return the headers of every request for a path, names in lower case."""
        return [{name.lower(): value for name, value in headers.items()} for _, at, headers in self.seen if at == path]


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    """Serve the pages for the tests of this module."""
    with _Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def variant(server: _Server) -> Variant:
    """Ask the loopback site, pinned to a deployment."""
    server.seen.clear()
    url = f"http://127.0.0.1:{server.server_port}"
    return Variant(name="candidate", url=url, deployment_id="dpl_loopback", pinned_url=url)


@pytest.fixture
def target(variant: Variant) -> Target:
    """Return a target behind deployment protection."""
    redaction.register([SECRET])
    return Target(name="loopback", url=variant.url, mode="shadow", bypass_secret=SECRET)


@pytest.fixture
def bypass_cookies() -> dict[str, list[dict[str, object]]]:
    """Let every test get its own."""
    return {}


@pytest.fixture(autouse=True)
def reports(evidence: Evidence, tmp_path: Path) -> Path:
    """Keep the evidence of these pages out of the run's reports."""
    evidence.directory = evidence.reports = tmp_path
    return tmp_path


def test_pages_open_on_the_side_as_a_turkish_desktop_visitor(page: Page, variant: Variant) -> None:
    """CLS and texts depend on it."""
    page.goto("/plain")

    assert page.url == f"{variant.url}/plain"
    seen = page.evaluate("[navigator.language, innerWidth, innerHeight]")
    assert seen == ["tr-TR", 1350, 940]


def test_pin_and_bypass_travel_as_cookies_to_the_own_host_only(
    new_context: CreateContextCallback, server: _Server, variant: Variant
) -> None:
    """A header on the context would hand the secret to every third party; it is exchanged for a cookie once."""
    elsewhere = variant.url.replace("127.0.0.1", "localhost")
    for _ in range(2):
        page = new_context().new_page()
        page.goto("/plain")
        page.evaluate("url => fetch(url, {mode: 'no-cors', credentials: 'include'})", f"{elsewhere}/third")

    assert [sorted(sent["cookie"].split("; ")) for sent in server.sent("/plain")] == [
        ["__vdpl=dpl_loopback", "_vercel_jwt=granted"]
    ] * 2
    assert [sent for sent in server.sent("/plain") if BYPASS in sent] == []
    assert [(sent.get("cookie"), sent.get(BYPASS)) for sent in server.sent("/third")] == [(None, None)] * 2
    assert len(server.sent("/robots.txt")) == 1


def test_a_session_that_no_browser_takes_is_not_measured(page: Page, variant: Variant) -> None:
    """The page was not judged; the check of the sign-in reports the wrong cookie."""
    session = Session(role="student", url=variant.url, cookies={"__Secure-next-auth.session-token": "x"})

    with pytest.raises(NotMeasured, match="the browser refuses the session cookies of the student"):
        session.enter(page.context)


def test_a_redirect_to_another_host_takes_nothing_of_ours_along(page: Page, server: _Server) -> None:
    """Checkout and OAuth lead there; what they are sent, they may write down."""
    page.goto("/leaves")
    other_students = [(path, headers) for host, path, headers in server.seen if host.startswith("localhost")]

    assert [sent.get(BYPASS, sent.get("cookie")) for sent in server.sent("/landed")] == [None]
    assert [path for path, headers in other_students if SECRET in str(headers) or "granted" in str(headers)] == []


@pytest.mark.parametrize(
    ("path", "deployments"),
    [
        pytest.param("/plain", ["dpl_loopback"], id="a frame is no hop"),
        pytest.param("/moved", ["dpl_loopback", "dpl_loopback"], id="a redirect is a hop of its own"),
        pytest.param("/named", ["dpl_named"], id="assets name the deployment where the page does not"),
    ],
)
def test_every_hop_tells_its_deployment(path: str, deployments: list[str], page: Page) -> None:
    """Pairs count only when each hop names its deployment."""
    watch = Watch(page.context)
    page.goto(path)

    assert [hop.deployment for hop in watch.hops()] == deployments


def test_red_journey_leaves_picture_and_trouble_without_secrets(
    page: Page, evidence: Evidence, reports: Path, request: pytest.FixtureRequest
) -> None:
    """The evidence is taken before the page is closed."""
    with page.expect_event("pageerror"):
        page.goto("/broken")
    watch: Watch = request.node.stash[WATCH]
    item = cast("pytest.Item", SimpleNamespace(stash=request.node.stash, config=request.config))
    call = pytest_runtest_call(item)
    next(call)
    with pytest.raises(AssertionError):
        call.throw(AssertionError("red"))

    assert evidence.files == ["page-1.png", "pages.txt"]
    assert (reports / "page-1.png").read_bytes().startswith(b"\x89PNG")
    text = (reports / "pages.txt").read_text()
    assert f"/gone?key={redaction.SHOWN} -> 404, dpl_loopback" in text
    assert "uncaught" in text
    assert "boom" in text
    assert SECRET not in text + "".join(evidence.lines())
    assert any("/gone?" in line for line in evidence.lines())
    assert watch.hops()[0].status == 200


def test_form_fields_are_covered_in_screenshots(page: Page, evidence: Evidence, reports: Path) -> None:
    """An enrolment code that was typed must not be read off a picture."""
    page.goto("/form")
    pictures = []
    for code in ("first-code", "another-and-longer-code"):
        page.get_by_role("textbox", name="Kod").fill(code)
        leave_evidence(Watch(page.context), evidence)
        pictures.append((reports / "page-1.png").read_bytes())

    assert pictures[0] == pictures[1]


def test_page_that_was_never_opened_leaves_nothing(page: Page, evidence: Evidence) -> None:
    """A set-up that failed before has no picture to show."""
    leave_evidence(Watch(page.context), evidence)

    assert evidence.files == []


def test_refused_connection_is_a_blocker(page: Page, evidence: Evidence, request: pytest.FixtureRequest) -> None:
    """It still fails; the gate asks the control addresses whose fault it is."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Error, match="ERR_CONNECTION_REFUSED") as refused:
        page.goto(f"http://127.0.0.1:{port}/")
    call = pytest_runtest_call(cast("pytest.Item", SimpleNamespace(stash=request.node.stash, config=request.config)))
    next(call)
    with pytest.raises(AssertionError, match="ERR_CONNECTION_REFUSED"):
        call.throw(refused.value)

    assert evidence is request.node.stash[EVIDENCE]
    assert [cause for cause, _ in evidence.blockers] == [Cause.RUNNER]
    assert evidence.deployments[-1] is None


def test_browser_that_does_not_start_is_not_measured(launch_browser: Callable[..., Browser]) -> None:
    """The page is not to blame, and somebody has to know what to type."""
    with pytest.raises(NotMeasured, match=r"apt-get install -y chromium-headless-shell: .*launch"):
        launch_browser(executable_path="/bin/false")


def test_machine_without_a_browser_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the lack of one nor a wrong choice is a finding about the site."""
    monkeypatch.setattr(pages, "find_browser", lambda **_: None)
    with pytest.raises(NotMeasured, match="playwright install --with-deps --only-shell chromium"):
        pages.find_executable()

    def refuse(**_: bool) -> None:
        msg = "SYNTHETIC_BROWSER=/nowhere does not start"
        raise BrowserError(msg)

    monkeypatch.setattr(pages, "find_browser", refuse)
    with pytest.raises(NotMeasured, match="SYNTHETIC_BROWSER=/nowhere does not start"):
        pages.find_executable()


def _is_free(run: Run, kind: int) -> bool:
    with (run.directory / "browser.lock").open("w") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.usefixtures("browser_turn")
def test_journeys_share_the_machine(run: Run) -> None:
    """Two journeys may run at once, a measured load may not join them."""
    assert [_is_free(run, fcntl.LOCK_SH), _is_free(run, fcntl.LOCK_EX)] == [True, False]


@pytest.mark.usefixtures("page", "browser_alone")
def test_a_measured_load_is_alone(run: Run) -> None:
    """Contention inflates every paint; a check that opens a page besides does not wait for itself."""
    assert [_is_free(run, fcntl.LOCK_SH), _is_free(run, fcntl.LOCK_EX)] == [False, False]
