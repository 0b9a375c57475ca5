"""Sessions, the ledger and its janitor, against a loopback platform that speaks NextAuth and enrolments."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import cast
from urllib.parse import parse_qs

import httpx
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.evidence import NotApplicable, NotMeasured
from fixtures.model import redaction
from fixtures.run.current_run import RUN, Run
from fixtures.run.rate_limits import BudgetSpentError
from fixtures.site import leftovers
from fixtures.site.accounts import Sessions, clean_up, sign_in
from fixtures.site.catalogue import Course
from fixtures.site.client import Site, new_client
from fixtures.site.leftovers import Enrolment, Ledger
from fixtures.target.plugin import DEFAULT_SIDE, TARGET
from fixtures.target.sandbox_handle import Account
from fixtures.target.target import Target
from fixtures.target.variants import Side

STUDENT = Account("ogrenci@7peducation.test", "Gizli-Parola-42", "student")
COURSE = Course("c-free", "Fiyatın Psikolojisi", 0)


@dataclass
class Platform:
    """What the loopback platform knows; a test changes it by assignment."""

    url: str = ""
    password: str = STUDENT.password
    sign_ins: int = 0
    sessions: set[str] = field(default_factory=set)
    enrolments: dict[str, str] = field(default_factory=dict)
    cancel_status: int = 200
    free_enrolment: bool = True
    lessons: dict[str, int] = field(default_factory=lambda: {"c-paid": 9, "c-short": 4, "c-free": 5})


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        platform = self.server.platform
        if self.path == "/api/auth/csrf":
            return self._answer({"csrfToken": "token"}, cookie="next-auth.csrf-token=token%7Chash; Path=/; HttpOnly")
        if self.path == "/api/auth/session":
            return self._answer({"user": {"email": STUDENT.email}} if self._session() in platform.sessions else {})
        if self.path == "/api/enrollments":
            if self._session() not in platform.sessions:
                return self._answer({"error": "Oturum açmanız gerekiyor"}, 401)
            rows = [{"id": key, "course_id": course} for key, course in platform.enrolments.items()]
            return self._answer({"success": True, "data": {"enrollments": rows, "total": len(rows)}})
        if self.path in {"/api/health", "/api/courses"}:
            prices = {"c-paid": 99.5, "c-short": 0, "c-free": 0}
            listed = [key for key in prices if key in platform.lessons]
            courses = [{"id": key, "title": COURSE.title, "price": prices[key]} for key in listed]
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
            return self._answer({"url": f"{platform.url}/api/auth/signin?csrf=true"})
        token = f"session-{platform.sign_ins}"
        platform.sessions.add(token)
        return self._answer({"url": fields["callbackUrl"][0]}, cookie=f"next-auth.session-token={token}; Path=/")

    def do_DELETE(self) -> None:
        platform = self.server.platform
        if platform.cancel_status == 200:
            del platform.enrolments[self.path.rpartition("/")[2]]
        return self._answer({"success": platform.cancel_status == 200}, platform.cancel_status)

    def _session(self) -> str:
        morsel = SimpleCookie(self.headers.get("cookie", "")).get("next-auth.session-token")
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


SideOf = Callable[..., tuple[Site, Sessions]]


@pytest.fixture
def on_side(platform: Platform, own_run: Run, own_target: Target) -> Iterator[SideOf]:
    """Return what opens a side: its site and its sessions, as another process of the same run would."""
    with new_client() as client:

        def open_side(name: str = "target", deployment: str = "dpl_1") -> tuple[Site, Sessions]:
            side = Side(name=name, url=platform.url, deployment_id=deployment)
            site = Site(client, own_target, side, own_run, lambda _: None)
            return site, Sessions(site, own_target, side, own_run)

        yield open_side


def test_sign_in_returns_the_session_and_takes_one_from_the_budget(on_side: SideOf, own_run: Run) -> None:
    """The CSRF pair first, then the credentials; the session cookie is kept and never printed."""
    site, _ = on_side()
    cookies = sign_in(site, STUDENT)

    assert cookies == {"next-auth.session-token": "session-1"}
    assert own_run.spent()["sign-ins"] == 1
    assert redaction.mask("cookie session-1") == f"cookie {redaction.SHOWN}"


def test_refused_sign_in_that_answers_200_is_not_measured(on_side: SideOf, platform: Platform) -> None:
    """Only the session route tells; the message shows the exchange and no password."""
    platform.password = "another"  # noqa: S105  (a loopback platform's)
    site, _ = on_side()
    with pytest.raises(NotMeasured, match=r"could not be signed in: POST .* -> 200") as caught:
        sign_in(site, STUDENT)

    assert STUDENT.password not in str(caught.value)


def test_processes_of_a_run_share_one_sign_in(on_side: SideOf, platform: Platform, own_run: Run) -> None:
    """The platform allows five in a quarter of an hour, for the whole run."""
    with ThreadPoolExecutor(4) as pool:
        sessions = list(pool.map(lambda _: on_side()[1].of("student"), range(8)))

    assert platform.sign_ins == 1
    assert [session.cookies for session in sessions] == [{"next-auth.session-token": "session-1"}] * 8
    assert stat.S_IMODE((own_run.directory / "sessions.json").stat().st_mode) == 0o600


def test_side_that_honours_the_session_costs_no_sign_in(on_side: SideOf, platform: Platform) -> None:
    """Candidate and control share the secret, as a rule."""
    first = on_side("candidate", "dpl_1")[1].of("student")
    second = on_side("control", "dpl_0")[1].of("student")

    assert first.cookies == second.cookies
    assert platform.sign_ins == 1


def test_side_that_does_not_know_the_session_gets_its_own(on_side: SideOf, platform: Platform) -> None:
    """With another secret the shared session would turn the wrong side red."""
    on_side("candidate", "dpl_1")[1].of("student")
    platform.sessions.clear()
    second = on_side("control", "dpl_0")[1].of("student")

    assert second.cookies == {"next-auth.session-token": "session-2"}


def test_failed_sign_in_is_not_tried_again_on_its_side(on_side: SideOf, platform: Platform) -> None:
    """Ten checks that need a session must not spend ten sign-ins to learn the same."""
    platform.password = "another"  # noqa: S105  (a loopback platform's)
    for _ in range(3):
        with pytest.raises(NotMeasured, match="could not be signed in"):
            on_side()[1].of("student")
    assert platform.sign_ins == 1

    platform.password = STUDENT.password
    assert on_side("target", "dpl_0")[1].of("student").cookies == {"next-auth.session-token": "session-2"}


def test_sign_ins_end_before_the_platform_refuses_them(on_side: SideOf, platform: Platform) -> None:
    """A 429 would be our own fault, and would say nothing of the deployment."""
    for number in range(5):
        platform.sessions.clear()
        on_side("target", f"dpl_{number}")[1].of("student")
    platform.sessions.clear()
    with pytest.raises(BudgetSpentError):
        on_side("target", "dpl_6")[1].of("student")

    assert platform.sign_ins == 5


def test_missing_role_is_not_measured(on_side: SideOf) -> None:
    """A target without that account cannot be asked as it."""
    with pytest.raises(NotMeasured, match="the target loopback has no account admin"):
        on_side()[1].of("admin")


def test_free_course_can_still_be_cancelled_after_a_lesson(on_side: SideOf, own_target: Target) -> None:
    """Below a quarter of its lessons the platform lets go: the journey must not choose what it cannot undo."""
    site, _ = on_side()

    assert leftovers.find_free_course(site, own_target) == COURSE


def test_shop_without_a_free_course_is_not_measured(on_side: SideOf, platform: Platform, own_target: Target) -> None:
    """Nothing is broken when nothing is given away."""
    platform.lessons["c-free"] = 4
    with pytest.raises(NotMeasured, match="publish one"):
        leftovers.find_free_course(on_side()[0], own_target)


def test_nobody_looks_for_a_free_course_while_free_enrolment_is_off(
    on_side: SideOf, platform: Platform, own_target: Target
) -> None:
    """A flag that is off is a choice of the platform, and no journey that broke."""
    platform.free_enrolment = False
    with pytest.raises(NotApplicable, match="free enrolment is off"):
        leftovers.find_free_course(on_side()[0], own_target)


def test_an_empty_shop_is_right_only_where_the_target_says_so(
    on_side: SideOf, platform: Platform, own_target: Target
) -> None:
    """A new database has no course; anywhere else nobody can tell whether there are none or none are shown."""
    platform.lessons = {}
    with pytest.raises(NotMeasured, match="give loopback empty-catalogue"):
        leftovers.find_free_course(on_side()[0], own_target)
    with pytest.raises(NotApplicable, match="as loopback allows"):
        leftovers.find_free_course(on_side()[0], replace(own_target, capabilities=frozenset({"empty-catalogue"})))


def test_cancelling_is_proved_by_reading(on_side: SideOf, platform: Platform) -> None:
    """Only the course that was named is left."""
    site, sessions = on_side()
    platform.enrolments = {"e-1": "c-paid", "e-2": COURSE.id}

    assert leftovers.cancel(site, sessions.of("student").cookies, COURSE) is None
    assert platform.enrolments == {"e-1": "c-paid"}
    assert leftovers.cancel(site, sessions.of("student").cookies, COURSE) is None


def test_what_cannot_be_cancelled_says_why(on_side: SideOf, platform: Platform) -> None:
    """A refusal, or a list that cannot be read, is a line for a person."""
    site, sessions = on_side()
    cookies = sessions.of("student").cookies
    platform.enrolments, platform.cancel_status = {"e-2": COURSE.id}, 400

    assert "DELETE " in str(leftovers.cancel(site, cookies, COURSE))
    assert " -> 400 in " in str(leftovers.cancel(site, cookies, COURSE))
    assert "/api/enrollments -> 401" in str(leftovers.cancel(site, {}, COURSE))


def test_ledger_outlives_the_run_until_it_is_empty(own_run: Run, tmp_path: Path) -> None:
    """A run that is killed between the write and the clean-up leaves its announcement to the next one."""
    entry = Enrolment(target="loopback", url="http://x", role="student", course=COURSE)
    Ledger(own_run).add(entry)
    Ledger(own_run).add(entry)
    (tmp_path / "next").mkdir()
    later = Ledger(Run(id="r2", stage="daily", directory=tmp_path / "next", reports=own_run.reports))

    assert later.entries() == [entry]
    later.remove(entry)
    assert later.entries() == []
    assert not later.path.exists()


@pytest.fixture
def config(platform: Platform, own_run: Run, own_target: Target) -> pytest.Config:
    """Return as much of a session's configuration as the janitor reads."""
    stash = pytest.Stash()
    stash[RUN], stash[TARGET] = own_run, own_target
    stash[DEFAULT_SIDE] = Side(name="target", url=platform.url, deployment_id="dpl_1")
    return cast("pytest.Config", SimpleNamespace(stash=stash))


def _announce(run: Run, target: Target, name: str | None = None, role: str = "student") -> Enrolment:
    entry = Enrolment(target=name or target.name, url=target.url, role=role, course=COURSE)
    Ledger(run).add(entry)
    return entry


def test_janitor_removes_what_this_run_and_earlier_ones_announced(
    config: pytest.Config, platform: Platform, own_run: Run, own_target: Target
) -> None:
    """Afterwards neither the platform nor the ledger knows of it; another target's entries wait for their run."""
    platform.enrolments = {"e-1": "c-paid", "e-2": COURSE.id}
    _announce(own_run, own_target)
    others = _announce(own_run, own_target, name="elsewhere")

    assert clean_up(config) == []
    assert platform.enrolments == {"e-1": "c-paid"}
    assert Ledger(own_run).entries() == [others]


def test_janitor_names_what_is_left_and_keeps_it(
    config: pytest.Config, platform: Platform, own_run: Run, own_target: Target
) -> None:
    """Somebody has to be told, and the next run has to try again."""
    platform.enrolments, platform.cancel_status = {"e-2": COURSE.id}, 400
    entry = _announce(own_run, own_target)
    lines = clean_up(config)

    assert [line.partition(": DELETE ")[0] for line in lines] == [
        f"student is still enrolled in {COURSE.title} on {platform.url}"
    ]
    assert Ledger(own_run).entries() == [entry]


def test_janitor_that_cannot_sign_in_says_so(config: pytest.Config, own_run: Run, own_target: Target) -> None:
    """An account that is gone cannot clean up after itself."""
    _announce(own_run, own_target, role="other_student")

    assert [line.rpartition(": ")[2] for line in clean_up(config)] == [
        "the target loopback has no account other_student"
    ]


def test_janitor_forgets_a_sandbox_that_has_ended(config: pytest.Config, own_run: Run) -> None:
    """Its database went with it; nothing is asked and nothing is started."""
    _announce(own_run, Target(name="sandbox", url="http://127.0.0.1:1", mode="act"))
    config.stash[TARGET] = Target(name="sandbox", url="sandbox", mode="act")

    assert clean_up(config) == []
    assert Ledger(own_run).entries() == []


def test_answers_that_nobody_gave_are_named(own_run: Run, own_target: Target) -> None:
    """The clean-up of an unreachable platform reports, and does not raise."""
    seen: list[Answer] = []
    with httpx.Client(trust_env=False) as client:
        side = Side(name="target", url="http://127.0.0.1:1")
        site = Site(client, own_target, side, own_run, seen.append)

        assert "no answer: refused" in str(leftovers.cancel(site, {}, COURSE))
    assert [answer.trouble for answer in seen] == ["refused"]
