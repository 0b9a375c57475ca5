"""`doctor --contract` shows where a target departs from the contract, and changes nothing on it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ci import contract as module
from ci.contract import survey
from ci.options import parse
from ci.steps import SetupError
from fixtures.model.contract import Answered, Contract, Shown
from fixtures.model.toml_tables import UsageError
from fixtures.target.target import Target

PAGE = """<!doctype html><html lang="tr"><head><title>7P Eğitim Platformu</title></head><body>
<h1>Sayfa</h1><p>Bir metin</p><main></main>
<script>
const late = '<button>🚀 Giriş Yap</button><a href="/kurs">Kurs</a>';
setTimeout(() => {{ document.querySelector("main").innerHTML = late }}, 300);
if ({loops}) while (true) {{}}
</script></body></html>"""


class _Site(BaseHTTPRequestHandler):
    """A platform with one course and two pages; it writes down what it is asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        if self.path.startswith("/api/"):
            course = '{"success": true, "data": {"courses": [{"id": "c-1"}]}}'
            body, kind = (course if "courses" in self.path else '{"paymentsMode": "stripe"}'), "application/json"
        else:
            body, kind = PAGE.format(loops=str(self.path == "/loop").lower()), "text/html; charset=utf-8"
        self.send_response(404 if "/c-1" in self.path else 200)
        self.send_header("content-type", kind)
        self.send_header("x-powered-by", "loopback")
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body.encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    """Serve the platform; return its address and its requests."""
    handler = type("Handler", (_Site,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined]  # made above
        server.shutdown()


def table_of(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terms: Contract
) -> tuple[list[str], str]:
    """
    Return the lines of the table, each with single blanks, and what is said besides.

    The survey has a thread of its own: another test may have left a browser's event loop running in this one.
    """
    monkeypatch.setattr(module, "contract", lambda: terms)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(survey, Target(name="loopback", url=url, mode="shadow")).result()
    told = capsys.readouterr()
    return [" ".join(line.split()) for line in told.out.splitlines()], told.err


def test_answers_that_depart_are_one_table(
    site: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status, type, keys, body and headers; an entry for another payments mode or a student is not asked."""
    answers = [
        ("GET /api/health", Answered(keys=("paymentsMode:text", "status:text"), headers={"x-powered-by": "loop"})),
        ("GET /api/courses/{id}", Answered(ask="/api/courses/{course}")),
        ("HEAD /api/health", Answered(type="", body="")),
        ("GET /login", Answered(type="application/json", body="{}")),
        ("GET /api/courses", Answered(when="paymentsMode!=stripe")),
        ("GET /api/enrollments", Answered(visitor="student")),
        ("GET /", Answered(ask="/{lesson}")),
    ]
    lines, said = table_of(site[0], monkeypatch, capsys, Contract(answers, [], {"pages": {"x-powered-by": ""}}))

    assert lines == [
        "route or page contract loopback",
        "GET /api/health the keys of the contract status is missing",
        'GET /api/courses/{course} status 200 404 {"success": true, "data": {"courses": [{"id": "c-1"}]}}',
        "GET /login type application/json text/html; charset=utf-8",
        "GET /login body '{}' another",
        "GET /login header x-powered-by: none loopback",
    ]
    assert "1 not asked: for paymentsMode!=stripe only" in said
    assert "1 not asked: there is no session of a student" in said
    assert "1 not asked: the target shows no lesson" in said


def test_pages_that_depart(
    site: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Controls appear late and have signs in their names; a link leads to the next page."""
    right = Shown(ends="/login", h1="Sayfa", controls=("button|tab Giriş Yap", "css main a"), texts=("metin",))
    wrong = Shown(ask="{course_page}", ends="/kurs", headings=("Müfredat",), controls=("button Kayıt",), texts=("yok",))
    shows = [
        ("GET /login", Shown(ask="/login", leads={"course_page": "main a"}, ends=right.ends, controls=right.controls)),
        ("GET /login", right),
        ("GET /courses/{slug}", wrong),
        ("GET /register", Shown(ends="/elsewhere", h1="not looked for there")),
    ]
    lines, said = table_of(site[0], monkeypatch, capsys, Contract([], shows, {}))

    assert lines[1:] == [
        "page {course_page} heading Müfredat “Sayfa” at /kurs",
        "page {course_page} button Kayıt none at /kurs; “🚀 Giriş Yap”",
        "page {course_page} text yok none at /kurs",
        "page /register ends at /elsewhere ends at /register, h1 “Sayfa”",
    ]
    assert "5 answers and pages were compared" in said
    assert {line.split()[0] for line in site[1]} == {"GET"}


def test_a_page_that_never_rests_ends(
    site: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that loops answers no question of the browser's driver."""
    monkeypatch.setattr("ci.contract_pages._ENDS_S", 2.0)
    lines, _ = table_of(site[0], monkeypatch, capsys, Contract([], [("GET /login", Shown(ask="/loop", h1="x"))], {}))

    assert lines[1].startswith("page /loop a page that can be read")


def test_a_target_that_does_not_answer_is_named() -> None:
    """Nothing can be compared then, and the exit code says so."""
    with pytest.raises(SetupError, match=r"loopback does not answer: GET http://127\.0\.0\.1:9/api/health"):
        survey(Target(name="loopback", url="http://127.0.0.1:9", mode="shadow"))


def test_the_option_needs_the_doctor_and_a_target(tmp_path: Path) -> None:
    """Elsewhere it would do nothing."""
    assert parse(["doctor", "sandbox", "--contract"], root=tmp_path).contract
    for wrong in (["doctor", "--contract"], ["postdeploy", "--contract"], ["--list-checks", "--contract"]):
        with pytest.raises(UsageError, match="--contract"):
            parse(wrong, root=tmp_path)
