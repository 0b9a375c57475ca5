"""The edge in front of any application: who answers, who is let in, and the headers of an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from fixtures.sandbox.edge import listeners
from fixtures.sandbox.edge.listeners import LOOPBACK, numbered, usable
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge

BYPASS = "x-vercel-protection-bypass"


@pytest.fixture
def running() -> Iterator[RunningEdge]:
    """Return a new edge."""
    with run_edge() as running:
        yield running


def test_several_deployments_are_live_at_once(running: RunningEdge) -> None:
    """Each has its own address, and production is the one that the alias names."""
    builds = [running.publish(promote=True) for _ in range(3)]

    answered = [running.client.get(build.base_url).json() for build in builds]

    assert [answer["deployment"] for answer in answered] == [build.id for build in builds]
    assert [answer["commit"] for answer in answered] == [build.build.commit for build in builds]
    assert running.served() == builds[-1].id
    assert [running.edge.requests[build.id] for build in builds] == [1, 1, 2]


def test_cookies_do_not_travel_between_deployments(running: RunningEdge) -> None:
    """Cookies ignore ports, so each address has its own host where the system has more than one."""
    hosts = {running.publish().url.partition(":")[0] for _ in range(3)} | {running.edge.production_listener.host}

    assert len(hosts) == (4 if usable(numbered(0)) != LOOPBACK else 1)


def test_one_loopback_address_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system with one loopback host still gets several deployments, at different ports."""
    assert usable("192.0.2.1") == LOOPBACK
    monkeypatch.setattr(listeners, "usable", lambda _host: LOOPBACK)

    with run_edge() as running:
        builds = [running.publish(promote=True) for _ in range(2)]
        answered = [running.client.get(build.base_url).json()["deployment"] for build in builds]

        assert {build.url.partition(":")[0] for build in builds} == {LOOPBACK}
        assert answered == [build.id for build in builds]
        assert running.served() == builds[-1].id


def test_every_answer_says_who_gave_it(running: RunningEdge) -> None:
    """It names deployment, request and cache state; an outdated address asks search engines not to index it."""
    older, newer = running.publish(promote=True), running.publish(promote=True)

    production = running.client.get(running.edge.production_url).headers
    outdated = running.client.get(older.base_url).headers
    current = running.client.get(newer.base_url).headers

    assert (production["x-deployment-id"], outdated["x-deployment-id"]) == (newer.id, older.id)
    assert production["x-vercel-id"].startswith("fra1::")
    assert production["x-vercel-id"] != current["x-vercel-id"]
    assert production["x-vercel-cache"] == "MISS"
    assert (outdated["x-robots-tag"], "x-robots-tag" in current) == ("noindex", False)


def test_the_edge_keeps_what_it_was_told_to_keep_to_itself(running: RunningEdge) -> None:
    """`s-maxage` is for the edge only; the client sees the same header as from Vercel."""
    running.publish(promote=True)

    headers = running.client.get(f"{running.edge.production_url}/cached").headers

    assert headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert headers["x-vercel-cache"] == "PRERENDER"


def test_the_application_sees_forwarded_headers_of_the_edge_only(running: RunningEdge) -> None:
    """A client cannot choose the address that rate limits count."""
    running.publish(promote=True)
    forged = {"x-forwarded-for": "203.0.113.9", "x-forwarded-host": "evil.test"}

    seen = running.client.get(running.edge.production_url, headers=forged).json()["headers"]

    assert seen["x-forwarded-for"] == LOOPBACK
    assert seen["x-forwarded-host"] == running.edge.production_listener.address


@pytest.mark.parametrize("way", ["query", "header", "cookie"])
def test_a_request_can_be_pinned_to_a_deployment(running: RunningEdge, way: str) -> None:
    """Under skew protection an open tab keeps its build, even after the alias moved."""
    older, newer = running.publish(promote=True), running.publish(promote=True)
    query = {"dpl": older.id} if way == "query" else None
    headers = {"header": {"x-deployment-id": older.id}, "cookie": {"cookie": f"__vdpl={older.id}"}}.get(way)

    pinned = running.client.get(running.edge.production_url, params=query, headers=headers)
    plain = running.client.get(running.edge.production_url)

    assert pinned.headers["x-deployment-id"] == older.id
    assert plain.headers["x-deployment-id"] == newer.id
    assert "set-cookie" not in pinned.headers


@pytest.mark.parametrize("reason", ["unknown", "deleted", "too old", "a preview"])
def test_a_pin_to_what_is_gone_is_not_found(running: RunningEdge, reason: str) -> None:
    """Old tabs get the platform's own 404, never another build."""
    older = running.publish("preview" if reason == "a preview" else "production")
    running.publish(promote=True)
    older.deleted = reason == "deleted"
    if reason == "too old":
        running.edge.project.skew_max_age_s = 3600
        older.created -= 3_601_000
    pin = "dpl_unknown" if reason == "unknown" else older.id

    answer = running.client.get(running.edge.production_url, headers={"x-deployment-id": pin})

    assert (answer.status_code, answer.headers["x-vercel-error"]) == (404, "DEPLOYMENT_NOT_FOUND")
    assert "x-deployment-id" not in answer.headers


def test_production_itself_is_never_too_old_for_a_pin(running: RunningEdge) -> None:
    """Every user may have it open."""
    current = running.publish(promote=True)
    current.created -= 10 * 86_400_000

    answer = running.client.get(running.edge.production_url, params={"dpl": current.id})

    assert answer.headers["x-deployment-id"] == current.id


def test_without_skew_protection_a_pin_means_nothing(running: RunningEdge) -> None:
    """A gate that relied on the pin would blame the wrong build."""
    older, newer = running.publish(promote=True), running.publish(promote=True)
    running.edge.project.skew_protection = False

    answer = running.client.get(running.edge.production_url, params={"dpl": older.id})

    assert answer.headers["x-deployment-id"] == newer.id


@pytest.mark.parametrize("gone", ["deleted", "no alias"])
def test_an_alias_without_a_deployment_is_the_platform_s_own_404(running: RunningEdge, gone: str) -> None:
    """It must not look like a missing page of the application."""
    deployment = running.publish(promote=True)
    if gone == "deleted":
        deployment.deleted = True
    else:
        running.edge.production = None

    answer = running.client.get(running.edge.production_url)

    assert (answer.status_code, answer.headers["x-vercel-error"]) == (404, "DEPLOYMENT_NOT_FOUND")
    assert "DEPLOYMENT_NOT_FOUND" in answer.text
    assert "x-deployment-id" not in answer.headers


def test_a_crash_is_the_platform_s_own_500(running: RunningEdge) -> None:
    """The next request is answered normally."""
    deployment = running.publish(promote=True)

    answer = running.client.get(f"{running.edge.production_url}/crash")

    assert (answer.status_code, answer.headers["x-vercel-error"]) == (500, "FUNCTION_INVOCATION_FAILED")
    assert "the application broke" not in answer.text
    assert "the application broke" in running.edge.crashes[-1]
    assert running.served() == deployment.id


def test_a_protected_deployment_shows_vercel_s_login_page(running: RunningEdge) -> None:
    """A gate without the bypass secret gets 401 and must not call it an outage; production stays open."""
    deployment = running.publish(promote=True)
    deployment.protected = True

    other_students = [
        running.client.get(deployment.base_url),
        running.client.get(deployment.base_url, headers={BYPASS: "wrong"}),
    ]

    assert [answer.status_code for answer in other_students] == [401, 401]
    assert ["_vercel_sso_nonce" in answer.headers["set-cookie"] for answer in other_students] == [True, True]
    assert "Authentication Required" in other_students[0].text
    assert running.edge.requests[deployment.id] == 0
    assert running.served() == deployment.id


@pytest.mark.parametrize("way", ["header", "query"])
def test_the_bypass_secret_opens_a_protected_deployment(running: RunningEdge, way: str) -> None:
    """The secret works as a header, and in the query where a client cannot set headers."""
    deployment = running.publish()
    deployment.protected = True
    given = {BYPASS: running.edge.bypass_secret}

    answer = running.client.get(
        deployment.base_url,
        headers=given if way == "header" else None,
        params=given if way == "query" else None,
    )

    assert (answer.status_code, answer.headers["x-deployment-id"]) == (200, deployment.id)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("wish", "same_site"), [("true", "SameSite=Lax"), ("samesitenone", "SameSite=None")])
def test_the_bypass_can_be_kept_as_a_cookie(running: RunningEdge, wish: str, same_site: str) -> None:
    """A browser opens one page with the secret and the others with the cookie."""
    deployment = running.publish()
    deployment.protected = True
    asked = {BYPASS: running.edge.bypass_secret, "x-vercel-set-bypass-cookie": wish}

    with httpx.Client(trust_env=False) as browser:
        first = browser.get(deployment.base_url, headers=asked)
        second = browser.get(f"{deployment.base_url}/next")

    assert same_site in first.headers["set-cookie"]
    assert (first.status_code, second.status_code) == (200, 200)


def test_a_cut_address_refuses_connections_until_it_is_restored(running: RunningEdge) -> None:
    """The address stays the same, as it does when a network fails."""
    deployment = running.publish(promote=True)
    listener = running.edge.production_listener
    address = listener.address

    running.do(listener.cut())
    with pytest.raises(httpx.ConnectError):
        running.served()
    running.do(listener.remedy())

    assert (running.served(), listener.address) == (deployment.id, address)


def test_a_promote_can_be_had_at_once(running: RunningEdge) -> None:
    """Self-tests prepare a state without waiting for jobs; the record of the promote is the same."""
    older, newer = running.publish(promote=True), running.publish(promote=True)

    running.edge.rollback(older.id)

    assert running.served() == older.id
    assert running.edge.project.auto_assign_custom_domains is False
    assert [(job.kind, job.to_id, job.status) for job in running.edge.alias_requests] == [
        ("promote", older.id, "succeeded"),
        ("promote", newer.id, "succeeded"),
        ("rollback", older.id, "succeeded"),
    ]


def test_the_edge_does_not_need_the_application() -> None:
    """It serves any ASGI application; the web application and the database are not even loaded."""
    script = (
        "import json, sys, fixtures.sandbox.edge.edge, fixtures.sandbox.edge.vercel_api\n"
        "import fixtures.sandbox.vendors.sinks\n"
        "print(json.dumps([name for name in sys.modules if name.startswith(('fixtures.sandbox.app', 'psycopg'))]))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert json.loads(ended.stdout) == []
