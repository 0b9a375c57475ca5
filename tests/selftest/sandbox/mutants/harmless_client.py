"""A visitor and a student of one deployment, as plain programs, and everything that they must be able to do."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from fixtures.sandbox.mutants import Mutant, Rule
from tests.selftest.coroutines import run
from tests.selftest.sandbox.running_app import TRUSTED, RunningApp, sign_in

UNKNOWN = "0192f3a1-7c1e-4d5a-9b1f-2f6c7b1d9e11"
SESSION = "next-auth.session-token"
# An address of each area.
OF_AREA = {
    "pages": "/login",
    "api": "/api/courses",
    "files": "/images/icon.svg",
    "crawlers": "/robots.txt",
    "enrolments": "/api/enrollments",
}
PUBLIC_PAGES = {
    "/": "7p Platformuna Hoş Geldiniz!",
    "/login": "7P Education Giriş",
    "/register": "Yeni hesap oluşturun",
}
OWN_PAGES = {"/dashboard": "Kayıtlı Kursların", "/marketplace": "Kurs Mağazası", "/settings": "Kişisel Bilgiler"}


class Client:
    """Asks the deployment; redirects are not followed, and no cookie is kept. session: the student's."""

    def __init__(self, app: RunningApp, session: str, client: httpx.Client) -> None:
        self.app = app
        self.session = session
        self.client = client

    def ask(self, method: str, path: str, *, student: bool = False, **given: Any) -> httpx.Response:  # noqa: ANN401
        """Ask as nobody, or as the student."""
        self.client.cookies.clear()
        own = {"cookie": f"{SESSION}={self.session}"} if student else {}
        return self.client.request(method, path, headers=own | given.pop("headers", {}), **given)

    def get(self, path: str, **given: Any) -> httpx.Response:  # noqa: ANN401
        """Ask by GET."""
        return self.ask("GET", path, **given)

    def route(self, route: str, *, student: bool = True, **given: Any) -> httpx.Response:  # noqa: ANN401
        """Ask a route of the API, by default as the student; its ids are those of a course, or unknown."""
        method, _, path = route.partition(" ")
        known = "/courses/{" in path or "/course/{" in path
        query = {"/api/courses/search": "?q=a", "/api/student/questions": f"?studentId={self.user_id}"}.get(path, "")
        return self.ask(
            method, path.replace("{id}", self.course["id"] if known else UNKNOWN) + query, student=student, **given
        )

    def seconds(self, path: str, *, student: bool = False) -> float:
        """Return how long an answer takes."""
        began = time.monotonic()
        self.get(path, student=student)
        return time.monotonic() - began

    def later(self, path: str, least: float) -> bool:
        """Whether no answer comes sooner."""
        return min(self.seconds(path, student=True) for _ in range(2)) >= least

    def cookie(self, name: str, path: str, *, student: bool = False) -> str:
        """Return the line that sets a cookie, "" where none does."""
        lines = self.get(path, student=student).headers.get_list("set-cookie")
        return next((line for line in lines if name in line.partition("=")[0]), "")

    def leads(self, path: str, *, student: bool = False) -> str:
        """Return the address to which a path leads, "" where it leads nowhere."""
        return str(self.get(path, student=student).headers.get("location", ""))

    @cached_property
    def course(self) -> dict[str, Any]:
        """A course that has a price."""
        return self.app.course(free=False)

    @cached_property
    def user_id(self) -> str:
        """The id of the student."""
        email = self.app.accounts["student"].email
        return str(self.app.rows("SELECT id::text FROM public.users WHERE email = %s", email)[0][0])


@contextmanager
def asking(app: RunningApp, session: str) -> Iterator[Client]:
    """Lend a client, and put back the clock and the limits, which no deployment replaces."""
    limits, clock = dict(app.platform.limits.rules), app.platform.clock
    with httpx.Client(base_url=app.url, trust_env=False, timeout=10, verify=TRUSTED) as client:
        yield Client(app, session, client)
    app.platform.limits.rules, app.platform.clock = limits, clock


def new_session(app: RunningApp) -> str:
    """Sign the student in; every build of a module seals its sessions alike."""
    app.deploy()
    with app.client("student") as client:
        return client.cookies[SESSION]


def change(app: RunningApp, mutant: Mutant) -> None:
    """Make a mutant of the application as it runs."""
    if mutant.build is not None:
        mutant.build(app.build)
    elif mutant.sandbox is not None:
        stand_in: Any = SimpleNamespace(platform=app.platform)
        run(_awaited(mutant.sandbox(stand_in)))


async def _awaited(work: Awaitable[None]) -> None:
    await work


def own_rules(*modules: ModuleType) -> dict[str, Rule]:
    """Return the rules that these modules define, by name."""
    return {rule.name: rule for module in modules for rule in vars(module).values() if isinstance(rule, Rule)}


def samples(rules: Iterable[Rule]) -> list[tuple[Rule, Mutant]]:
    """Return each rule with its first and its last mutant."""
    found = []
    for rule in rules:
        first, *others = rule.mutants()
        found += [(rule, mutant) for mutant in (first, *others[-1:])]
    return found


def subject_of(rule: Rule, mutant: Mutant) -> Any:  # noqa: ANN401  (each table knows its own)
    """Return the subject of a mutant."""
    return next(part for part in rule.subjects if f"{rule.name}/{part.name}" == mutant.name)


def lost(client: Client) -> list[str]:
    """Return one line for each thing that a visitor or the student cannot do any more; none on a healthy build."""
    return [
        f"{what}: {problem}"
        for what, does in {"visitor": _visits, "student": _reads, "robot": _crawls}.items()
        for problem in does(client)
    ]


def _visits(client: Client) -> Iterator[str]:
    for path, says in PUBLIC_PAGES.items():
        answer = client.get(path)
        if answer.status_code != 200 or says not in html.unescape(answer.text):
            yield f"{path} answers {answer.status_code} without {says!r}"
    page = client.get("/login").text
    for address in re.findall(r'(?:src|href)="(/(?:_next|images)/[^"]+)"', page):
        name = urlsplit(address).path.rpartition("/")[2]
        answer = client.get(html.unescape(address))
        if answer.status_code != 200 or len(answer.content) < 100:
            yield f"{name} answers {answer.status_code} with {len(answer.content)} bytes"
    path, hops = "/dashboard", 0
    while (to := client.leads(path)) and hops < 5:
        path, hops = urljoin(path, to).removeprefix(client.app.url), hops + 1
    if not path.startswith("/login?callbackUrl=%2Fdashboard"):
        yield f"/dashboard leads to {path}"
    if client.get("/bilinmeyen").status_code != 404:
        yield "an unknown address is there"


def _reads(client: Client) -> Iterator[str]:
    for path, says in OWN_PAGES.items():
        answer = client.get(path, student=True, headers={"rsc": "1"})
        if answer.status_code != 200 or says not in html.unescape(answer.text):
            yield f"{path} answers {answer.status_code} without {says!r}"
    own = client.get("/api/auth/session", student=True).json()
    if own.get("user", {}).get("email") != client.app.accounts["student"].email:
        yield f"the session is of {own}"
    if client.get("/api/auth/session").json() != {}:
        yield "somebody is signed in without a session"
    listed = client.get("/api/courses?limit=100").json()["data"]["courses"]
    titles = sorted(row[0] for row in client.app.rows("SELECT title FROM public.courses WHERE published"))
    if sorted(course["title"] for course in listed) != titles:
        yield "the course list has other titles than the database"
    priced = {str(row[0]): row[1] for row in client.app.rows("SELECT id, price FROM public.courses WHERE published")}
    if any(float(priced[course["id"]]) != course["price"] for course in listed):
        yield "the course list has other prices than the database"
    refused = client.ask("POST", f"/api/courses/{client.course['id']}/enroll", student=True, json={})
    if not 400 <= refused.status_code < 500:
        yield f"a course that has a price is enrolled for nothing: {refused.status_code}"
    anonymous = client.get("/api/enrollments")
    if not 400 <= anonymous.status_code < 500 or "enrollments" in anonymous.text:
        yield f"the enrolments are shown to everybody: {anonymous.status_code}"


def _crawls(client: Client) -> Iterator[str]:
    index = re.findall(r"<loc>([^<]+)", client.get("/sitemap.xml").text)
    places = {
        place for address in index for place in re.findall(r"<loc>([^<]+)", client.get(urlsplit(address).path).text)
    }
    slugs = {str(row[0]) for row in client.app.rows("SELECT slug FROM public.courses WHERE published")}
    missing = slugs - {place.rpartition("/")[2] for place in places}
    if missing:
        yield f"the maps lack {missing}"
    if f"Sitemap: {client.app.url}/sitemap.xml" not in client.get("/robots.txt").text:
        yield "the file for robots names no map"


def signs_in(client: Client) -> list[str]:
    """Return what goes wrong when the student signs in with a wrong and with the right password, and signs out."""
    account, problems = client.app.accounts["student"], []
    with httpx.Client(base_url=client.app.url, trust_env=False, timeout=10, verify=TRUSTED) as own:
        refused = sign_in(own, account.email, "wrong")
        if not 400 <= refused.status_code < 500 or own.get("/api/auth/session").json() != {}:
            problems.append(f"a wrong password is answered with {refused.status_code}")
        accepted = sign_in(own, account.email, account.password)
        if (
            accepted.status_code != 200
            or own.get("/api/auth/session").json().get("user", {}).get("email") != account.email
        ):
            problems.append(f"the right password is answered with {accepted.status_code}")
        token = own.get("/api/auth/csrf").json()["csrfToken"]
        own.post("/api/auth/signout", data={"csrfToken": token, "json": "true"})
        if own.get("/api/auth/session").json() != {}:
            problems.append("signing out does not end the session")
    return problems


Shows = Callable[[Client, Any], bool]
