"""Requests of a user, of a machine or of an attacker on a deployed build, for the oracles of the mutants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any

import httpx

from fixtures.sandbox import mutants
from fixtures.sandbox.app.sessions import User, session_token
from fixtures.sandbox.mutants.mutant import Rule
from fixtures.sandbox.mutants.served import File, Served
from tests.selftest.sandbox.running_app import TRUSTED, RunningApp

SESSION = "next-auth.session-token"
SECRET = "0123456789abcdef" * 2
PATIENCE_S = 1.5


@dataclass
class Answer:
    """An answer as a client sees it; status 0: none came, or nobody can read it."""

    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    content: bytes = b""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", errors="replace")

    @property
    def type(self) -> str:
        """The content type without its parameters."""
        return str(self.headers.get("content-type", "")).partition(";")[0]

    @property
    def json(self) -> Any:  # noqa: ANN401
        """The body as JSON; None when it is none or does not say so."""
        try:
            return httpx.Response(200, content=self.content).json() if self.type == "application/json" else None
        except ValueError:
            return None


class Asking:
    """Asks one running application, as anybody. Each request has its own connection and only the given cookies."""

    def __init__(self, app: RunningApp) -> None:
        self.app = app

    @cached_property
    def users(self) -> dict[str, User]:
        """The accounts by their names, as sessions have them."""
        found = {}
        for name, account in self.app.accounts.items():
            (row,) = self.app.rows(
                "SELECT id::text, email, full_name, role::text FROM public.user_profiles WHERE email = %s",
                account.email,
            )
            found[name] = User(row[0], row[1], row[2], None, row[3], None)
        return found

    def session(self, account: str, *, ended: bool = False, secret: str = SECRET) -> str:
        """Return a session cookie of an account. ended: of one that ended yesterday."""
        return session_token(self.users[account], secret, time.time() + (-86_400 if ended else 3600))

    @cached_property
    def own(self) -> dict[str, str]:
        """The student's course, enrolment, module and lesson, and another student's enrolment."""
        (row,) = self.app.rows(
            """
            SELECT c.id::text, c.slug, e.id::text, m.id::text, l.id::text,
                   (SELECT o.id::text FROM public.enrollments o WHERE o.user_id <> e.user_id ORDER BY o.id LIMIT 1)
              FROM public.enrollments e JOIN public.courses c ON c.id = e.course_id
              JOIN public.course_modules m ON m.course_id = c.id JOIN public.course_lessons l ON l.module_id = m.id
             WHERE e.user_id::text = %s ORDER BY e.progress_percentage DESC, m.order_index, l.order_index LIMIT 1
            """,
            self.users["student"].id,
        )
        return dict(zip(("id", "slug", "enrolment", "module", "lesson", "foreign"), row, strict=True))

    def address(self, route: str) -> str:
        """Return the address of a route, its names filled in with what the student has."""
        path, own = route.partition(" ")[2], self.own
        course = self.app.course(free=False)["id"] if route.endswith("/purchase") else own["id"]
        course = own["enrolment"] if "/enrollments/" in route else course
        path = path.replace("{id}", course).replace("{name}", "courses")
        for name in ("slug", "module", "lesson"):
            path = path.replace(f"{{{name}}}", own[name])
        queries = {
            "/api/progress/update": f"?courseId={own['id']}",
            "/api/progress/course-stats": f"?courseId={own['id']}",
            "/api/student/questions": f"?studentId={self.users['student'].id}",
            "/api/courses/search": "?q=pazarlama",
        }
        return path + queries.get(path, "")

    def ask(
        self,
        method: str,
        address: str,
        account: str | None = None,
        *,
        cookies: Mapping[str, str] | None = None,
        patience: float = PATIENCE_S,
        **more: Any,  # noqa: ANN401
    ) -> Answer:
        """Send one request; an error of the network is an answer with the status 0."""
        self.app.platform.limits.spent.clear()
        jar = dict(cookies or {}) | ({SESSION: self.session(account)} if account else {})
        begun = time.perf_counter()
        try:
            with httpx.Client(base_url=self.app.url, trust_env=False, timeout=patience, verify=TRUSTED) as client:
                client.cookies.update(jar)
                answer = client.request(method, address, **more)
        except httpx.HTTPError:
            return Answer(seconds=time.perf_counter() - begun)
        return Answer(answer.status_code, answer.headers, answer.content, time.perf_counter() - begun)

    def get(self, part: Served | str, account: str | None = None, **more: Any) -> Answer:  # noqa: ANN401
        """Ask for a page, a route or a file. account: "" for nobody; default: who may see it."""
        if isinstance(part, File):
            folder = "/images/" if part.route.startswith("GET /images") else f"/_next/static/{self.app.build.id}/"
            return self.ask("GET", folder + part.name, **more)
        route = part if isinstance(part, str) else part.route
        who = self.visitor(part) if account is None else account
        return self.ask("GET", self.address(route), account=who or None, **more)

    def visitor(self, part: Served | str) -> str:
        """Return the account that may see a part; "" for everybody."""
        known = getattr(part, "visitor", "") or getattr(part, "role", "")
        return "" if known in {"everyone", ""} else known

    def content(self, page: Served, account: str | None = None, **more: Any) -> Answer:  # noqa: ANN401
        """Ask for what the script of a page puts into its shell."""
        headers = {"RSC": "1", **more.pop("headers", {})}
        return self.get(page, account, headers=headers, **more)

    def is_lost(self, part: Served, account: str | None = None, **more: Any) -> bool:  # noqa: ANN401
        """Whether a visitor does not get what the part promises: a page that can run, JSON with data, the file."""
        answer = self.get(part, account, **dict(more))
        if answer.status != 200:
            return True
        if isinstance(part, File):
            # The build writes two addresses into its scripts, so that only the length can be compared.
            cut = len(answer.content) < 0.9 * len(self.app.build.assets[part.name])
            return cut or not answer.type.endswith(_KINDS[part.name[-3:]])
        if part.route.startswith("GET /api/"):
            return answer.json is None or answer.json.get("success") is False
        if not hasattr(part, "client"):
            return len(answer.content) < 20
        if answer.type != "text/html" or f"/_next/static/{self.app.build.id}/app.css" not in answer.text:
            return True
        return part.client and not self._is_content(self.content(part, account, **dict(more)))

    def _is_content(self, answer: Answer) -> bool:
        return answer.status == 200 and answer.type == "text/x-component" and "<h" in answer.text

    def signs_in(self, account: str = "student", password: str = "") -> dict[str, str]:
        """Sign in as a browser does; return the cookies, without a session where it was refused."""
        known = self.app.accounts[account]
        with httpx.Client(base_url=self.app.url, trust_env=False, timeout=5, verify=TRUSTED) as client:
            token = client.get("/api/auth/csrf").json()["csrfToken"]
            fields = {"email": known.email, "password": password or known.password, "csrfToken": token}
            client.post("/api/auth/callback/credentials", data={**fields, "json": "true"})
            return dict(client.cookies)

    def at_once(self, asks: Iterable[Callable[[], Answer]]) -> list[Answer]:
        """Send requests at the same moment."""
        with ThreadPoolExecutor(8) as pool:
            return [job.result() for job in [pool.submit(ask) for ask in asks]]


_KINDS = {".js": "javascript", "css": "css", "svg": "svg+xml", "jpg": "jpeg"}
# One for each application: whom and what its database has is asked once.
_KNOWN: dict[str, Asking] = {}
Oracle = Callable[["Asking", Any], bool]
Table = Mapping[str, tuple[Any, ...]]


def samples(table: Table) -> list[tuple[str, str]]:
    """Return (rule, subject) for each sample of a table: rule -> (oracle, subject, …)."""
    return [(rule, subject) for rule, (_, *subjects) in table.items() for subject in subjects]


def prove(app: RunningApp, table: Table, rule: str, subject: str) -> None:
    """Check that the oracle of a rule sees nothing on a healthy build, and sees the effect on the mutant."""
    shows, part = table[rule][0], next(part for part in mutants.rules()[rule].subjects if part.name == subject)
    app.deploy()
    asking = _KNOWN.setdefault(app.url, Asking(app))
    assert not shows(asking, part), "the oracle condemns a healthy build"
    app.deploy()
    change = mutants.find(f"{rule}/{subject}").build
    assert change is not None
    change(app.build)
    assert shows(asking, part), "nobody notices the mutant"


def rules_of(*modules: ModuleType) -> set[str]:
    """Return the names of the rules that modules define."""
    return {rule.name for module in modules for rule in vars(module).values() if isinstance(rule, Rule)}
