"""The web application over a real database, in a thread of its own, so that a test asks it as any client would."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import msgspec
import psycopg
from starlette.types import Receive, Scope, Send

from fixtures.sandbox.app.application import Application, healthy_build
from fixtures.sandbox.app.call import Build, Platform
from fixtures.sandbox.app.database import Database
from fixtures.sandbox.database.postgres import Postgres
from fixtures.sandbox.database.seed_accounts import give_passwords
from fixtures.sandbox.edge.listeners import Listeners
from fixtures.sandbox.vendors.sinks import Sinks
from fixtures.target.sandbox_handle import Account

DEPLOYMENT = "dpl_selftest"
# Shared, since each client would read the system's certificates anew, for addresses that are all plain http.
TRUSTED = ssl.create_default_context()


@dataclass
class RunningApp:
    """
    One deployment of one build; replace `build`, or change it in place.

    enrolment_code, webhook_secret: what the build expects.  dsn: a superuser's, to look behind the application.
    """

    platform: Platform
    sinks: Sinks
    dsn: str
    accounts: Mapping[str, Account]
    enrolment_code: str = field(default_factory=lambda: secrets.token_hex(8))
    webhook_secret: str = field(default_factory=lambda: f"whsec_{secrets.token_hex(16)}")
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    url: str = ""
    build: Build = field(default_factory=Build)

    def deploy(self, payments_mode: str = "stripe") -> None:
        """Serve a new healthy build; reset the rate limits and Stripe."""
        self.build = healthy_build(
            production_url=self.url,
            secret="0123456789abcdef" * 2,
            enrolment_code=self.enrolment_code,
            stripe_webhook_secret=self.webhook_secret,
            payments_mode=payments_mode,
        )
        if payments_mode == "stripe":
            self.build.environment["STRIPE_SECRET_KEY"] = self.sinks.stripe.secret_key
        self.sinks.stripe.failure = None
        self.platform.limits.spent.clear()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request: the edge's work, without the edge."""
        await Application(self.platform)({**scope, "deployment_id": DEPLOYMENT, "build": self.build}, receive, send)

    @contextmanager
    def client(self, account: str | None = None) -> Iterator[httpx.Client]:
        """Lend a client with its own cookies, signed in as one of `accounts`. Redirects are not followed."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10, verify=TRUSTED) as client:
            if account is not None:
                known = self.accounts[account]
                answer = sign_in(client, known.email, known.password)
                assert answer.status_code == HTTPStatus.OK, answer.text
            yield client

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement as superuser; return its rows, none when it has none."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def course(self, *, free: bool) -> dict[str, Any]:
        """Return id and slug of a published course that has a price, or none."""
        condition = "price = 0" if free else "price > 0"
        row = self.rows(f"SELECT id::text, slug FROM public.courses WHERE published AND {condition} ORDER BY slug")[0]  # noqa: S608
        return dict(zip(("id", "slug"), row, strict=True))

    def lessons(self, course_id: str) -> list[tuple[str, str]]:
        """Return (module id, lesson id) in the order of the curriculum."""
        statement = """
            SELECT m.id::text, l.id::text
              FROM public.course_lessons l JOIN public.course_modules m ON m.id = l.module_id
             WHERE m.course_id = %s ORDER BY m.order_index, l.order_index
        """
        return [(module, lesson) for module, lesson in self.rows(statement, course_id)]

    def sign_event(self, event: object, *, secret: str | None = None, age: float = 0) -> tuple[bytes, str]:
        """Return the body of a Stripe event, and the signature of an event `age` seconds old."""
        body, stamp = msgspec.json.encode(event), int(time.time() - age)
        key = (secret or self.webhook_secret).encode()
        signature = hmac.new(key, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return body, f"t={stamp},v1={signature}"


def sign_in(client: httpx.Client, email: str, password: str, **fields: str) -> httpx.Response:
    """Sign in as NextAuth's own client does: the CSRF token, then the credentials. fields: further form fields."""
    token = client.get("/api/auth/csrf").json()["csrfToken"]
    form = {"csrfToken": token, "email": email, "password": password, "json": "true", **fields}
    return client.post("/api/auth/callback/credentials", data=form)


@contextmanager
def run_app(directory: Path) -> Iterator[RunningApp]:
    """Start PostgreSQL, the third parties and the application; everything is closed afterwards."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)

    def do(work: Any) -> Any:  # noqa: ANN401  # any coroutine and its result
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    with ExitStack() as ends:
        postgres = Postgres.start(directory)
        ends.callback(postgres.stop)
        thread.start()
        ends.callback(loop.close)
        ends.callback(thread.join)
        ends.callback(loop.call_soon_threadsafe, loop.stop)
        listeners, sinks = Listeners(), Sinks()
        ends.callback(lambda: do(listeners.close()))
        do(sinks.open(listeners))
        database = Database(postgres.dsn("platform_app"))
        ends.callback(lambda: do(database.close()))
        platform = Platform(database, sinks.stripe_listener.url)
        accounts = give_passwords(postgres.superuser_dsn)
        app = RunningApp(platform, sinks, postgres.superuser_dsn, accounts, loop=loop)
        app.url = do(listeners.open(app.serve)).url
        app.deploy()
        yield app
