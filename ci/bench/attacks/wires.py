"""Answers that no server should give: too long, too slow, incomplete, or with false headers."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import chain

from ci.bench.attacks.front import Wire

_MB = 1 << 20
_ENDLESS = 1 << 30
_PAGE = b"<!doctype html><html lang=tr><head><title>7P</title></head><body><main><h1>7P Education</h1>"
HTML = b"content-type: text/html; charset=utf-8\r\n"
JSON = b"content-type: application/json\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n"


def head(deployment: str, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """Return the head of an answer that names its deployment; the connection closes after it."""
    named = f"x-deployment-id: {deployment}\r\nserver: Vercel\r\nconnection: close\r\n".encode()
    return b"HTTP/1.1 " + status + b"\r\n" + named + b"".join(lines) + b"\r\n"


def pieces(
    *lines: bytes, body: Callable[[], Iterable[bytes]] = tuple, status: bytes = b"200 OK", pause: float = 0.0
) -> Wire:
    """Return an answer with a head and a body in pieces. pause: seconds between two pieces."""

    async def wire(deployment: str) -> AsyncIterator[bytes]:
        yield head(deployment, *lines, status=status)
        for piece in body():
            await asyncio.sleep(pause)
            yield piece

    return wire


def raw(*parts: bytes, pause: float = 0.0) -> Wire:
    """Return an answer of these bytes only."""

    async def wire(_deployment: str) -> AsyncIterator[bytes]:
        for part in parts:
            yield part
            await asyncio.sleep(pause)

    return wire


def endless(first: bytes, again: Callable[[int], bytes], *, pause: float = 0.0) -> Wire:
    """Return an answer that does not end before the client gives up."""

    async def wire(_deployment: str) -> AsyncIterator[bytes]:
        yield first
        for number in range(_ENDLESS):
            yield again(number)
            await asyncio.sleep(pause)

    return wire


async def _hang(_deployment: str) -> AsyncIterator[bytes]:
    """Accept the request and never answer."""
    await asyncio.Event().wait()
    yield b""


def _chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def bomb(wbits: int, *, size_mb: int = 2048) -> Iterable[bytes]:
    """Yield a compressed stream of zeros. After a full flush the same bytes may follow again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    zeros = b"\0" * _MB
    first = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    yield _chunk(first)
    for _ in range(size_mb):
        yield _chunk(again)


def _repeated(piece: bytes, times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield piece


_GZIP, _DEFLATE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS
_COOKIES = b"".join(b"set-cookie: c%d=v; Path=/\r\n" % number for number in range(10_000))
_HEADERS = b"".join(b"x-h%d: v\r\n" % number for number in range(10_000))
# A page that a user cannot open. name -> (summary, answer).
PAGES: dict[str, tuple[str, Wire]] = {
    "gzip-bomb": (
        "2 MB of gzip that become 2 GB",
        pieces(HTML, _CHUNKED, b"content-encoding: gzip\r\n", body=lambda: bomb(_GZIP)),
    ),
    "deflate-bomb": (
        "2 MB of deflate that become 2 GB",
        pieces(HTML, _CHUNKED, b"content-encoding: deflate\r\n", body=lambda: bomb(_DEFLATE)),
    ),
    "one-gigabyte": (
        "a body of 1 GB",
        pieces(HTML, b"content-length: 1073741824\r\n", body=lambda: _repeated(b"a" * _MB, 1024)),
    ),
    "endless-body": (
        "a body that does not end",
        pieces(HTML, _CHUNKED, body=lambda: _repeated(_chunk(b"<p>" * 20_000), _ENDLESS)),
    ),
    "dripping-body": (
        "a body of one byte a second",
        pieces(HTML, _CHUNKED, body=lambda: _repeated(_chunk(b"a"), _ENDLESS), pause=1.0),
    ),
    "dripping-page": (
        "a page, and then a byte every two seconds",
        pieces(HTML, _CHUNKED, body=lambda: chain([_chunk(_PAGE)], _repeated(_chunk(b" "), _ENDLESS)), pause=2.0),
    ),
    "dripping-head": ("a header of one byte a second", endless(b"HTTP/1.1 200 OK\r\nx-a: ", lambda _: b"a", pause=1.0)),
    "dripping-headers": (
        "a header every half second, without an end",
        endless(b"HTTP/1.1 200 OK\r\n", lambda number: b"x-%d: a\r\n" % number, pause=0.5),
    ),
    "endless-headers": (
        "headers without an end",
        endless(b"HTTP/1.1 200 OK\r\n", lambda number: b"x-%d: aaaaaaaaaaaaaaaaaaaaaaaa\r\n" % number),
    ),
    "endless-header": ("one header without an end", endless(b"HTTP/1.1 200 OK\r\nx-a: ", lambda _: b"a" * 60_000)),
    "endless-informational": (
        "interim answers without an end",
        endless(b"", lambda _: b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", pause=0.001),
    ),
    "endless-status": ("a status line without an end", endless(b"HTTP/1.1 200 ", lambda _: b"OK" * 30_000)),
    "nothing": ("the connection closes without an answer", raw()),
    "hang": ("the request is taken and never answered", _hang),
    "hang-in-the-body": (
        "the head comes, the body never",
        pieces(HTML, b"content-length: 9000\r\n", body=lambda: _repeated(b"", 1), pause=600.0),
    ),
    "no-http": ("bytes that are not HTTP", raw(b"\x15\x03\x01\x00\x02\x02\x16")),
    "ssh": ("the greeting of another protocol", raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
    "status-junk": ("a status line without a number", raw(b"HTTP/1.1 okay fine\r\n\r\n")),
    "torn-body": (
        "a body that is shorter than it says",
        pieces(HTML, b"content-length: 9000\r\n", body=lambda: [_PAGE]),
    ),
    "torn-chunks": ("a chunk without its end", pieces(HTML, _CHUNKED, body=lambda: [b"ffff\r\n", _PAGE])),
    "wrong-chunks": ("a chunk whose length is no number", pieces(HTML, _CHUNKED, body=lambda: [b"zz\r\nabc\r\n"])),
    "negative-length": ("a length below zero", pieces(HTML, b"content-length: -5\r\n", body=lambda: [_PAGE])),
    "two-lengths": (
        "two lengths that differ",
        pieces(HTML, b"content-length: 5\r\ncontent-length: 9\r\n", body=lambda: [_PAGE]),
    ),
    "gzip-that-is-none": (
        "text that says it is gzip",
        pieces(HTML, b"content-encoding: gzip\r\n", body=lambda: [_PAGE]),
    ),
    "brotli-that-is-none": (
        "text that says it is Brotli",
        pieces(HTML, b"content-encoding: br\r\n", body=lambda: [_PAGE]),
    ),
    "redirect-to-itself": ("a redirect to itself", pieces(b"location: /\r\n", status=b"307 Temporary Redirect")),
    "redirect-far": (
        "a redirect of 60,000 characters",
        pieces(b"location: /" + b"a" * 60_000 + b"\r\n", status=b"307 Temporary Redirect"),
    ),
    "redirect-to-a-file": (
        "a redirect to a file of the machine",
        pieces(b"location: file:///etc/passwd\r\n", status=b"307 Temporary Redirect"),
    ),
    "redirect-to-a-script": (
        "a redirect to a script",
        pieces(b"location: javascript:alert(1)\r\n", status=b"307 Temporary Redirect"),
    ),
    "redirect-to-nobody": (
        "a redirect to an address that refuses",
        pieces(b"location: http://127.0.0.9:1/\r\n", status=b"307 Temporary Redirect"),
    ),
    "redirect-torn": (
        "a redirect to an address that cannot be read",
        pieces(b"location: http://[::1\r\n", status=b"307 Temporary Redirect"),
    ),
    "redirect-nowhere": ("a redirect without an address", pieces(status=b"307 Temporary Redirect")),
    "status-999": ("a status that does not exist", pieces(HTML, status=b"999 Odd", body=lambda: [_PAGE])),
    "status-600": ("a status beyond 5xx", pieces(HTML, status=b"600 Odd", body=lambda: [_PAGE])),
    "wrong-text": (
        "bytes that are no UTF-8",
        pieces(HTML, body=lambda: [_PAGE, b"\xff\xfe\xc3\x28" * 1000]),
    ),
    "zeros": ("a page of zero bytes", pieces(HTML, body=lambda: [b"\0" * 9000])),
}
# An answer of an API that cannot be read.
APIS: dict[str, tuple[str, Wire]] = {
    "json-deep": ("100,000 brackets", pieces(JSON, body=lambda: [b"[" * 100_000 + b"]" * 100_000])),
    "json-deep-objects": (
        "100,000 objects in each other",
        pieces(JSON, body=lambda: [b'{"a":' * 100_000 + b"1" + b"}" * 100_000]),
    ),
    "json-long": ("a list of 60 MB", pieces(JSON, body=lambda: chain([b"[1"], _repeated(b",1" * 500_000, 60), [b"]"]))),
    "json-digits": ("a number of 100,000 digits", pieces(JSON, body=lambda: [b'{"courses":' + b"9" * 100_000 + b"}"])),
    "json-infinite": ("a number beyond all numbers", pieces(JSON, body=lambda: [b'{"courses":[{"price":1e400}]}'])),
    "json-nan": ("NaN", pieces(JSON, body=lambda: [b'{"courses":NaN}'])),
    "json-surrogate": ("half of a surrogate pair", pieces(JSON, body=lambda: [b'{"courses":[{"title":"\\ud800"}]}'])),
    "json-torn": ("half an object", pieces(JSON, body=lambda: [b'{"courses":[{"id":'])),
    "json-with-mark": ("a byte order mark and nothing else", pieces(JSON, body=lambda: [b"\xef\xbb\xbf"])),
    "json-utf16": ("UTF-16", pieces(JSON, body=lambda: ['{"courses":[]}'.encode("utf-16")])),
    "json-bomb": (
        "2 GB of zeros in gzip",
        pieces(JSON, _CHUNKED, b"content-encoding: gzip\r\n", body=lambda: bomb(_GZIP)),
    ),
    "json-hang": ("the request is taken and never answered", _hang),
}
# Headers on answers that are right otherwise.
HEADERS: dict[str, tuple[str, bytes]] = {
    "turkish-header": ("a header with Turkish letters in UTF-8", "x-motto: Öğrenmek için ışık\r\n".encode()),
    "latin-header": ("a header in Latin-1", b"x-motto: \xd6\xf0renmek\r\n"),
    "wrong-header": ("a header that is no text at all", b"x-motto: \xff\xfe\x80\r\n"),
    "turkish-cookie": ("a cookie with Turkish letters", "set-cookie: tercih=açık; Path=/\r\n".encode()),
    "odd-cookie": (
        "a cookie that is not well formed",
        b'set-cookie: a b="c,d;e\\"f"; Path=/; =; Expires=yesterday\r\n',
    ),
    "nameless-cookie": ("a cookie without a name", b"set-cookie: =value\r\nset-cookie: ;\r\n"),
    "cookie-of-another-age": (
        "a cookie whose age is no number",
        b"set-cookie: a=b; Max-Age=" + b"9" * 400 + b"; Path=/\r\n",
    ),
    "language-cookie": ("a language cookie", b"set-cookie: NEXT_LOCALE=tr; Path=/\r\n"),
    "empty-header": ("headers without values", b"x-empty:\r\nx-blank:   \r\n"),
    "date-of-no-day": ("a date that does not exist", b"x-when: Fri, 31 Feb 2026 25:61:61 GMT\r\n"),
    "retry-for-ever": ("a Retry-After in an answer that is right", b"retry-after: 99999999999\r\n"),
    "hundred-headers": ("100 more headers", b"".join(b"x-h%d: v\r\n" % number for number in range(100))),
}
# So many that no browser and no proxy takes them.
MANY_HEADERS: dict[str, tuple[str, bytes]] = {
    "many-headers": ("10,000 headers", _HEADERS),
    "many-cookies": ("10,000 cookies", _COOKIES),
    "long-header": ("a header of 1 MB", b"x-long: " + b"a" * _MB + b"\r\n"),
    "long-cookie": ("a cookie of 1 MB", b"set-cookie: long=" + b"a" * _MB + b"; Path=/\r\n"),
}
