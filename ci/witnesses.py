"""
Looks for a cause where there is no control: asks the vendors themselves, and sees which routes still answer.

Which routes a missing variable takes down is in `_PATTERNS`. No rule here blames a deployment: that takes pairs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import httpx

from ci.causes import Attribution, Circumstances
from ci.error_rate import errors_of
from ci.web import new_client
from fixtures.model.verdict import Cause, CheckResult
from fixtures.run.network import is_local
from fixtures.target.target import Target
from fixtures.target.variants import Variant, headers_for

_TIMEOUT = 3.0
_STRIPE = "https://api.stripe.com"
_URL = re.compile(r"https://[a-z0-9]{20}\.supabase\.co")
_KEY = re.compile(r"sb_publishable_[\w-]{20,60}|eyJ[\w-]{20,200}\.eyJ[\w-]{20,400}\.[\w-]{20,100}")
_SCRIPT = re.compile(r"""<script[^>]+src=["']([^"']+)""")
_MOST_SCRIPTS = 12
_KEY_REFUSED = "the public key of the build is refused (401)"
_FAILED = re.compile(r"\b[A-Z]+ (https?://[^\s/]+)\S* -> (?:5\d\d\b|no answer)")


class Answer(Enum):
    """How a route answers."""

    FINE = "answers"
    # A page of the framework with status 500: the code of the route could not be loaded.
    CRASHED = "crashes"
    FAILED = "fails"


_FINE, _CRASHED, _FAILS = Answer.FINE, Answer.CRASHED, Answer.FAILED
_ROUTES = {
    "sign-in": "/api/auth/session",
    "courses": "/api/courses",
    "search": "/api/courses/search?q=7p",
    "payments": "/api/payments/history",
    "pages": "/login",
}
_STRIPE_VARIABLES = ("STRIPE_SECRET_KEY", "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET")
# The variables that are checked when the code of a route is loaded, by the routes that crash without them.
_PATTERNS: tuple[tuple[dict[str, Answer], tuple[str, ...]], ...] = (
    (
        {"sign-in": _CRASHED, "courses": _CRASHED, "search": _FINE, "pages": _FINE},
        ("NEXTAUTH_URL", "NEXTAUTH_SECRET", "SUPABASE_SERVICE_KEY"),
    ),
    (
        {"sign-in": _FINE, "courses": _CRASHED, "search": _CRASHED, "payments": _CRASHED, "pages": _FINE},
        ("NEXT_PUBLIC_SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_ANON_KEY"),
    ),
)


@dataclass(frozen=True)
class Heard:
    """
    The answers of vendors, routes and third parties.

    vendors: vendor -> the trouble of its own API, in words.  routes: of the platform -> how it answers.  hosts: of
    third parties that a page could not reach -> whether they answer this runner.  payments: whether Stripe is on.
    """

    vendors: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, Answer] = field(default_factory=dict)
    hosts: Mapping[str, bool] = field(default_factory=dict)
    payments: bool = False

    @property
    def suspects(self) -> tuple[str, ...]:
        """Return the variables of which one is wrong, by the routes that crash or a refused key; (): none is seen."""
        for pattern, variables in _PATTERNS:
            if all(self.routes.get(name) is answer for name, answer in pattern.items()):
                with_stripe = self.payments and "NEXTAUTH_URL" not in variables
                return variables + (_STRIPE_VARIABLES if with_stripe else ())
        return ("NEXT_PUBLIC_SUPABASE_ANON_KEY",) if _KEY_REFUSED in self.vendors.values() else ()

    def explain(self, check: CheckResult, around: Circumstances, capabilities: Collection[str]) -> Attribution | None:
        """Return the cause of a red check, as far as it can be seen; None: nothing is seen."""
        if errors_of([check]) and (trouble := self._vendor(check, around)):
            return Attribution(Cause.THIRD_PARTY, f"no control to compare with; {trouble}")
        answers = ", ".join(f"{name} {answer.value}" for name, answer in self.routes.items())
        if errors_of([check]) and (names := " or ".join(self.suspects)):
            where = "`vercel env ls production`" if "vercel" in capabilities else "The settings of the platform's host"
            step = f"{where}: which of {names.replace(' or ', ', ')} is missing or malformed? Set it, then deploy again"
            seen = "; ".join([answers, *(f"{vendor}: {trouble}" for vendor, trouble in self.vendors.items())])
            evidence = f"no control to compare with; the answers point to {names} ({seen})"
            return Attribution(Cause.UNKNOWN, evidence, step, without_control=True)
        for host in _third_parties(check, self.hosts):
            if not self.hosts[host]:
                return Attribution(Cause.THIRD_PARTY, f"the page could not reach {host}, and this runner cannot either")
            evidence = f"no control to compare with; the page could not reach {host}, which answers this runner"
            step = f"Open the page with DevTools: does its own policy block {host}, or does {host} refuse this site?"
            return Attribution(Cause.UNKNOWN, evidence, step, without_control=True)
        if not errors_of([check]):
            return None
        evidence = f"no control to compare with, and no vendor reports trouble; {answers}"
        return Attribution(Cause.UNKNOWN, evidence, without_control=True)

    def _vendor(self, check: CheckResult, around: Circumstances) -> str:
        """Return the trouble of the vendor that this check depends on, by the vendor's own API or status page."""
        pays = check.third_party == "stripe" or any("/api/payments" in asked for asked in check.asks)
        for vendor in ("stripe", "supabase") if pays else ("supabase",):
            trouble = self.vendors.get(vendor, _KEY_REFUSED)
            # Without a network nobody answers this runner.
            if trouble != _KEY_REFUSED and not ("no answer" in trouble and around.controls is False):
                return f"{vendor}'s own API: {trouble}"
            if vendor in around.vendors:
                return f"{vendor}'s own status page reports {around.vendors[vendor]}"
        return ""


def hear(target: Target, red: Collection[CheckResult], *, ask_vercel: bool) -> Heard:
    """Ask vendors, routes, and the third parties that a page could not reach, all at once."""
    own = {urlsplit(target.url).netloc}
    hosts = {host for check in red for host in _failed_hosts(check) if urlsplit(host).netloc not in own}
    with new_client(_TIMEOUT) as client, ThreadPoolExecutor(8) as pool:
        routes = {name: pool.submit(_answer, client, target, path) for name, path in _ROUTES.items()}
        reached = {host: pool.submit(_trouble, client, host, {}) for host in hosts}
        mode = pool.submit(_get, client, target, "/api/health")
        vendors = {
            vendor: trouble
            for vendor, url, headers in _vendors(client, target, ask_vercel=ask_vercel)
            if (trouble := _trouble(client, url, headers))
        }
        health = mode.result()
        return Heard(
            vendors=vendors,
            routes={name: found.result() for name, found in routes.items()},
            hosts={host: not found.result() for host, found in reached.items()},
            payments=health is not None and re.search(rb'"paymentsMode":\s*"stripe"', health.content) is not None,
        )


def _failed_hosts(check: CheckResult) -> Iterator[str]:
    if check.kind in {"journey", "vitals"}:
        yield from _FAILED.findall("\n".join([*check.asked, *(attempt.message for attempt in check.attempts)]))


def _third_parties(check: CheckResult, hosts: Collection[str]) -> list[str]:
    """Return the third parties that a page of this check could not reach; those that are down too come first."""
    return sorted({host for host in _failed_hosts(check) if host in hosts})


def _get(client: httpx.Client, target: Target, path: str) -> httpx.Response | None:
    url = urljoin(target.url, path)
    with suppress(httpx.HTTPError):
        return client.get(url, headers=headers_for(url, target, Variant(name="target", url=target.url)))
    return None


def _answer(client: httpx.Client, target: Target, path: str) -> Answer:
    answer = _get(client, target, path)
    if answer is None or answer.status_code > HTTPStatus.INTERNAL_SERVER_ERROR:
        return Answer.FAILED
    if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Answer.FINE
    return Answer.CRASHED if "html" in answer.headers.get("content-type", "") else Answer.FAILED


def _trouble(client: httpx.Client, url: str, headers: Mapping[str, str]) -> str:
    """Return how an address fails; "": it answers, if only with a refusal."""
    try:
        answer = client.get(url, headers=headers)
    except httpx.HTTPError as error:
        return f"GET {url} -> no answer ({type(error).__name__})"
    if answer.status_code == HTTPStatus.UNAUTHORIZED and headers.get("apikey"):
        return _KEY_REFUSED
    return f"GET {url} -> {answer.status_code}" if answer.is_server_error else ""


def _vendors(client: httpx.Client, target: Target, *, ask_vercel: bool) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the addresses of the vendors that this target has, with the headers to ask them."""
    url, key = supabase_of(client, target, ask_vercel=ask_vercel)
    if url:
        headers = {"apikey": key, "authorization": f"Bearer {key}"} if key else {}
        yield "supabase", f"{url}/auth/v1/health", headers
        # The health of sign-in says nothing about the database.
        yield "supabase", f"{url}/rest/v1/courses?select=id&limit=1", headers
    if target.stripe:
        yield "stripe", f"{target.stripe.api}/v1/balance", {"authorization": f"Bearer {target.stripe.token}"}
    elif "stripe" in target.third_parties and not is_local(urlsplit(target.url).hostname or ""):
        yield "stripe", f"{_STRIPE}/v1/balance", {}


def supabase_of(client: httpx.Client, target: Target, *, ask_vercel: bool) -> tuple[str, str]:
    """Return the address and the public key of the build: from Vercel's variables, else from the page's scripts."""
    if target.vercel and ask_vercel:
        # pytest comes with it, and no other path of the gate needs it.
        from fixtures.checks.evidence import NotMeasured  # noqa: PLC0415
        from fixtures.vendors.environment_sources import of_vercel  # noqa: PLC0415

        with suppress(NotMeasured):
            values = of_vercel(target.vercel).values
            url = (values.get("NEXT_PUBLIC_SUPABASE_URL") or "").rstrip("/")
            if url.startswith(("https://", "http://127.")):
                return url, values.get("NEXT_PUBLIC_SUPABASE_ANON_KEY") or ""
    page = _get(client, target, "/login")
    texts = [page.text] if page else []
    scripts = [urljoin(target.url, source) for source in _SCRIPT.findall(texts[0])[:_MOST_SCRIPTS]] if texts else []
    own = [script for script in scripts if urlsplit(script).netloc == urlsplit(target.url).netloc]
    texts += [answer.text for script in own if (answer := _get(client, target, script))]
    text = "\n".join(texts)
    for found in _URL.findall(text):
        return found, next(iter(_KEY.findall(text)), "")
    ref = target.supabase.project if target.supabase and not target.is_sandbox else ""
    return (f"https://{ref}.supabase.co", "") if ref else ("", "")
