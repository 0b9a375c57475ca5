"""Secrets that the target echoes in every encoding and every place: none of them may reach an artifact."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

from starlette.responses import JSONResponse, RedirectResponse, Response

from ci.bench.attacks.arena import Arena, Seen
from ci.bench.attacks.attack import Attack, Break, Right
from ci.bench.attacks.spellings import ENCODERS, artifacts, found_in
from fixtures.sandbox.app.call import Build, Call, Handler
from fixtures.sandbox.sandbox import Sandbox

_RED = Right(("rollback", "incident", "escalate", "hold", "alert"), seconds=180)
_ANY = Right(("keep", "alert", "rollback", "incident", "escalate", "hold"), seconds=180)


def secrets_of(sandbox: Sandbox) -> dict[str, str]:
    """Return every secret that a run on this sandbox knows -> its description."""
    handle = sandbox.handle
    values = dict.fromkeys(filter(None, handle.secrets()), "a secret of the target")
    for account in handle.accounts.values():
        values[account.password] = f"the password of the {account.role}"
        values[account.email] = f"the address of the {account.role}"
    for dsn in (handle.database_dsn, handle.dump_dsn, handle.pooler_dsn):
        values[urlsplit(dsn).password or ""] = "a password of the database"
    values[urlsplit(handle.sinks["slack"]).path] = "the path of Slack's webhook"
    values[handle.expired_session] = "the session of yesterday"
    return {value: what for value, what in values.items() if value}


class _Echo:
    """
    A build that sends secrets back, in one encoding, in one place of its answers.

    sessions: the session cookies that the run has sent; they are secrets as well.
    """

    def __init__(self, encode: Callable[[str], str], place: str) -> None:
        self.encode, self.place = encode, place
        self.secrets: dict[str, str] = {}
        self.sessions: dict[str, str] = {}

    def build(self, build: Build) -> None:
        """Wrap every request of the candidate."""
        build.around.append(self._around)

    async def sandbox(self, sandbox: Sandbox) -> None:
        """Learn the secrets of this sandbox."""
        self.secrets = secrets_of(sandbox)

    def proof(self, arena: Arena, seen: Seen) -> list[str]:
        """Search for the sessions of the run; the bench searches for the other secrets after every attack."""
        return search(arena, seen, self.sessions)

    async def _spelled(self, call: Call) -> list[str]:
        # What is no session, a check has invented.
        is_signed_in = await call.session() is not None
        token = call.request.cookies[call.cookies.session] if is_signed_in else None
        if token:
            self.sessions[token] = "a session of the run"
        return [self.encode(value) for value in [*self.secrets, *([token] if token else [])]]

    async def _around(self, call: Call, handler: Handler) -> Response:
        spelled = await self._spelled(call)
        path = call.request.url.path
        if path == "/api/courses" or (path == "/courses" and self.place == "page"):
            return self._refusal(spelled)
        response = await handler(call)
        if path in {"/", "/login", "/dashboard"} and response.status_code == 200:  # noqa: PLR2004
            self._mark(response, spelled)
        return response

    def _refusal(self, spelled: list[str]) -> Response:
        text = " ".join(spelled)
        if self.place == "page":
            return Response(f"<title>{text}</title><h1>{text}</h1>", 500, media_type="text/html")
        if self.place == "redirect":
            return RedirectResponse(f"/courses?next={quote(text, safe='%')[:6000]}", 307)
        if self.place == "key":
            return JSONResponse(dict.fromkeys(spelled, 1), 500)
        if self.place == "cut":
            # A report cuts a long answer: wherever the cut is, it goes through a secret.
            filler = "x" * 60
            return JSONResponse({"error": "".join(f"{filler}{value}" for value in spelled)}, 500)
        if self.place == "raw":
            return Response(f'{{"error": "{text}"', 500, media_type="application/json")
        return JSONResponse({"success": False, "error": text}, 500)

    def _mark(self, response: Response, spelled: list[str]) -> None:
        if self.place == "header":
            for number, value in enumerate(spelled):
                response.headers[f"x-echo-{number}"] = quote(value, safe="%\\&;#:/+=@!$ ")
        elif self.place == "cookie":
            for number, value in enumerate(spelled):
                response.set_cookie(f"echo{number}", quote(value, safe="%"))
        elif self.place in {"console", "error", "title", "link"}:
            script = {
                "console": f"{json.dumps(spelled)}.forEach(one => console.error(one))",
                "error": f"{json.dumps(spelled)}.forEach(one => setTimeout(() => {{ throw new Error(one) }}))",
                "title": f"document.title = {json.dumps(' '.join(spelled))}",
                "link": f"{json.dumps(spelled)}.forEach(one => fetch('/missing/' + encodeURIComponent(one)))",
            }[self.place]
            body = bytes(response.body).replace(b"</body>", f"<script>{script}</script></body>".encode())
            response.body = body
            response.headers["content-length"] = str(len(body))
            # The page's own policy would block the script.
            response.headers["content-security-policy"] = "default-src * 'unsafe-inline'"


def search(arena: Arena, seen: Seen, wanted: dict[str, str]) -> list[str]:
    """Search the terminal, the messages to Slack, and every file of the reports and of the state."""

    def texts() -> Iterator[tuple[str, bytes]]:
        yield "the terminal", seen.out.encode()
        yield "its errors", seen.err.encode()
        yield "the messages to Slack", json.dumps(arena.sandbox.sinks.slack.messages, ensure_ascii=False).encode()
        for folder in (arena.reports, arena.folder / "state"):
            yield from artifacts(folder)

    found = found_in(wanted, texts())
    return found[:12] + ([f"and {len(found) - 12} more places"] if len(found) > 12 else [])  # noqa: PLR2004


def _attack(summary: str, spelling: str, place: str, right: Right = _RED, fault: str | None = None) -> Attack:
    echo = _Echo(ENCODERS[spelling], place)
    breaks = Break(build=echo.build, sandbox=echo.sandbox)
    return Attack(summary=summary, right=right, breaks=breaks, fault=fault, proof=echo.proof)


def _named() -> Iterator[tuple[str, Attack]]:
    for spelling in ENCODERS:
        summary = f"errors of the API echo every secret: {spelling}"
        yield f"spelling-{spelling}", _attack(summary, spelling, "body")
    for place in ("page", "redirect", "key", "cut", "raw", "header", "cookie", "console", "error", "title", "link"):
        yield f"place-{place}", _attack(f"every secret is echoed, plain: {place}", "plain", place)
    for spelling in ("percent", "base64", "json", "html-hex"):
        for place in ("console", "cut", "redirect"):
            summary = f"every secret is echoed: {place}, {spelling}"
            yield f"place-{place}-{spelling}", _attack(summary, spelling, place)
    for fault in (None, "pages-500", "signin-loop", "health-database-false"):
        name = fault or "healthy"
        yield f"ordinary-{name}", Attack(summary=f"nothing is echoed: {name}", right=_ANY, fault=fault)


ATTACKS = dict(_named())
