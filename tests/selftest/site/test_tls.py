"""A target behind TLS: which protocol is spoken, whom it is trusted by, and cookies that travel over TLS only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from fixtures.run.network import CA_VARIABLE
from fixtures.sandbox.edge.tls_front import TlsFront
from tests.selftest.conftest import Suite

CHECKS = """
@post
@P1
@asks("GET /ahead")
def test_ahead(answer):
    assert answer.status == HTTPStatus.OK

@post
@P1
@depends_on("GET /live*")
def test_live(site, threads):
    answers = list(threads.map(site.ask, [f"GET /live/{number}" for number in range(24)]))
    assert [answer for answer in answers if answer.status != HTTPStatus.OK] == []
"""


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"path": Request(scope, receive).url.path})(scope, receive, send)


@contextmanager
def _served(directory: Path, *, http2: bool) -> Iterator[TlsFront]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    async def open_front() -> TlsFront:
        return await TlsFront(_hello, directory, http2=http2).__aenter__()

    front = asyncio.run_coroutine_threadsafe(open_front(), loop).result(20)
    try:
        yield front
    finally:
        asyncio.run_coroutine_threadsafe(front.__aexit__(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize(
    ("http2", "spoken"), [(True, {"2": 1, "1.1": 24}), (False, {"1.1": 25})], ids=["offered", "not offered"]
)
def test_http2_is_spoken_where_it_is_offered(
    suite: Suite, tmp_path: Path, *, http2: bool, spoken: dict[str, int]
) -> None:
    """
    Production's edge multiplexes; what speaks HTTP/1.1 only must not look broken.

    Threads share no connection: httpcore numbers the streams of HTTP/2 without a lock, and the edge hangs up.
    """
    suite.write(CHECKS)

    with _served(tmp_path, http2=http2) as front:
        environment = {CA_VARIABLE: str(front.ca_file)}
        outcome = suite.run("-m", "postdeploy", "--target", front.url, environment=environment)

    assert outcome.code == pytest.ExitCode.OK, outcome.out
    assert front.protocols == spoken


def test_an_authority_that_nobody_named_is_not_trusted(suite: Suite, tmp_path: Path) -> None:
    """A proxy with its own certificate must not be taken for the platform."""
    suite.write(CHECKS)

    with _served(tmp_path, http2=True) as front:
        outcome = suite.run("-m", "postdeploy", "--target", front.url)

    assert "no trusted TLS" in outcome.check("test_ahead").reason
    assert outcome.check("test_ahead").attempts[0].blocker == "runner"
    assert front.protocols == {}


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "torn"])
def test_a_wrong_file_is_one_line(suite: Suite, tmp_path: Path, content: str | None) -> None:
    """One line names the file before the run starts; forty checks that cannot connect would hide it."""
    suite.write(CHECKS)
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)

    outcome = suite.run("-m", "postdeploy", "--target", "https://127.0.0.1:9", environment={CA_VARIABLE: str(file)})

    assert outcome.code == 2
    assert f"{CA_VARIABLE}={file}: no certificates in PEM there" in outcome.err
