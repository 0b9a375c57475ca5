"""The framework around every route: headers, compression, assets, its 404, 405 and 500, a build's knobs."""

from __future__ import annotations

import httpx
import pytest
from starlette.responses import Response

from fixtures.sandbox.app.call import Call, Handler
from tests.selftest.sandbox.running_app import DEPLOYMENT, RunningApp

GUARDED_PAGES = ["/dashboard", "/admin/dashboard"]


def test_every_answer_carries_the_security_headers(client: httpx.Client) -> None:
    """Pages, APIs, assets, refusals and the framework's own errors carry them."""
    paths = ["/", "/dashboard", "/api/health", "/api/enrollments", "/images/hero.jpg", "/robots.txt", "/unknown"]
    demanded = {"x-frame-options": "DENY", "x-content-type-options": "nosniff"}
    present = {
        "strict-transport-security",
        "content-security-policy",
        "referrer-policy",
        "permissions-policy",
    }

    answers = [client.get(path).headers for path in paths]
    assert [{name: headers.get(name) for name in demanded} for headers in answers] == [demanded] * len(paths)
    assert [present - set(headers) for headers in answers] == [set()] * len(paths)
    assert [headers.get("x-powered-by") for headers in answers] == [None] * len(paths)
    assert [headers.get("access-control-allow-origin") for headers in answers] == [None] * len(paths)


@pytest.mark.parametrize("path", ["/api/health", "/api/courses", "/api/auth/session", "/api/enrollments", "/api/none"])
def test_api_answers_are_neither_stored_nor_indexed(client: httpx.Client, path: str) -> None:
    """Refusals and the framework's 404, which has its own words for it, say so as well."""
    headers = client.get(path).headers

    assert "no-store" in headers["cache-control"]
    assert "noindex" in headers["x-robots-tag"]


def test_large_text_is_compressed_when_the_client_takes_it(client: httpx.Client) -> None:
    """Small answers, pictures and the API's JSON are not compressed."""
    build_asset = client.get("/").text.split('<link rel="stylesheet" href="')[1].split('"')[0]

    assert client.get("/").headers["content-encoding"] == "gzip"
    assert client.get(build_asset).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/", headers={"accept-encoding": "identity"}).headers
    assert "content-encoding" not in client.get("/api/courses").headers
    assert "content-encoding" not in client.get("/images/hero.jpg").headers


def test_assets_belong_to_one_build_and_never_change(app: RunningApp, client: httpx.Client) -> None:
    """A browser may cache them for ever; another build's assets answer 404."""
    own, foreign = f"/_next/static/{app.build.id}/_buildManifest.js", "/_next/static/other/_buildManifest.js"

    assert client.get(own).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/images/hero.jpg").headers["cache-control"] == "public, max-age=31536000, immutable"
    missing = client.get(foreign)
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert client.get("/images/none.jpg").status_code == 404


def test_pages_name_their_build_and_deployment(app: RunningApp, client: httpx.Client) -> None:
    """A check uses both markers to find out which deployment answered."""
    html = client.get("/").text

    assert f'"b":"{app.build.id}"' in html
    assert f"/_next/static/{app.build.id}/app.js?dpl={DEPLOYMENT}" in html


def test_unknown_paths_are_not_soft_404s(client: httpx.Client) -> None:
    """The framework's page has the status 404."""
    answers = [client.get(path) for path in ("/unknown", "/courses/a/b", "/api/unknown", "/sitemaps/none.xml")]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert all("This page could not be found" in answer.text for answer in answers)


def test_known_paths_refuse_other_methods_with_nothing(client: httpx.Client) -> None:
    """The answer is 405 without a body, with one exception; OPTIONS names the methods and grants nothing."""
    refused = [client.delete("/api/courses"), client.post("/login")]
    options = client.options("/api/courses", headers={"origin": "https://elsewhere.test"})
    exception = client.get("/api/enroll/free")

    assert [(answer.status_code, answer.content) for answer in refused] == [(405, b"")] * 2
    assert refused[1].headers["allow"] == "GET, HEAD"
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert (exception.status_code, exception.headers["allow"]) == (405, "POST")
    assert exception.json() == {"success": False, "error": "Method not allowed"}
    assert "access-control-allow-origin" not in options.headers


@pytest.mark.parametrize(("method", "path"), [("GET", "none"), ("POST", "session"), ("GET", "callback/credentials")])
def test_nextauth_answers_400_for_what_it_does_not_know(client: httpx.Client, method: str, path: str) -> None:
    """It is plain text; the application's own routes, and methods that NextAuth has nowhere, are answered as any."""
    answer = client.request(method, f"/api/auth/{path}")

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (400, "text/plain")
    assert client.get("/api/auth/register").status_code == 405
    assert client.put(f"/api/auth/{path}").status_code == 405
    assert client.options(f"/api/auth/{path}").headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize(
    ("asked", "leads_to"), [("/api/courses/?page=2", "/api/courses?page=2"), ("//elsewhere.test/", "/elsewhere.test")]
)
def test_a_slash_at_the_end_leads_to_the_address_without_it(client: httpx.Client, asked: str, leads_to: str) -> None:
    """The query stays, the address stays on this site, and the headers of every answer are there."""
    answer = client.get(str(client.base_url) + asked)

    assert (answer.status_code, answer.headers["location"]) == (308, leads_to)
    assert answer.headers["x-frame-options"] == "DENY"


def test_head_answers_like_get_without_a_body(client: httpx.Client) -> None:
    """A page, an API and the health endpoint do so; the health endpoint runs no check for HEAD."""
    answers = [client.head(path) for path in ("/", "/api/courses", "/api/health")]

    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 3


@pytest.mark.parametrize("path", ["/marketplace/%00", "/api/courses?search=%00", "/api/courses/%00"])
def test_an_address_with_a_nul_is_refused(client: httpx.Client, path: str) -> None:
    """PostgreSQL cannot hold it, and that must not become a 500."""
    assert client.get(path).status_code == 400


def test_an_unexpected_exception_is_a_500_that_leaks_nothing(app: RunningApp, client: httpx.Client) -> None:
    """The framework's page shows a digest; the message stays in the log."""

    async def crash(call: Call) -> Response:
        raise RuntimeError(call.variable("NEXTAUTH_SECRET"))

    app.build.routes["GET /api/ping"] = crash
    answer = client.get("/api/ping")

    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "__next_error__" in answer.text
    assert 'data-dgst="' in answer.text
    assert app.build.environment["NEXTAUTH_SECRET"] not in answer.text
    assert "Traceback" not in answer.text


NEXTAUTH = ("/api/auth/csrf", "/api/auth/session")
DATA = ("/api/courses", "/api/enrollments", "/api/student/progress")
SEARCH, PAYMENTS = "/api/courses/search?q=a", "/api/payments/history"
OTHERS = ("/api/health", "/api/admin/courses", "/login")


@pytest.mark.parametrize(
    ("name", "value", "down"),
    [
        ("NEXTAUTH_SECRET", "sixteen-letters!", (*NEXTAUTH, *DATA)),
        ("NEXTAUTH_URL", "", (*NEXTAUTH, *DATA)),
        ("SUPABASE_SERVICE_KEY", "", (*NEXTAUTH, *DATA)),
        ("NEXT_PUBLIC_SUPABASE_URL", "", (*DATA, SEARCH, PAYMENTS)),
        ("NEXT_PUBLIC_SUPABASE_ANON_KEY", "", (*DATA, SEARCH, PAYMENTS)),
        ("STRIPE_SECRET_KEY", "pk_test_wrong", (*DATA, SEARCH, PAYMENTS)),
        ("SUPABASE_SERVICE_ROLE_KEY", "", ()),
    ],
)
def test_a_missing_variable_takes_down_a_pattern_of_routes(
    app: RunningApp, client: httpx.Client, name: str, value: str, down: tuple[str, ...]
) -> None:
    """The routes that need it answer HTML 500 while health stays green: this happened, and the pattern names it."""
    app.build.environment[name] = value
    answers = {path: client.get(path) for path in (*NEXTAUTH, *DATA, SEARCH, PAYMENTS, *OTHERS)}

    assert {path for path, answer in answers.items() if answer.status_code == 500} == set(down)
    assert all("__next_error__" in answers[path].text for path in down)


def test_wrappers_see_answers_outermost_first(app: RunningApp, client: httpx.Client) -> None:
    """A refusal is an answer to a wrapper, too; a wrapper that answers by itself hides the route."""
    seen: list[str] = []

    async def outer(call: Call, handler: Handler) -> Response:
        seen.append("outer")
        if call.request.url.path == "/login":
            return Response("gone", 500)
        return await handler(call)

    async def inner(call: Call, handler: Handler) -> Response:
        response = await handler(call)
        seen.append(f"inner {response.status_code}")
        return response

    app.build.around += [outer, inner]

    assert client.get("/api/enrollments").status_code == 401
    assert (client.get("/login").status_code, client.get("/register").status_code) == (500, 200)
    assert seen == ["outer", "inner 401", "outer", "outer", "inner 200"]


def test_a_delay_holds_back_one_path_only(app: RunningApp, client: httpx.Client) -> None:
    """The client gives up before the delayed answer comes; another path answers at once."""
    app.build.delays["/images/hero.jpg"] = 60.0

    with pytest.raises(httpx.ReadTimeout):
        client.get("/images/hero.jpg", timeout=0.3)
    assert client.get("/images/icon.svg").status_code == 200


@pytest.mark.parametrize("path", GUARDED_PAGES)
def test_private_pages_send_anonymous_visitors_to_sign_in(client: httpx.Client, path: str) -> None:
    """After sign-in they return to the page that they wanted."""
    answer = client.get(path)

    assert answer.status_code == 307
    assert answer.headers["location"] == f"/login?callbackUrl={path.replace('/', '%2F')}"


def test_crawlers_find_robots_and_maps_whose_addresses_all_answer(app: RunningApp, client: httpx.Client) -> None:
    """Every listed URL answers 200."""
    robots = client.get("/robots.txt").text.splitlines()
    maps = _locations(client.get("/sitemap.xml").text)
    pages = [address for listed in maps for address in _locations(client.get(listed).text)]

    assert {"Allow: /", "Disallow: /admin", "Disallow: /dashboard", "Disallow: /api/"} <= set(robots)
    assert f"{app.url}/marketplace/{app.course(free=False)['slug']}" in pages
    assert [address for address in pages if client.get(address).status_code != 200] == []


def _locations(xml: str) -> list[str]:
    return [entry.split("</loc>")[0] for entry in xml.split("<loc>")[1:]]
