"""Provides a small suite with all plugins in its own folder, and an HTTP server whose answers a test sets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from fixtures.model.verdict import CheckResult, Verdict

if TYPE_CHECKING:
    from tests.selftest.sandbox.running_app import RunningApp

ROOT = Path(__file__).parents[2]
_HEADER = """
from http import HTTPStatus

import pytest

from fixtures.checks.declarations import asks, asks_database, depends_on, follow_up
from fixtures.checks.evidence import NotApplicable, NotMeasured

P0 = pytest.mark.check(severity="P0", judges="function", runbook="application-health")
P1 = pytest.mark.check(severity="P1", judges="function", runbook="application-health")
P2 = pytest.mark.check(severity="P2", judges="function", runbook="application-health")
post = pytest.mark.postdeploy
"""


def pytest_configure() -> None:
    """Let SIGHUP end the processes of the self-tests, also below nohup, which has them ignore it."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def environment_of_a_run() -> dict[str, str]:
    """Return this environment without what says where a run belongs; the browser and the database are kept."""
    kept = ("SYNTHETIC_BROWSER", "SYNTHETIC_POSTGRES", "SYNTHETIC_CACHE")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SYNTHETIC_", "PYTEST_"))}
    own |= {name: os.environ[name] for name in kept if name in os.environ}
    return own | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass
class Outcome:
    """The result of a run of the small suite."""

    code: int
    out: str
    err: str
    reports: Path

    @property
    def verdict(self) -> Verdict:
        """The verdict it wrote."""
        return Verdict.read(self.reports / "verdict.json")

    def check(self, name: str) -> CheckResult:
        """Return the one check whose node id holds `name`."""
        (found,) = [check for check in self.verdict.checks if name in check.node_id]
        return found


class Suite:
    """Checks in a folder of their own, run by a pytest of their own with every plugin of the project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports = folder / "reports"
        (folder / "conftest.py").write_bytes((ROOT / "conftest.py").read_bytes())
        (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
        for kind in ("smoke", "journeys", "vitals", "database"):
            (folder / "tests" / kind).mkdir(parents=True)

    def write(self, source: str, path: str = "tests/smoke/test_small.py") -> None:
        """Add a module of checks; names that every check needs are imported."""
        (self.folder / path).write_text(_HEADER + source, encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that `run` runs."""
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--reports={self.reports}", *arguments]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a run."""
        return environment_of_a_run() | dict(extra or {})

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Outcome:
        """Run it to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr, self.reports)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Return an empty small suite."""
    return Suite(tmp_path)


@dataclass
class Stub:
    """
    An HTTP server on loopback. answers: "METHOD /path" -> (status, headers, body); everything else is 404.

    seen: every request as "METHOD /path?query" with its headers, in order.
    """

    url: str = ""
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def json(self, route: str, body: str, status: int = 200, **headers: str) -> None:
        """Answer a route with JSON; a header's `_` is a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[route] = (status, {"content-type": "application/json"} | named, body.encode())


@contextmanager
def serving() -> Iterator[Stub]:
    """Serve a stub while the block runs."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            route = f"{self.command} {self.path}"
            stub.seen.append((route, {name.lower(): value for name, value in self.headers.items()}))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = stub.answers.get(route.partition("?")[0], (404, {}, b"nothing here"))
            self.send_response(status)
            for name, value in ({"content-length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815  (its parent's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its parent's name)
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Serve a stub until the test ends."""
    with serving() as stub:
        yield stub


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Run one web application, with its database, for the module."""
    from tests.selftest.sandbox.running_app import run_app  # noqa: PLC0415  (half a second that few modules need)

    with run_app(tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest.fixture
def app(running: RunningApp) -> RunningApp:
    """Deploy a new healthy build."""
    running.deploy()
    return running


@pytest.fixture
def client(app: RunningApp) -> Iterator[httpx.Client]:
    """Lend a client of the application that is not signed in."""
    with app.client() as client:
        yield client
