"""An answer stays within limits, whatever a server sends: size, before and after decompression, headers, time."""

from __future__ import annotations

import gzip
import resource
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.checks.answers import Answer
from fixtures.checks.blockers import blocker_of
from fixtures.run import bounded_http
from fixtures.run.bounded_http import MB, BoundedTransport, OverLimitError
from fixtures.run.current_run import Run
from fixtures.site.client import Site, cookies_of, new_client
from fixtures.target.target import Target
from fixtures.target.variants import Variant

Pieces = Callable[[], Iterator[bytes]]
HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n"
HTML = b"content-type: text/html\r\n"


@pytest.fixture
def hostile() -> Iterator[Callable[[Pieces], str]]:
    """Return what serves raw bytes to every connection, and its URL."""
    listeners: list[socket.socket] = []

    def serve(pieces: Pieces) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def work() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                connection.recv(65536)
                for piece in pieces():
                    connection.sendall(piece)

        threading.Thread(target=work, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for listener in listeners:
        listener.close()


@pytest.fixture
def ask(hostile: Callable[[Pieces], str], own_run: Run) -> Iterator[Callable[[Pieces], Answer]]:
    """Return what asks a site that answers with these bytes."""
    with new_client() as client:

        def asked(pieces: Pieces) -> Answer:
            url = hostile(pieces)
            target = Target(name="hostile", url=url, mode="shadow")
            return Site(client, target, Variant(name="target", url=url), own_run, lambda _: None).ask("GET /")

        yield asked


def _bomb(encoding: bytes, make: Callable[[], Iterator[bytes]]) -> Pieces:
    return lambda: iter([HEAD, HTML, b"content-encoding: ", encoding, b"\r\n\r\n", *make()])


def _squeezed(bits: int) -> Iterator[bytes]:
    squeezer, zeros = zlib.compressobj(9, zlib.DEFLATED, bits), b"\0" * MB
    for _ in range(300):
        yield squeezer.compress(zeros)
    yield squeezer.flush()


def _endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


@pytest.mark.parametrize(
    "pieces",
    [
        lambda: iter([HEAD, HTML, b"\r\n", b"x" * 60 * MB]),
        lambda: iter([HEAD, HTML, b"content-length: 99999999999\r\n\r\n", *(b"x" * MB for _ in range(60))]),
        lambda: _after(
            HEAD + HTML + b"transfer-encoding: chunked\r\n\r\n", _endless(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        ),
        _bomb(b"gzip", lambda: _squeezed(31)),
        _bomb(b"deflate", lambda: _squeezed(15)),
        _bomb(b"deflate", lambda: _squeezed(-15)),
    ],
    ids=["large", "declared", "endless", "gzip", "deflate", "raw deflate"],
)
def test_a_page_is_cut_at_five_megabytes(ask: Callable[[Pieces], Answer], pieces: Pieces) -> None:
    """The check that reads it says so, memory stays small, and it ends at once."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()

    answer = ask(pieces)

    assert (answer.code, answer.cut, len(answer.content)) == (200, "more than 5 MB, cut", 5 * MB)
    with pytest.raises(AssertionError, match=r"GET http.* -> 200 in \d+ ms; more than 5 MB, cut"):
        _ = answer.page
    assert time.monotonic() - began < 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120_000


def _after(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from pieces


def test_an_asset_may_be_larger_than_a_page(ask: Callable[[Pieces], Answer]) -> None:
    """A picture of 8 MB is a matter of taste; one of 11 MB is cut."""
    kind = b"content-type: image/png\r\n\r\n"

    assert ask(lambda: iter([HEAD, kind, b"x" * 8 * MB])).cut == ""
    assert ask(lambda: iter([HEAD, kind, b"x" * 11 * MB])).cut == "more than 10 MB, cut"


def test_a_page_within_the_limit_is_whole(ask: Callable[[Pieces], Answer]) -> None:
    """The header of the compression stays to be judged, and the text is decompressed once."""
    body = gzip.compress("<h1>Giriş</h1>".encode())

    answer = ask(
        lambda: iter([HEAD, b"content-type: text/html; charset=utf-8\r\ncontent-encoding: gzip\r\n\r\n", body])
    )

    assert (answer.cut, answer.page.headings(1), answer.headers["content-encoding"]) == ("", ["Giriş"], "gzip")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, gzip, gzip"])
def test_an_encoding_that_nobody_asked_for_is_not_decoded(ask: Callable[[Pieces], Answer], encoding: str) -> None:
    """Three layers of gzip turn a kilobyte into a gigabyte."""
    answer = ask(lambda: iter([HEAD, HTML, b"content-encoding: ", encoding.encode(), b"\r\n\r\nabc"]))

    assert answer.cut == f"content-encoding {encoding} was not asked for, not decoded"
    assert answer.content == b"abc"


def test_ten_thousand_headers_are_cut(ask: Callable[[Pieces], Answer]) -> None:
    """The suite keeps few headers of each answer."""
    cookies = b"".join(b"set-cookie: c%d=1\r\n" % number for number in range(3000))

    answer = ask(lambda: iter([HEAD, HTML, cookies, b"\r\n<p>"]))

    assert answer.cut == "more than 200 headers, cut"
    assert len(cookies_of(answer)) < 200


def test_headers_without_an_end_are_no_answer(ask: Callable[[Pieces], Answer]) -> None:
    """The client does not wait for their end."""
    assert ask(lambda: _after(HEAD, _endless(b"x-more: " + b"y" * 4000 + b"\r\n"))).trouble == "cut off"


def _drip(head: bytes, piece: bytes) -> Pieces:
    def pieces() -> Iterator[bytes]:
        yield head
        while True:
            time.sleep(0.05)
            yield piece

    return pieces


@pytest.mark.parametrize(
    "pieces",
    [
        _drip(HEAD + b"content-length: 100000\r\n\r\n", b"x"),
        _drip(HEAD, b"x-a: b\r\n"),
        _drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
    ids=["body", "headers", "hints"],
)
def test_a_dripping_answer_ends_in_time(hostile: Callable[[Pieces], str], pieces: Pieces) -> None:
    """A limit for each read alone never ends what sends a byte now and then."""
    began = time.monotonic()

    with (
        httpx.Client(transport=BoundedTransport(seconds=0.4), timeout=10) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.get(hostile(pieces))

    assert time.monotonic() - began < 3


def test_a_silent_host_gets_a_short_time_for_each_request(
    hostile: Callable[[Pieces], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred requests of ten seconds each would need minutes to show the same outage."""
    monkeypatch.setattr(bounded_http, "PATIENCE", bounded_http.Patience())
    monkeypatch.setattr(bounded_http, "SILENT_REQUESTS", 2)
    monkeypatch.setattr(bounded_http, "SILENT_S", 0.5)
    monkeypatch.setattr(bounded_http, "SHORT_S", 0.25)
    answers = iter([False] * 4 + [True] + [False] * 2)
    url = hostile(lambda: iter([HEAD, b"\r\n"]) if next(answers) else _drip(b"", b"")())
    took = []
    with httpx.Client(transport=BoundedTransport(), timeout=0.8) as client:
        for _ in range(7):
            began = time.monotonic()
            with suppress(httpx.TimeoutException):
                client.get(url)
            took.append(time.monotonic() - began > 0.6)

    assert took == [True, True, False, False, False, True, True]


def test_no_request_takes_longer_than_pairs_allow(
    hostile: Callable[[Pieces], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five rounds of ten seconds each would prove no more."""
    patience = bounded_http.Patience()
    patience.most = 0.2
    monkeypatch.setattr(bounded_http, "PATIENCE", patience)
    url = hostile(_drip(b"", b""))
    began = time.monotonic()
    with httpx.Client(transport=BoundedTransport(), timeout=10) as client, pytest.raises(httpx.ReadTimeout):
        client.get(url)

    assert time.monotonic() - began < 5


def test_a_host_that_lets_many_wait_for_their_full_time_gets_a_short_time(
    hostile: Callable[[Pieces], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment that hangs for one visitor in two answers often enough to look alive."""
    patience = bounded_http.Patience()
    monkeypatch.setattr(bounded_http, "PATIENCE", patience)
    monkeypatch.setattr(bounded_http, "LOST_REQUESTS", 2)
    answers = iter([False, True, False, True, False])
    url = hostile(lambda: iter([HEAD, b"\r\n"]) if next(answers) else _drip(b"", b"")())
    silent = []
    with httpx.Client(transport=BoundedTransport(), timeout=0.4) as client:
        for _ in range(4):
            with suppress(httpx.TimeoutException):
                client.get(url)
            silent.append(patience.is_silent(httpx.URL(url).netloc.decode()))

    assert silent == [False, False, True, True]


def test_requests_with_a_short_time_are_not_held_against_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that answers after an outage gets its full time again."""
    monkeypatch.setattr(bounded_http, "SILENT_REQUESTS", 0)
    monkeypatch.setattr(bounded_http, "SILENT_S", 0.0)
    patience = bounded_http.Patience()
    for _ in range(bounded_http.LOST_REQUESTS):
        request = httpx.Request("GET", "https://7p.test/")
        patience.time_for(request, 10.0)
        with pytest.raises(TimeoutError), patience.waiting(request):
            raise TimeoutError
    with patience.waiting(request):
        pass

    assert not patience.is_silent("7p.test")


def test_hosts_that_hang_do_not_keep_another_waiting(hostile: Callable[[Pieces], str]) -> None:
    """A witness that waits for a free connection looks as silent as the deployment that hangs."""
    arrived = threading.Semaphore(0)

    def hang() -> Iterator[bytes]:
        arrived.release()
        yield from _drip(b"", b"")()

    hanging, answering = hostile(hang), hostile(lambda: iter([HEAD, b"\r\n"]))
    with httpx.Client(transport=BoundedTransport(seconds=3.0)) as client, ThreadPoolExecutor(20) as pool:

        def ask(url: str) -> int | None:
            with suppress(httpx.HTTPError):
                return client.get(url, timeout=httpx.Timeout(3.0, pool=1.0)).status_code
            return None

        hangs = [pool.submit(ask, hanging) for _ in range(20)]
        # httpcore opens ten connections unless it is told otherwise.
        assert all(arrived.acquire(timeout=3.0) for _ in range(10))

        assert ask(answering) == 200
        assert {hang.result() for hang in hangs} == {None}


def test_later_answers_get_little_room_once_a_run_has_much(
    ask: Callable[[Pieces], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred pages of 5 MB each are kept until the end of a run."""
    monkeypatch.setattr(bounded_http, "_received", 201 * MB)

    answer = ask(lambda: iter([HEAD, HTML, b"\r\n", b"x" * MB]))

    assert (answer.cut, len(answer.content)) == ("more than 250 kB after 200 MB of other answers, cut", 250_000)


def test_a_strict_client_refuses_what_is_too_large(hostile: Callable[[Pieces], str]) -> None:
    """A vendor's answer that is cut could be misread; its client knows an answer that did not come."""
    url = hostile(lambda: iter([HEAD, b"content-type: application/json\r\n\r\n", b"[" * 6 * MB]))

    with (
        httpx.Client(transport=BoundedTransport(strict=True)) as client,
        pytest.raises(OverLimitError, match="more than 5 MB"),
    ):
        client.get(url)


def test_redirects_end(hostile: Callable[[Pieces], str], own_run: Run) -> None:
    """Each redirect leads to a new address, so that loop detection does not find it."""
    numbers = iter(range(10_000))
    url = hostile(lambda: iter([b"HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: /%d\r\n\r\n" % next(numbers)]))
    with new_client() as client:
        target = Target(name="hostile", url=url, mode="shadow")
        site = Site(client, target, Variant(name="target", url=url), own_run, lambda _: None)

        assert str(site.follow(site.ask("GET /")).trouble).startswith("redirect loop: more than 20 redirects")


@pytest.mark.parametrize(
    "location", ["http://[", "javascript:alert(1)", "http://\x7f/", "data:text/html,x", "http://:99999999/"]
)
def test_a_redirect_to_an_odd_address_is_the_last_answer(
    hostile: Callable[[Pieces], str], own_run: Run, location: str
) -> None:
    """No browser can open it either; the answer is what a check judges."""
    url = hostile(
        lambda: iter([b"HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: ", location.encode(), b"\r\n\r\n"])
    )
    with new_client() as client:
        target = Target(name="hostile", url=url, mode="shadow")
        site = Site(client, target, Variant(name="target", url=url), own_run, lambda _: None)
        answer = site.ask("GET /")

        assert site.follow(answer).code == answer.code == 302
        assert blocker_of(answer) is None


_LINE = st.binary(max_size=60).map(lambda line: line.translate(None, b"\r\n\0"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    headers=st.lists(st.tuples(st.sampled_from([b"x-a", b"set-cookie", b"content-type", b"location"]), _LINE)),
    body=st.binary(max_size=200),
)
def test_no_header_or_body_raises(
    ask: Callable[[Pieces], Answer], headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Bytes of any encoding: Turkish letters, control characters, cookies that no library takes."""
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)

    answer = ask(lambda: iter([HEAD, lines, b"\r\n", body]))

    assert answer.code == 200 or answer.trouble == "cut off"
    assert isinstance(cookies_of(answer), dict)
    assert isinstance(answer.exchange(), str)
    assert blocker_of(answer) is None


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('session={"a": [1, "b"]}; Path=/', {"session": '{"a": [1, "b"]}'}),
        ("a/b[c]=1; Expires=nonsense", {"a/b[c]": "1"}),
        ("dil=türkçe", {"dil": "türkçe"}),
        ('gone=""; Max-Age=0', {}),
        ("lonely", {"": "lonely"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_a_cookie_is_read_as_a_browser_reads_it(line: str, kept: dict[str, str]) -> None:
    """A session in JSON is a session."""
    headers = httpx.Headers([("set-cookie", line)], encoding="utf-8")

    assert cookies_of(Answer("GET", "http://x/", 200, headers)) == kept


def test_an_answer_over_the_rate_limit_is_not_called_wrong_json() -> None:
    """The reader would look for a broken contract, and the request came too often."""
    answer = Answer("GET", "http://x/", 429, httpx.Headers({"content-type": "application/json"}), b"{}")

    with pytest.raises(AssertionError, match=r"(?s)below the rate limit.*-> 429"):
        answer.read(int)


def test_a_cookie_beyond_ascii_is_sent_back(hostile: Callable[[Pieces], str], own_run: Run) -> None:
    """The cookie came from the platform; sending it back must not raise an error."""
    url = hostile(lambda: iter([HEAD, b"\r\n"]))
    with new_client() as client:
        target = Target(name="hostile", url=url, mode="shadow")
        site = Site(client, target, Variant(name="target", url=url), own_run, lambda _: None)

        assert site.ask("GET /", cookies={"dil": "türkçe ş"}, headers={"x-own": "ğ"}).code == 200
