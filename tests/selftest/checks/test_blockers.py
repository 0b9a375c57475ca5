"""A corpus of blockers: the answer of each, its cause, and that no other host receives the bypass secret."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from fixtures.checks.answers import Answer, Sent, answer_of, no_answer
from fixtures.checks.blockers import blocker_of
from fixtures.model.verdict import Cause
from fixtures.run.current_run import Run
from fixtures.site.client import Site, no_cookies
from fixtures.target.target import BYPASS as BYPASS_HEADER
from fixtures.target.target import Target
from fixtures.target.variants import Variant, headers_for
from tests.selftest.conftest import Stub
from tests.selftest.sandbox.running_edge import run_edge

# Shared: each client would read the system's certificates anew.
TRUSTED = ssl.create_default_context()
BYPASS = "bypass-secret-of-the-selftest"
HTML = {"content-type": "text/html; charset=utf-8"}
LOGIN = b'<title>Authentication Required</title><a href="https://vercel.com/sso-api?url=x">Log in</a>'

CORPUS: dict[str, tuple[int, dict[str, str], bytes, Cause, str]] = {
    "sso-401": (401, HTML | {"set-cookie": "_vercel_sso_nonce=x; Path=/"}, LOGIN, Cause.BLOCKED, "bypass secret"),
    "sso-page-without-nonce": (401, HTML, LOGIN, Cause.BLOCKED, "deployment protection"),
    "sso-redirect": (302, {"location": "https://vercel.com/sso-api?url=x"}, b"", Cause.BLOCKED, "bypass secret"),
    "login-redirect": (307, {"location": "https://vercel.com/login?next=x"}, b"", Cause.BLOCKED, "bypass secret"),
    "vercel-challenge": (429, HTML | {"x-vercel-mitigated": "challenge"}, b"", Cause.BLOCKED, "firewall"),
    "vercel-deny": (403, {"x-vercel-mitigated": "deny"}, b"Forbidden", Cause.BLOCKED, "firewall"),
    "vercel-checkpoint": (403, HTML, b"<title>Vercel Security Checkpoint</title>", Cause.BLOCKED, "firewall"),
    "cloudflare-challenge": (
        403,
        HTML | {"server": "cloudflare", "cf-mitigated": "challenge"},
        b"<title>Just a moment...</title>",
        Cause.BLOCKED,
        "bot manager",
    ),
    "cloudflare-503": (503, HTML, b"<title>Just a moment...</title>", Cause.BLOCKED, "bot manager"),
    "akamai": (403, HTML, b"<H1>Access Denied</H1>", Cause.BLOCKED, "bot manager"),
    "aws-waf": (405, {"x-amzn-waf-action": "captcha"}, b"", Cause.BLOCKED, "bot manager"),
    "datadome": (
        403,
        HTML,
        b"<script src=https://ct.captcha-delivery.com/c.js></script>",
        Cause.BLOCKED,
        "bot manager",
    ),
    "limit": (429, {}, b"", Cause.SELF_INFLICTED, "without Retry-After"),
    "limit-seconds": (429, {"retry-after": "60"}, b"", Cause.SELF_INFLICTED, "wait 60 s"),
    "limit-date": (429, {"retry-after": "Mon, 23 Nov 2026 10:00:00 GMT"}, b"", Cause.SELF_INFLICTED, "wait Mon"),
    "captive-portal": (511, HTML, b"<title>Sign in to Wi-Fi</title>", Cause.RUNNER, "captive portal"),
    "proxy": (407, {}, b"", Cause.RUNNER, "proxy"),
    "squid": (503, HTML | {"x-squid-error": "ERR_CONNECT_FAIL 111"}, b"", Cause.RUNNER, "proxy"),
}
# Answers of the application that look like a blocker.
OWN = {
    "crash": (500, HTML, b"<h1>500</h1>"),
    "unavailable": (503, {"content-type": "application/json"}, b'{"status":"error"}'),
    "falls-over": (503, HTML, b"<h1>Service Unavailable</h1>"),
    "maintenance": (503, HTML, "<h1>Bakım çalışması</h1>".encode()),
    "maintenance-as-200": (200, HTML, "<h1>Bakım çalışması</h1>".encode()),
    "not-signed-in": (401, {"content-type": "application/json"}, b'{"error":"Oturum"}'),
    "forbidden": (403, {"content-type": "application/json"}, b'{"error":"Yetkiniz yok"}'),
    "to-sign-in": (307, {"location": "/login?callbackUrl=%2Fdashboard"}, b""),
    "gone": (404, {"x-vercel-error": "DEPLOYMENT_NOT_FOUND"}, b"The deployment could not be found on Vercel."),
    "course-on-bots": (200, HTML, b"<h1>Just a moment... of marketing</h1>"),
}


def cause_of(answer: Answer) -> Cause | None:
    """Return the cause of the blocker that an answer shows."""
    blocker = blocker_of(answer)
    return blocker.cause if blocker else None


@contextmanager
def a_site(url: str, tmp_path: Path, *, target: str | None = None) -> Iterator[tuple[Site, list[Answer]]]:
    """Ask `url` as a run does, and collect the answers."""
    seen: list[Answer] = []
    run = Run("selftest", "postdeploy", tmp_path, tmp_path)
    aim = Target(name="stub", url=target or url, mode="shadow", bypass_secret=BYPASS)
    with httpx.Client(trust_env=False, timeout=0.5, verify=TRUSTED, cookies=no_cookies()) as client:
        yield Site(client, aim, Variant(name="target", url=url), run, seen.append), seen


def test_a_forged_cookie_does_not_lead_away_from_the_side(tmp_path: Path) -> None:
    """Without the pin another deployment answers, and the pair compares nothing."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["cookie"])
        return httpx.Response(200)

    url = "https://7peducation.test"
    variant = Variant(name="candidate", url=url, deployment_id="dpl_1", pinned_url=url)
    run = Run("selftest", "postdeploy", tmp_path, tmp_path)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        site = Site(client, Target(name="stub", url=url, mode="shadow"), variant, run, lambda _: None)
        site.ask("GET /", headers={"cookie": "role=admin"}, cookies={"session": "x"})

    assert asked == ["__vdpl=dpl_1; role=admin; session=x"]


@contextmanager
def raw_server(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection after the other; `speak` gets each after its request was read."""
    server = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    speak(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    port = server.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        ended.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        thread.join()
        server.close()


@pytest.mark.parametrize("name", CORPUS)
def test_each_blocker_is_named_with_its_cause_and_what_to_do(name: str, stub: Stub, tmp_path: Path) -> None:
    """An application behind a blocker is not down."""
    status, headers, body, cause, advice = CORPUS[name]
    stub.answers["GET /"] = (status, headers, body)

    with a_site(stub.url, tmp_path) as (site, _):
        blocker = blocker_of(site.ask("GET /"))

    assert blocker is not None
    assert blocker.cause is cause
    assert advice in blocker.why


@pytest.mark.parametrize("name", OWN)
def test_the_applications_own_answers_are_no_blockers(name: str, stub: Stub, tmp_path: Path) -> None:
    """A wrong excuse for a broken deployment is worse than a false alarm."""
    stub.answers["GET /"] = OWN[name]

    with a_site(stub.url, tmp_path) as (site, _):
        assert blocker_of(site.ask("GET /")) is None


def test_nobody_listening_is_the_runners_until_shown_otherwise(tmp_path: Path) -> None:
    """A broken network and a broken host look the same from here; control addresses distinguish them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with a_site(f"http://127.0.0.1:{port}", tmp_path) as (site, _):
        answer = site.ask("GET /")

    assert answer.trouble == "refused"
    assert cause_of(answer) is Cause.RUNNER


def test_an_unknown_name_is_the_runners_resolver(tmp_path: Path) -> None:
    """`.invalid` never resolves anywhere."""
    with a_site("http://7p-verify.invalid", tmp_path) as (site, _):
        answer = site.ask("GET /")

    assert (answer.trouble, cause_of(answer)) == ("dns", Cause.RUNNER)


def test_a_broken_handshake_is_the_runners(stub: Stub, tmp_path: Path) -> None:
    """A server that speaks no TLS on the port of TLS stands between the runner and the platform."""
    with a_site(stub.url.replace("http:", "https:"), tmp_path) as (site, _):
        answer = site.ask("GET /")

    assert (answer.trouble, cause_of(answer)) == ("tls", Cause.RUNNER)


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ("certificate has expired", "certificate"),
        ("Hostname mismatch, certificate is not valid for '7peducation.test'", "certificate"),
        ("self-signed certificate in certificate chain", "tls"),
        ("certificate is not yet valid", "tls"),
    ],
)
def test_a_certificate_that_users_cannot_trust_either_is_no_blocker(said: str, trouble: str) -> None:
    """An expired certificate locks everyone out; an unknown issuer may be the runner's own proxy."""
    error = httpx.ConnectError(f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {said} (_ssl.c:1006)")

    answer = no_answer("GET", "https://7peducation.test/", error, 0.1)

    assert answer.trouble == trouble
    assert (blocker_of(answer) is None) == (trouble == "certificate")


def test_a_time_out_is_not_the_runners_fault(tmp_path: Path) -> None:
    """A function that hangs is a fault of the deployment."""
    release = threading.Event()

    def say_nothing(_connection: socket.socket) -> None:
        release.wait(5)

    with raw_server(say_nothing) as url, a_site(url, tmp_path) as (site, _):
        answer = site.ask("GET /")
        release.set()

    assert (answer.trouble, blocker_of(answer)) == ("timeout", None)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf a page",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n400\r\nhalf a chunk",
        b"HTTP/1.1 200 OK\r\ncontent-ty",
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nplain",
    ],
    ids=["content-length", "chunk", "head", "nothing", "not HTTP", "not gzip"],
)
def test_what_is_cut_off_or_garbled_is_not_the_runners_fault(sent: bytes, tmp_path: Path) -> None:
    """A function that ends in the middle of its answer is a fault of the deployment."""
    with raw_server(lambda connection: connection.sendall(sent)) as url, a_site(url, tmp_path) as (site, _):
        answer = site.ask("GET /")

    assert (answer.trouble, blocker_of(answer)) == ("cut off", None)
    with pytest.raises(AssertionError, match="no answer: cut off"):
        _ = answer.status


def test_a_redirect_loop_is_named_with_its_way(stub: Stub, tmp_path: Path) -> None:
    """Users see ERR_TOO_MANY_REDIRECTS; each single answer looks like a healthy redirect."""
    stub.answers["GET /dashboard"] = (307, {"location": "/login?callbackUrl=%2Fdashboard"}, b"")
    stub.answers["GET /login"] = (307, {"location": "/dashboard"}, b"")

    with a_site(stub.url, tmp_path) as (site, seen):
        answer = site.follow(site.ask("GET /dashboard"))

    assert blocker_of(answer) is None
    assert answer.trouble == (
        f"redirect loop: {stub.url}/dashboard -> {stub.url}/login?callbackUrl=%2Fdashboard -> {stub.url}/dashboard"
    )
    assert len(seen) == 2


def test_a_redirect_is_followed_to_its_end(stub: Stub, tmp_path: Path) -> None:
    """Back to a page by another query is no loop."""
    stub.answers["GET /a"] = (307, {"location": "/b"}, b"")
    stub.answers["GET /b"] = (200, HTML, b"<h1>B</h1>")

    with a_site(stub.url, tmp_path) as (site, _):
        answer = site.follow(site.ask("GET /a"))

    assert (answer.url, answer.status) == (f"{stub.url}/b", 200)


def _hosts_that_learned(stub: Stub) -> set[str]:
    return {
        headers["host"] for _, headers in stub.seen if BYPASS in str(headers) or "__vdpl" in headers.get("cookie", "")
    }


def test_the_bypass_secret_reaches_the_targets_own_hosts_only(stub: Stub, tmp_path: Path) -> None:
    """A third party with the secret can read every protected deployment; links and redirects lead to third parties."""
    other_student = stub.url.replace("127.0.0.1", "localhost")
    stub.answers["GET /away"] = (302, {"location": f"{other_student}/landing"}, b"")
    stub.answers["GET /back"] = (302, {"location": "/away"}, b"")

    with a_site(stub.url, tmp_path) as (site, _):
        own = site.ask("GET /")
        led = site.follow(site.ask("GET /back"))
        link = site.ask(f"GET {other_student}/link")

    assert (own.code, led.code, link.code) == (404, 302, 404)
    assert [route for route, headers in stub.seen if headers["host"] == urlsplit(other_student).netloc] == ["GET /link"]
    assert _hosts_that_learned(stub) == {urlsplit(stub.url).netloc}


def test_the_candidates_own_address_and_the_production_host_both_get_the_bypass(stub: Stub, tmp_path: Path) -> None:
    """Before promotion the candidate is protected, and the production host of a preview may be, too."""
    production = stub.url.replace("127.0.0.1", "localhost")

    with a_site(stub.url, tmp_path, target=production) as (site, _):
        site.ask("GET /")
        site.ask(f"GET {production}/")

    assert _hosts_that_learned(stub) == {urlsplit(stub.url).netloc, urlsplit(production).netloc}


@pytest.mark.parametrize(
    "url",
    [
        "http://platform.test/",
        "https://platform.test:8443/",
        "https://platform.test.evil.test/",
        "https://evil.test/?platform.test",
        "https://platform.test@evil.test/",
    ],
)
def test_nothing_of_ours_goes_to_what_only_looks_like_our_host(url: str) -> None:
    """Plain http to the right host is refused as well: everyone on the way could read it."""
    target = Target(name="stub", url="https://platform.test", mode="shadow", bypass_secret=BYPASS)
    variant = Variant(name="control", url=target.url, deployment_id="dpl_1", pinned_url=target.url)

    assert headers_for(url, target, variant).keys() == {"user-agent", "accept-language"}
    assert headers_for("https://platform.test/x", target, variant).keys() >= {BYPASS_HEADER, "cookie"}


def test_a_protected_candidate_is_reached_with_the_bypass_and_named_without_it() -> None:
    """Before promotion the build is behind a sign-in of Vercel; a wrong secret does not look like a broken build."""
    with run_edge() as running:
        running.publish(promote=True)
        candidate = running.publish()
        candidate.protected = True
        variant = Variant(name="target", url=candidate.base_url, deployment_id=candidate.id)
        answers = {}
        for secret in (running.edge.bypass_secret, "lost", None):
            target = Target(name="stub", url=running.edge.production_url, mode="shadow", bypass_secret=secret)
            headers = headers_for(f"{variant.url}/", target, variant)
            response = running.client.get(variant.url, headers=headers)
            answers[secret] = answer_of(response, 0.1, Sent())
        admitted, *refused = answers.values()

        assert (admitted.status, admitted.deployment, blocker_of(admitted)) == (200, candidate.id, None)
        assert [cause_of(answer) for answer in refused] == [Cause.BLOCKED, Cause.BLOCKED]
