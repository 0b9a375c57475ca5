"""After an error of the suite the target is asked once more: shortly, without a session, and never elsewhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from fixtures.checks.declarations import parse
from fixtures.checks.evidence import Evidence
from fixtures.report import bare_probe
from fixtures.run.current_run import Run
from fixtures.target.target import Target
from fixtures.target.variants import Variant
from tests.selftest.conftest import Stub

URL = "https://platform.test"


def evidence_of(*asked: str) -> Evidence:
    """Return the evidence of an attempt that asked these addresses by GET."""
    return Evidence(Path(), Path(), addresses=list(asked))


def test_the_last_three_addresses_are_asked_each_once() -> None:
    """A check that asked a hundred addresses asked the one that broke last."""
    asked = [f"{URL}/{number}" for number in (1, 2, 3, 4, 4)]

    assert bare_probe.addresses(evidence_of(*asked), [], URL) == [f"{URL}/4", f"{URL}/3", f"{URL}/2"]


def test_only_the_targets_own_host_is_asked() -> None:
    """The probe must not ask a third party, and its failure is not a failure of the target."""
    evidence = evidence_of("https://other.test/a", "http://platform.test/b")

    assert bare_probe.addresses(evidence, [], URL) == [URL]


def test_an_attempt_without_an_answer_asks_what_it_declared() -> None:
    """Only by GET: another method may change something."""
    declared = [parse("GET /a?b=1"), parse("POST /c")]

    assert bare_probe.addresses(evidence_of(), declared, URL) == [f"{URL}/a?b=1"]
    assert bare_probe.addresses(evidence_of(), [parse("POST /c")], URL) == [URL]


def probe(url: str, run: Path, *asked: str) -> str | None:
    """Return the exchange of the failure that a probe of these paths finds."""
    target = Target(name="stub", url=url, mode="shadow")
    found = bare_probe.failure(
        [f"{url}{path}" for path in asked], target, Variant(name="target", url=url), Run("r", "postdeploy", run, run)
    )
    return found.exchange() if found else None


def test_a_5xx_is_found_whichever_address_has_it(stub: Stub, tmp_path: Path) -> None:
    """The other addresses are in order."""
    stub.json("GET /fine", "{}")
    stub.json("GET /down", "{}", status=503)

    exchange = probe(stub.url, tmp_path, "/fine", "/down")

    assert exchange is not None
    assert exchange.startswith(f"GET {stub.url}/down -> 503")
    assert all("cookie" not in headers for _, headers in stub.seen)


@pytest.mark.parametrize("status", [200, 302, 401, 404, 429, 499])
def test_any_other_answer_is_no_failure(stub: Stub, tmp_path: Path, status: int) -> None:
    """A refusal without a session is right."""
    stub.json("GET /guarded", "{}", status=status)

    assert probe(stub.url, tmp_path, "/guarded") is None


def test_a_header_that_nobody_can_read_is_no_failure(stub: Stub, tmp_path: Path) -> None:
    """The probe must not have the error that it follows."""
    stub.answers["GET /odd"] = (200, {"x-course": "Kurs: şifre".encode().decode("latin-1")}, b"")

    assert probe(stub.url, tmp_path, "/odd") is None


@pytest.mark.parametrize(
    ("answer", "own_address", "names"),
    [
        ({"x-deployment-id": "dpl_1"}, False, True),
        ({"x-deployment-id": "dpl_2"}, False, False),
        ({"x-deployment-id": "dpl_2"}, True, False),
        ({}, False, False),
        ({}, True, True),
        ({"x-vercel-error": "DEPLOYMENT_NOT_FOUND"}, True, False),
    ],
    ids=["it", "the other", "the other at its address", "nobody", "nobody at its own address", "the edge"],
)
def test_a_deployment_is_a_witness_of_its_own_silence(
    stub: Stub, answer: dict[str, str], *, own_address: bool, names: bool
) -> None:
    """One route hangs and another one answers: the network is in order, and somebody is there."""
    stub.answers["GET /robots.txt"] = (404, answer, b"")
    target = Target(name="stub", url=stub.url, mode="shadow")
    variant = Variant(name="candidate", url=stub.url, deployment_id="dpl_1", own_address=own_address)

    assert bare_probe.names_itself(target, variant) is names
    silent = msgspec.structs.replace(variant, url="http://127.0.0.1:9")
    assert not bare_probe.names_itself(target, silent)


@contextmanager
def dripping() -> Iterator[str]:
    """Serve headers, a byte now and then, for ever."""
    server, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def drip() -> None:
        with suppress(OSError), server.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
            while not over.wait(0.05):
                connection.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        server.close()


def test_a_server_that_never_ends_is_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next check does not wait for the same address again."""
    monkeypatch.setattr(bare_probe, "_DEADLINE", 0.5)
    with dripping() as url:
        began = time.monotonic()

        exchanges = [probe(url, tmp_path, "/slow"), probe(url, tmp_path, "/slow")]

        assert time.monotonic() - began < 3
    assert exchanges == [f"GET {url}/slow -> no answer: timeout in 500 ms"] * 2
