"""Real page loads in a real browser, from a loopback site whose layout shift and paint times are known."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from fixtures.browser import vitals as vitals_module
from fixtures.browser.vitals import Judgement, Load, Loads, Measure, VitalReading
from fixtures.checks.budgets import Budget
from fixtures.checks.evidence import Evidence, NotMeasured
from fixtures.model.runbook import Limit
from fixtures.model.verdict import Cause, Severity
from fixtures.target.target import Target
from fixtures.target.variants import Variant

HERO_SECONDS = 0.5
BLOCKED_MS = 250
# (impact 0.50 + 0.25 of the viewport's height) x (moved by 25 vh of 940 px, over the longer edge of 1350 px)
SHIFT = 0.75 * 0.25 * 940 / 1350
_HEAD = "<!doctype html><html lang=tr><meta charset=utf-8><title>t</title><style>body{margin:0}</style>"
_BANNER = (
    "<div id=banner></div><div class=hero style='height:50vh;background:teal'>7P</div><script>addEventListener('load',"
    "()=>setTimeout(()=>{document.getElementById('banner').style.height='25vh'},150))</script>"
)
_WORKS = f"""
  const work = () => {{ const end = performance.now() + {BLOCKED_MS}; while (performance.now() < end); }};
  addEventListener("load", () => setTimeout(work, 100));
"""
PAGES = {
    "/fast": "<h1>7P Education</h1>",
    "/shift": _BANNER,
    "/hero": "<p>7P</p><img id=hero src=/hero.svg width=900 height=600>",
    "/blank": "",
    "/loops": "<h1>7P</h1><script>setTimeout(() => { while (true); }, 200)</script>",
    "/works": f"<h1>7P</h1><script>{_WORKS}</script>",
    "/pixel": "<h1>7P Education</h1><img src=THIRD/hangs.gif width=9 height=9>",
    "/frame": "<h1>7P</h1><iframe src=/broken></iframe>",
}
# Many shapes: an image of one colour, or of less than 0.05 bit per pixel, is no candidate for the largest paint.
_DOTS = "".join(f"<circle cx='{7 * n % 900}' cy='{13 * n % 600}' r='9' fill='#{n * 9973:06x}'/>" for n in range(200))
_HERO = f"<svg xmlns='http://www.w3.org/2000/svg' width='900' height='600'>{_DOTS}</svg>".encode()


class _Handler(BaseHTTPRequestHandler):
    """Serves PAGES under a strict policy; every answer names its deployment."""

    server: _Server

    def do_GET(self) -> None:
        self.server.seen[self.path] += 1
        if self.path == "/hero.svg":
            self.server.closing.wait(HERO_SECONDS)
            return self._answer(200, "image/svg+xml", _HERO)
        if self.path == "/moved":
            return self._answer(307, "text/plain", b"", location="/fast")
        if self.path in PAGES:
            third = f"http://localhost:{self.server.server_port}"
            return self._answer(200, "text/html", (_HEAD + PAGES[self.path].replace("THIRD", third)).encode())
        if self.path == "/hangs.gif":
            self.server.closing.wait(60)
            return None
        return self._answer(500 if self.path == "/broken" else 404, "text/html", b"<h1>broken</h1>")

    def _answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        policy = (
            "default-src 'self' http://localhost:*; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
        )
        answers = {"content-type": kind, "content-length": str(len(body)), "content-security-policy": policy}
        for name, value in {**answers, "x-deployment-id": "dpl_loopback", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


class _Server(ThreadingHTTPServer):
    """Counts what it is asked; `closing` ends answers that are held back."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: Counter[str] = Counter()
        self.closing = Event()


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    """Serve the pages for the tests of this module."""
    with _Server() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def variant(server: _Server) -> Variant:
    """Ask the loopback site, its counters at zero."""
    server.seen.clear()
    return Variant(name="target", url=f"http://127.0.0.1:{server.server_port}", deployment_id="dpl_loopback")


@pytest.fixture
def target(variant: Variant) -> Target:
    """Return a target that can do nothing but show pages."""
    return Target(name="loopback", url=variant.url, mode="shadow")


@pytest.fixture
def page_loads() -> dict[tuple[Variant, int, str], Loads]:
    """No loads are shared between these tests."""
    return {}


@pytest.fixture(autouse=True)
def reports(evidence: Evidence, tmp_path: Path) -> Path:
    """Keep the evidence of these loads out of the run's reports."""
    evidence.directory = evidence.reports = tmp_path
    return tmp_path


def _budget(name: str, limit: float) -> Budget:
    steps = {Severity.P3: 0.0, Severity.P2: 20.0, Severity.P1: 80.0}
    return Budget(name, Limit(limit=limit, unit="", section="performance-optimization", steps=steps))


@pytest.fixture
def budgets() -> SimpleNamespace:
    """Limits that a slow machine does not miss; a test lowers the one it is about."""
    times = {name: _budget(name, 60_000) for name in ("fcp", "lcp", "fid")}
    return SimpleNamespace(**times, cls=_budget("cls", 0.5))


@pytest.mark.parametrize(
    ("limit", "judgement", "loads"),
    [
        pytest.param(SHIFT / 0.5, Judgement.PASS, 1, id="clearly under"),
        pytest.param(SHIFT / 0.7, Judgement.PASS, 2, id="under"),
        pytest.param(SHIFT / 1.05, Judgement.WARN, 5, id="over, not proved"),
        pytest.param(SHIFT / 1.3, Judgement.FAIL, 3, id="over"),
        pytest.param(SHIFT / 1.7, Judgement.FAIL, 2, id="far over"),
    ],
)
def test_known_layout_shift_is_judged(
    limit: float,
    judgement: Judgement,
    loads: int,
    vitals: Measure,
    budgets: SimpleNamespace,
    server: _Server,
    evidence: Evidence,
) -> None:
    """A shift of 25 vh after the load event has one right value in this viewport, and the rule its number of loads."""
    budgets.cls = _budget("cls", limit)
    reading = vitals("/shift").cls

    assert float(reading) == pytest.approx(SHIFT, abs=1e-4)
    assert reading.judgement is judgement
    assert (reading <= budgets.cls) is (judgement is not Judgement.FAIL)
    assert (reading.samples, server.seen["/shift"]) == (loads, loads)
    assert [(one.name, one.samples, one.limit) for one in evidence.measurements] == [("cls", loads, limit)]


def test_late_image_is_the_largest_paint_and_named(
    vitals: Measure, budgets: SimpleNamespace, evidence: Evidence, reports: Path
) -> None:
    """The reading waits for the image that is held back, and a red one says which element it was."""
    budgets.lcp = _budget("lcp", 1000 * HERO_SECONDS / 2)
    readings = vitals("/hero")

    assert (readings.lcp <= budgets.lcp) is False
    assert float(readings.lcp) >= 1000 * HERO_SECONDS
    assert readings.lcp.samples == 2
    assert evidence.severity is Severity.P1
    assert "LCP of /hero is over in every load that counts: " in evidence.note
    loads = json.loads((reports / "loads.json").read_text())
    assert [load["lcpElement"].partition(" ")[0] for load in loads] == ["img#hero", "img#hero"]


def test_a_script_that_works_is_the_delay_of_the_first_click(vitals: Measure, budgets: SimpleNamespace) -> None:
    """A click that comes when the script begins waits until it ends."""
    budgets.fid = _budget("fid", BLOCKED_MS / 2)
    reading = vitals("/works").fid

    assert float(reading) >= BLOCKED_MS
    assert not reading <= budgets.fid


def test_what_moved_is_named(vitals: Measure, budgets: SimpleNamespace, reports: Path) -> None:
    """A number alone does not name the element to repair."""
    budgets.cls = _budget("cls", SHIFT / 2)
    missed = not vitals("/shift").cls <= budgets.cls
    moved = [load["shifted"] for load in json.loads((reports / "loads.json").read_text())]

    assert missed
    assert moved == [["div.hero"], ["div.hero"]]


def test_metrics_of_a_page_share_its_loads(vitals: Measure, budgets: SimpleNamespace, server: _Server) -> None:
    """Three checks of one page cost one load when all are clear; paint comes before the largest paint."""
    fcp, lcp, cls = vitals("/fast").fcp, vitals("/fast").lcp, vitals("/fast").cls

    assert server.seen["/fast"] == 1
    assert 0 < fcp <= lcp
    assert float(cls) == 0
    assert fcp <= budgets.fcp


def test_every_hop_of_every_load_is_kept(vitals: Measure, evidence: Evidence) -> None:
    """In a paired re-run a load counts only when its answers prove which deployment they came from."""
    vitals("/frame")

    assert evidence.deployments == ["dpl_loopback"]
    assert evidence.identified


def test_a_page_that_loops_is_closed_and_red(vitals: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its values cannot be read any more, and the run goes on."""
    monkeypatch.setattr(vitals_module, "NAVIGATION_MS", 500)
    with pytest.raises(AssertionError, match=r"^/loops does not answer; closed after [\d.]+ s$"):
        vitals("/loops")


def test_a_third_party_that_does_not_answer_does_not_hold_a_page_up(vitals: Measure) -> None:
    """The load event waits for it; what a user sees has come to rest."""
    reading = vitals("/pixel").lcp

    assert reading.loads.taken[0].settled


def test_metric_that_was_not_seen_is_not_measured(
    vitals: Measure, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that paints nothing has no LCP: not zero, and not passed. What was seen of it still counts."""
    monkeypatch.setattr(vitals_module, "SETTLE_MS", 400)
    readings = vitals("/blank")

    with pytest.raises(NotMeasured, match="LCP of /blank: the browser reported none"):
        readings.lcp  # noqa: B018  (reading it is the point)
    assert float(readings.cls) == 0
    assert server.seen["/blank"] == 1


@pytest.mark.parametrize(("path", "answer"), [("/broken", "/broken answered 500"), ("/moved", "/fast answered 200")])
def test_page_that_did_not_come_is_not_measured(path: str, answer: str, vitals: Measure, server: _Server) -> None:
    """A fast error page, or a fast sign-in page in its place, says nothing about the page; and it is asked once."""
    for _ in range(2):
        with pytest.raises(NotMeasured, match=f"{path} did not open: .*{answer}"):
            vitals(path)

    assert server.seen[path] == 1


class TestNobodyAnswers:
    """The address of the variant refuses connections."""

    @pytest.fixture
    def variant(self) -> Variant:
        """Name a port that nobody listens on any more."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        return Variant(name="target", url=f"http://127.0.0.1:{port}", deployment_id="dpl_loopback")

    def test_silence_is_a_blocker_and_red(self, vitals: Measure, evidence: Evidence) -> None:
        """The runner may be cut off; the gate finds out with the control addresses, and nothing is proved."""
        with pytest.raises(AssertionError, match="ERR_"):
            vitals("/")

        assert [cause for cause, _ in evidence.blockers] == [Cause.RUNNER]
        assert not evidence.identified


def test_reading_compares_as_a_number_with_anything_else() -> None:
    """Only against its own limit does the rule decide."""
    loads = Loads("/", [Load(fcp=10, lcp=1050, cls=0, fid=0)] * 5)
    reading = VitalReading("lcp", loads, 1000.0)

    assert not reading <= 1049
    assert reading <= 1050
