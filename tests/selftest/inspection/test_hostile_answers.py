"""Every detector takes every answer, in bounded time: no body, header or address that a target sends raises."""

from __future__ import annotations

import time
from dataclasses import replace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.checks.answers import Answer
from fixtures.checks.parsed_html import too_complex
from fixtures.inspection import delivery, detectors
from fixtures.inspection.crawl import links_of
from fixtures.inspection.fuzz import wrongs
from fixtures.inspection.inspected import Looker
from fixtures.target.target import Target

URL = "https://www.7peducation.test"
TARGET = Target(name="hostile", url=URL, mode="shadow")
LOOKER = Looker(TARGET, frozenset({"www.7peducation.test"}))
HTML = "text/html; charset=utf-8"


def _answer(body: bytes | str, kind: str = HTML, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else body.encode()
    named = httpx.Headers({"content-type": kind} | headers, encoding="utf-8")
    return Answer("GET", f"{URL}/api/x", 200, named, content)


def _look(answer: Answer) -> dict[str, list[str]]:
    links_of(answer, LOOKER.own) if not detectors.cut(answer) and answer.content.isascii() else []
    wrongs(answer, api=True, secrets=["secret"])
    delivery.hidden_from_search(answer)
    delivery.forgotten(answer)
    return LOOKER.findings_of(answer)


MB = 1_000_000
# Where the steps grow with the square of the length, this is many minutes; otherwise it is about a second.
SECONDS = 100
SLOW = {
    "nested": "<div>" * (MB // 5),
    "nested attributes": "<b class='x'><i>" * 60_000,
    "attributes": "<p " + " ".join(f"a{number}=1" for number in range(400_000)) + ">",
    "quoted attributes": "<p " + " ".join(f"a{number}='1'" for number in range(300_000)) + ">",
    "no end of a tag": "<" * MB,
    "an address": "a" * MB + "@",
    "addresses": "a@" * (MB // 2),
    "passwords": "password:x" * (MB // 10),
    "accounts": "a@b.c/" * (MB // 6),
    "a database": "postgres://a:" * (MB // 13),
    "tokens": "-eyJ" * (MB // 4),
    "SQL": "SELECT " * (MB // 7),
    "spaces": "<p>" + " " * MB + "</p>",
    "stack": "\n   at " * (MB // 7),
    "mojibake": "Ã" * (MB // 2),
}


@pytest.mark.parametrize("name", SLOW)
def test_detectors_end_in_time(name: str) -> None:
    """A pattern that is tried at every place up to the end of a page takes many minutes for one megabyte."""
    began = time.process_time()

    _look(_answer(SLOW[name]))

    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(("name", "said"), [("nested", "nested deeper"), ("attributes", "more than 1000 attributes")])
def test_a_page_that_no_parser_ends_is_a_finding(name: str, said: str) -> None:
    """The part before is looked at; the check that reads the page says why it is red."""
    answer = _answer(SLOW[name])

    assert said in " ".join(_look(answer)["cut"])
    with pytest.raises(AssertionError, match=said):
        _ = answer.page


def test_a_cut_answer_is_a_finding_and_searched_for_secrets() -> None:
    """Secrets count wherever they are; everything else would take seconds for each answer of five megabytes."""
    answer = replace(_answer("sk_live_4eC39HqLyjWDarjtT1zdp7dc a@b.co"), cut="more than 5 MB, cut")

    assert LOOKER.findings_of(answer) == {"secrets": ["a Stripe secret key"], "cut": ["more than 5 MB, cut"]}


def test_ordinary_large_pages_are_whole() -> None:
    """Many elements side by side, pictures within the page, vector drawings, and text in scripts are no trouble."""
    rows = "<table>" + "<tr><td>a<td><img src=x><p>b" * 20_000 + "</table>"
    picture = f'<img alt="" src="data:image/png;base64,{"A/b+" * 50_000}">'
    drawing = "<svg>" + '<path d="M0 0L1 1"/>' * 20_000 + "</svg>"
    script = "<script>" + "if (a<b) document.write('<div>x</div>');" * 5_000 + "</script>"

    assert [too_complex(page) for page in (rows, picture, drawing, script)] == ["", "", "", ""]


@pytest.mark.parametrize(
    "body",
    [
        "[" * 200_000,
        '{"a":' * 900 + "1" + "}" * 900,
        '{"n": NaN}',
        '{"n": 1e400}',
        '{"n": ' + "9" * 5000 + "}",
        '\ufeff{"a": 1}',
        '{"a": "\\ud800"}',
        '{"a": 1, "a": 2}',
        "",
    ],
)
def test_odd_json_raises_nothing(body: str) -> None:
    """A check that reads it fails with a text; a detector goes on."""
    answer = _answer(body, "application/json")

    _look(answer)
    with pytest.raises(AssertionError, match=r"GET https://"):
        answer.read(list[str])


@pytest.mark.parametrize(
    "address", ["http://[", "http://[::1", "http://a]b/", "http://\u2100.test/", "//[/", "http://"]
)
def test_odd_addresses_raise_nothing(address: str) -> None:
    """An odd address raises no error, in a page or in a redirect."""
    _look(_answer(f'<img src="{address}"><a href="{address}">x</a><form action="{address}">'))
    _look(_answer("", location=address))


def test_turkish_headers_raise_nothing() -> None:
    """Headers in UTF-8 or Latin-5, and a cookie that is JSON, raise no error."""
    raw = [
        (b"x-greeting", "Hoş geldiniz, öğrenci".encode()),
        (b"x-old", "Hoş geldiniz".encode("iso-8859-9")),
        (b"set-cookie", b'a={"b": [1]}; Expires=nonsense'),
        (b"content-type", "text/html; charset=türkçe; ş".encode()),
        (b"cache-control", b"max-age=" + b"9" * 6000),
    ]

    _look(Answer("GET", f"{URL}/", 200, httpx.Headers(raw), b"<p>x"))


_TEXTS = st.one_of(
    st.text(max_size=80), st.sampled_from(["<a href='http://[x'>", "<meta name=robots", "eyJ.eyJ.", "@"])
)


@settings(max_examples=150, deadline=None)
@given(
    body=st.one_of(
        st.binary(max_size=200), st.lists(_TEXTS).map(lambda parts: "".join(parts).encode(errors="replace"))
    ),
    kind=st.sampled_from([HTML, "text/html", "application/json", "text/plain; charset=x;;=", "", "image/png", "ş/ğ"]),
    names=st.dictionaries(
        st.sampled_from(["location", "cache-control", "set-cookie", "x-robots-tag", "content-encoding"]),
        st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n\0")),
    ),
    code=st.sampled_from([200, 302, 404, 500]),
)
def test_no_answer_raises(body: bytes, kind: str, names: dict[str, bytes], code: int) -> None:
    """Any bytes, statuses and headers."""
    raw = [(b"content-type", kind.encode()), *((name.encode(), value) for name, value in names.items())]

    _look(Answer("GET", f"{URL}/", code, httpx.Headers(raw), body))
