"""A loopback platform that speaks NextAuth and enrolments, and a run of its own to ask it in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

from fixtures.run.current_run import Run
from fixtures.site.accounts import Sessions
from fixtures.site.catalogue import Course
from fixtures.site.client import Site, new_client
from fixtures.target.sandbox_handle import Account
from fixtures.target.target import Target
from fixtures.target.variants import Variant

STUDENT = Account("ogrenci@7peducation.test", "Gizli-Parola-42", "student")
COURSE = Course("c-free", "Fiyatın Psikolojisi", 0)


@dataclass
class Platform:
    """
    State of the loopback platform; a test changes it by assignment.

    cookie: the name of its session.  refusal, refused_to: status of every answer to the sign-in form, and the path
    that a refusal leads to.
    """

    url: str = ""
    password: str = STUDENT.password
    cookie: str = "next-auth.session-token"
    refusal: int = 200
    refused_to: str = "/api/auth/error?error=CredentialsSignin"
    sign_ins: int = 0
    sessions: set[str] = field(default_factory=set)
    enrolments: dict[str, str] = field(default_factory=dict)
    cancel_status: int = 200
    free_enrolment: bool = True
    prices: dict[str, float] = field(default_factory=lambda: {"c-paid": 99.5, "c-short": 0, "c-free": 0})
    lessons: dict[str, int] = field(default_factory=lambda: {"c-paid": 9, "c-short": 4, "c-free": 5})


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        platform = self.server.platform
        if self.path == "/api/auth/csrf":
            return self._answer({"csrfToken": "token"}, cookie="next-auth.csrf-token=token%7Chash; Path=/; HttpOnly")
        if self.path == "/api/auth/session":
            return self._answer({"user": {"email": STUDENT.email}} if self._session() in platform.sessions else {})
        if self.path == "/api/enrollments?limit=50":
            if self._session() not in platform.sessions:
                return self._answer({"error": "Oturum açmanız gerekiyor"}, 401)
            rows = [{"id": key, "course_id": course} for key, course in platform.enrolments.items()]
            return self._answer({"success": True, "data": {"enrollments": rows, "total": len(rows)}})
        if self.path in {"/api/health", "/api/courses"}:
            listed = [key for key in platform.prices if key in platform.lessons]
            courses = [{"id": key, "title": COURSE.title, "price": platform.prices[key]} for key in listed]
            flag = {"freeEnrollmentEnabled": platform.free_enrolment}
            return self._answer({"success": True, "data": {"courses": courses}} | flag)
        count = platform.lessons[self.path.rpartition("/")[2]]
        modules = [{"lessons": [{"id": 1}] * (count - 1)}, {"lessons": [{"id": 2}]}]
        return self._answer({"success": True, "data": {"modules": modules}})

    def do_POST(self) -> None:
        platform = self.server.platform
        fields = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        platform.sign_ins += 1
        if fields["password"] != [platform.password] or "csrf-token=token" not in self.headers["cookie"]:
            return self._answer({"url": f"{platform.url}{platform.refused_to}"}, platform.refusal)
        token = f"session-{platform.sign_ins}"
        platform.sessions.add(token)
        cookie = f"{platform.cookie}={token}; Path=/"
        return self._answer({"url": fields["callbackUrl"][0]}, platform.refusal, cookie)

    def do_DELETE(self) -> None:
        platform = self.server.platform
        if platform.cancel_status == 200:
            del platform.enrolments[self.path.rpartition("/")[2]]
        return self._answer({"success": platform.cancel_status == 200}, platform.cancel_status)

    def _session(self) -> str:
        morsel = SimpleCookie(self.headers.get("cookie", "")).get(self.server.platform.cookie)
        return morsel.value if morsel else ""

    def _answer(self, content: object, status: int = 200, cookie: str | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if cookie:
            self.send_header("set-cookie", cookie)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


class _Server(ThreadingHTTPServer):
    platform: Platform


@pytest.fixture
def platform() -> Iterator[Platform]:
    """Run the platform for one test."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.platform = Platform(url=f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.platform
        server.shutdown()
        thread.join()


@pytest.fixture
def own_run(tmp_path: Path) -> Run:
    """Return a run whose directory and reports are this test's."""
    (tmp_path / "run").mkdir(mode=0o700)
    return Run(id="r", stage="postdeploy", directory=tmp_path / "run", reports=tmp_path / "reports")


@pytest.fixture
def own_target(platform: Platform) -> Target:
    """Return a target with one student."""
    return Target(name="loopback", url=platform.url, mode="shadow", accounts={"student": STUDENT})


VariantOf = Callable[..., tuple[Site, Sessions]]


@pytest.fixture
def on_variant(platform: Platform, own_run: Run, own_target: Target) -> Iterator[VariantOf]:
    """Return what opens a variant, with its site and sessions, as another process of the same run would."""
    with new_client() as client:

        def open_variant(name: str = "target", deployment: str = "dpl_1") -> tuple[Site, Sessions]:
            variant = Variant(name=name, url=platform.url, deployment_id=deployment)
            site = Site(client, own_target, variant, own_run, lambda _: None)
            return site, Sessions(site)

        yield open_variant
