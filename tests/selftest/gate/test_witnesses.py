"""Causes without a control: the vendors' own answers, the routes that still answer, the third parties of a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ci.causes import Circumstances
from ci.web import new_client
from ci.witnesses import Answer, Heard, hear, supabase_of
from fixtures.model.runbook import runbook
from fixtures.model.verdict import Cause, CheckResult, Outcome
from fixtures.target.target import Target
from fixtures.target.targets_file import StripeAccess
from tests.selftest.gate.comparisons import HEALTHY
from tests.selftest.gate.verdicts import a_check

FINE, CRASHED, FAILS = Answer.FINE, Answer.CRASHED, Answer.FAILED
PROJECT, PUBLIC_KEY = f"https://{'a1' * 10}.supabase.co", f"sb_publishable_{'7p' * 12}"
WIDGET = "http://127.0.0.1:9"
SIGN_IN = {"sign-in": CRASHED, "courses": CRASHED, "search": FINE, "payments": FINE, "pages": FINE}
SUPABASE = {"sign-in": FINE, "courses": CRASHED, "search": CRASHED, "payments": CRASHED, "pages": FINE}


def a_red(*exchanges: str, kind: str = "smoke", asks: tuple[str, ...] = ()) -> CheckResult:
    """Return a red check with the last exchanges of its run."""
    check = a_check(outcome=Outcome.FAILED, kind=kind)
    check.asked, check.asks = list(exchanges), list(asks)
    return check


ERROR = a_red("GET https://7p.test/api/courses -> 500 in 5 ms")


class TestVariables:
    """The routes that crash together point to the variables that they check when their code is loaded."""

    @pytest.mark.parametrize(
        ("routes", "payments", "names"),
        [
            (SIGN_IN, True, ("NEXTAUTH_URL", "NEXTAUTH_SECRET", "SUPABASE_SERVICE_KEY")),
            (SUPABASE, False, ("NEXT_PUBLIC_SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_ANON_KEY")),
            (
                SUPABASE,
                True,
                (
                    *("NEXT_PUBLIC_SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_ANON_KEY"),
                    *("STRIPE_SECRET_KEY", "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET"),
                ),
            ),
            # The whole application is down, the database is, or one route is.
            (dict.fromkeys(SIGN_IN, CRASHED), True, ()),
            ({**SUPABASE, "courses": FAILS, "search": FAILS}, True, ()),
            ({**SIGN_IN, "sign-in": FINE}, True, ()),
            (dict.fromkeys(SIGN_IN, FINE), True, ()),
            ({}, True, ()),
        ],
    )
    def test_the_pattern(self, routes: dict[str, Answer], names: tuple[str, ...], *, payments: bool) -> None:
        """Stripe's variables are read while payments are on."""
        assert Heard(routes=routes, payments=payments).suspects == names

    @pytest.mark.parametrize(
        ("capabilities", "tool"), [({"vercel"}, "`vercel env ls production`"), (set(), "settings")]
    )
    def test_the_first_step_names_a_tool_that_the_target_has(self, capabilities: set[str], tool: str) -> None:
        """Nobody must look for an account that does not exist."""
        found = Heard(routes=SIGN_IN).explain(ERROR, HEALTHY, capabilities)

        assert found is not None
        assert (found.cause, found.without_control) == (Cause.UNKNOWN, True)
        assert tool in found.first_step
        assert "NEXTAUTH_URL, NEXTAUTH_SECRET, SUPABASE_SERVICE_KEY" in found.first_step
        assert "sign-in crashes, courses crashes, search answers" in found.evidence

    def test_a_public_key_that_is_refused_is_no_trouble_of_the_vendor(self) -> None:
        """The build has the key of another project, or a revoked one."""
        found = Heard(vendors={"supabase": "the public key of the build is refused (401)"}).explain(
            ERROR, HEALTHY, set()
        )

        assert found is not None
        assert found.cause is Cause.UNKNOWN
        assert "NEXT_PUBLIC_SUPABASE_ANON_KEY" in found.first_step

    def test_a_check_without_an_error_has_another_cause(self) -> None:
        """A wrong title is no missing variable."""
        assert Heard(routes=SIGN_IN).explain(a_red(), HEALTHY, set()) is None


class TestVendors:
    """A vendor that fails when it is asked directly is to blame for what depends on it."""

    @pytest.mark.parametrize(
        ("seen", "around", "check", "says"),
        [
            (Heard(vendors={"supabase": "GET x -> 503"}), HEALTHY, ERROR, "supabase's own API: GET x -> 503"),
            (
                Heard(),
                Circumstances(vendors={"supabase": "major"}),
                ERROR,
                "supabase's own status page reports major",
            ),
            (Heard(vendors={"stripe": "GET x -> 503"}), HEALTHY, ERROR, ""),
            (Heard(vendors={"supabase": "GET x -> 503"}), HEALTHY, a_red(), ""),
            (Heard(vendors={"supabase": "GET x -> no answer"}), Circumstances(controls=False), ERROR, ""),
            (
                Heard(vendors={"stripe": "GET x -> 503"}),
                HEALTHY,
                a_red("POST https://7p.test/api/payments/test -> 502 in 5 ms", asks=("POST /api/payments/test",)),
                "stripe's own API",
            ),
        ],
        ids=["Supabase", "its status page", "Stripe, and no payment", "no error", "no network", "Stripe"],
    )
    def test_blamed(self, seen: Heard, around: Circumstances, check: CheckResult, says: str) -> None:
        """Nothing on our side repairs it."""
        found = seen.explain(check, around, set())

        assert (found is not None and found.cause is Cause.THIRD_PARTY) is bool(says)
        assert says in (found.evidence if found else "")


class TestPages:
    """A page names the third parties that it could not reach."""

    @pytest.mark.parametrize(("answers", "cause"), [(False, Cause.THIRD_PARTY), (True, Cause.UNKNOWN)])
    def test_a_third_party_of_a_page(self, cause: Cause, *, answers: bool) -> None:
        """One that answers this runner may be blocked by the page's own policy."""
        check = a_red(f"GET {WIDGET}/v3/ -> no answer: refused", kind="journey")

        found = Heard(hosts={WIDGET: answers}).explain(check, HEALTHY, set())

        assert found is not None
        assert found.cause is cause
        assert WIDGET in found.evidence


class _Site(BaseHTTPRequestHandler):
    """A platform, its scripts and its vendors on one port; the path decides."""

    crashed: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    names_supabase = False

    def do_GET(self) -> None:
        """Answer by the path."""
        self.send_response(self._status())
        body, kind = b"{}", "application/json"
        if self.path.startswith(self.crashed or ("\0",)):
            body, kind = b"<html><body>Internal Server Error</body></html>", "text/html"
        if self.path == "/api/health":
            body = b'{"paymentsMode": "stripe"}'
        if self.path == "/login" and self.names_supabase:
            body, kind = b'<script defer src="/a.js"></script><script src="//cdn.test/b.js"></script>', "text/html"
        if self.path == "/a.js":
            body = f'createClient("{PROJECT}", "{PUBLIC_KEY}")'.encode()
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _status(self) -> int:
        if self.path.startswith(self.crashed or ("\0",)):
            return 500
        if self.path.startswith(self.down or ("\0",)):
            return 503
        return 401 if self.path.startswith("/v1/balance") else 200

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(
    *, crashed: tuple[str, ...] = (), down: tuple[str, ...] = (), names_supabase: bool = False
) -> Iterator[str]:
    """Return the address of a platform whose routes fail in these ways."""
    handler = type("Site", (_Site,), {"crashed": crashed, "down": down, "names_supabase": names_supabase})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestHear:
    """Everything is asked once, on the platform and at the vendors."""

    def test_routes_and_vendors(self) -> None:
        """A refusal is an answer; an error and silence are none."""
        with serving(crashed=("/api/auth", "/api/courses?", "/api/courses"), down=("/v1/balance",)) as url:
            target = Target(name="t", url=url, mode="act", stripe=StripeAccess(api=url, token="rk_test"))  # noqa: S106
            red = a_red(f"GET {WIDGET}/x.js -> no answer: refused", f"GET {url}/ -> 500", kind="journey")

            heard = hear(target, [red], ask_vercel=True)

        assert heard.routes == {
            **dict.fromkeys(SIGN_IN, FINE),
            **dict.fromkeys(("sign-in", "courses", "search"), CRASHED),
        }
        assert heard.vendors == {"stripe": f"GET {url}/v1/balance -> 503"}
        assert heard.hosts == {WIDGET: False}
        assert heard.payments

    def test_supabase_is_found_in_the_scripts_of_a_page(self) -> None:
        """Every visitor gets its address and its public key, so that a bare URL is enough."""
        with serving(names_supabase=True) as url, new_client(1) as client:
            target = Target(name="t", url=url, mode="act")

            assert supabase_of(client, target, ask_vercel=False) == (PROJECT, PUBLIC_KEY)

    def test_a_silent_platform_is_heard_too(self) -> None:
        """Nothing answers: no pattern fits, and no vendor is known."""
        heard = hear(Target(name="t", url=WIDGET, mode="act"), [], ask_vercel=False)

        assert set(heard.routes.values()) == {FAILS}
        assert (heard.vendors, heard.suspects) == ({}, ())


@pytest.mark.parametrize("tool", ["vercel", "payments/test", "pg_stat", "Sentry"])
def test_a_target_without_capabilities_gets_first_steps_without_tools(tool: str) -> None:
    """A bare URL has neither Vercel's CLI nor a database that we may ask."""
    # Their checks need these capabilities themselves.
    tools = {"migration-procedure", "backup-recovery"}
    steps = {name: section.first_step(()) for name, section in runbook().sections.items() if name not in tools}

    assert {name: step for name, step in steps.items() if tool.lower() in step.lower()} == {}


def test_a_target_with_its_tools_gets_the_runbooks_own_first_step() -> None:
    """The runbook's tools are the best."""
    capabilities = {"vercel", "sentry", "database", "payments-test"}

    assert all(section.first_step(capabilities) == section.first_action for section in runbook().sections.values())
