"""A proxy is used where SYNTHETIC_PROXY names one, and only then."""

from __future__ import annotations

import httpx
import pytest

from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import Outcome
from fixtures.run.bounded_http import BoundedTransport
from fixtures.run.network import PROXY_VARIABLE, proxy_for
from tests.selftest.conftest import Stub, Suite


def test_a_foreign_host_is_asked_by_the_proxy(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner in a closed network reaches nothing otherwise; its own sandbox is not behind the proxy."""
    monkeypatch.setenv(PROXY_VARIABLE, stub.url.replace("http://", "http://user:word@"))
    with httpx.Client(transport=BoundedTransport(), trust_env=False) as client:
        client.get("http://shop.invalid/page")
        client.get(f"{stub.url}/direct")

    (by_proxy, headers), (direct, _) = stub.seen
    assert by_proxy == "GET http://shop.invalid/page"
    assert headers["proxy-authorization"].startswith("Basic ")
    assert direct == "GET /direct"


def test_the_prefetch_and_the_browser_use_it(suite: Suite, stub: Stub) -> None:
    """A runner in a closed network would see an outage of every page and of every declared request."""
    for path in ("/one", "/two", "/page"):
        stub.json(f"GET http://shop.invalid{path}", "{}")
    suite.write(
        """
@post
@P1
@asks("GET /one")
def test_one(answer):
    assert answer.code == HTTPStatus.OK

@post
@P1
@asks("GET /two")
def test_two(answer):
    assert answer.code == HTTPStatus.OK
"""
    )
    opens = "@post\n@P1\ndef test_page(page):\n    assert page.goto('/page').ok\n"
    suite.write(opens, "tests/journeys/test_page.py")

    outcome = suite.run("-m", "postdeploy", "--target", "http://shop.invalid", environment={PROXY_VARIABLE: stub.url})

    assert [check.outcome for check in outcome.verdict.checks] == [Outcome.PASSED] * 3, outcome.out


def test_the_variables_of_the_machine_name_none(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy changes answers, so nobody gets one by accident."""
    monkeypatch.delenv(PROXY_VARIABLE, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, stub.url)
    with httpx.Client(transport=BoundedTransport(), trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get("http://shop.invalid/page")

    assert stub.seen == []


@pytest.mark.parametrize("value", ["proxy.test:3128", "ftp://proxy.test", "http://", "x"])
def test_a_wrong_address_is_refused_without_its_password(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the variable."""
    monkeypatch.setenv(PROXY_VARIABLE, value)

    with pytest.raises(UsageError, match=r"^SYNTHETIC_PROXY: not the address of a proxy; give http://HOST:PORT"):
        proxy_for("shop.test")
