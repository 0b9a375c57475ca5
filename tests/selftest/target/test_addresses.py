"""Addresses that a person gives: one form for each host, one line for each mistake, and never a secret in a message."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures.model.toml_tables import UsageError
from fixtures.target.addresses import checked_address, checked_origin, shown
from fixtures.target.target import load
from fixtures.target.variants import asked_deployment

SECRET = "hunter2hunter2"  # noqa: S105  (it is looked for in messages)


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("HTTPS://7P.Test/", "https://7p.test"),
        ("https://7p.test.", "https://7p.test"),
        ("https://7p.test./", "https://7p.test"),
        ("https://7p.test:443", "https://7p.test"),
        ("http://7p.test:80//", "http://7p.test"),
        ("http://7p.test:443", "http://7p.test:443"),
        ("https://7p.test:", "https://7p.test"),
        ("https://7p.test:08443", "https://7p.test:8443"),
        ("https://Eğitim.test", "https://xn--eitim-k1a.test"),
        ("https://münchen。test", "https://xn--mnchen-3ya.test"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://[0:0::1]", "http://[::1]"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    ],
)
def test_an_origin_has_one_form(given: str, origin: str) -> None:
    """A target with two names would have two states."""
    target = load(given, environ={})

    assert (target.name, target.url) == (origin, origin)
    assert checked_origin(origin, "--target") == origin


@pytest.mark.parametrize(
    "given",
    [
        f"https://7p.test?token={SECRET}",
        f"https://7p.test/?token={SECRET}",
        f"https://7p.test#{SECRET}",
        f"https://user:{SECRET}@7p.test",
        f"https://{SECRET}@7p.test",
        f"https://user:{SECRET}?x@7p.test",
        f"https://user:x/{SECRET}@7p.test",
        f"https://7p.test?x=a@{SECRET}",
        f"https://7p.test/{SECRET}",
        f"7p.test?token={SECRET}",
        f"{SECRET}://user:{SECRET}@7p.test",
        "https://7p.test:0",
        "https://7p.test:65536",
        "https://7p.test:http",
        "https://7p.test:+80",
        "https://7p.test:\uff18\uff10",
        "https://7p .test",
        " https://7p.test",
        "https://7p.test\n",
        "https://7p\t.test",
        "https://7p.test\\@evil.test",
        "https://7%70.test",
        "https://7p..test",
        "https://-7p.test",
        "https://7\u200bp.test",
        "https://7p.test\u202e",
        "http://[::1%25eth0]",
        "http://[::1",
        "https://",
        "https:///",
        "https://.",
        "ftp://7p.test",
        f"https://{'7' * 64}.test",
        f"https://{'7p.' * 90}test",
        " ",
        "\x1b[31m",
    ],
)
def test_a_target_that_is_no_origin_is_one_line_without_its_secrets(given: str) -> None:
    """A printed token stays in the log of the CI for ever."""
    with pytest.raises(UsageError) as refused:
        load(given, environ={})

    line = str(refused.value)
    assert line.startswith("--target ")
    assert line.isprintable()
    assert SECRET not in line


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("HTTPS://Status.7P.test/api/V2?a=B", "https://status.7p.test/api/V2?a=B"),
        ("http://7p.test:80?x", "http://7p.test?x"),
        ("http://7p.test", "http://7p.test"),
    ],
)
def test_an_address_keeps_its_path_and_query(given: str, address: str) -> None:
    """Paths are case-sensitive, and the server defines them."""
    assert checked_address(given, "key") == address


@pytest.mark.parametrize("given", ["https://7p.test/a b", "https://7p.test/#a", "7p.test/api", "https://7p.test/a\\b"])
def test_an_address_that_no_request_can_use_is_refused(given: str) -> None:
    """A failed request for it would look like a failure of the server."""
    with pytest.raises(UsageError, match=r"^key "):
        checked_address(given, "key")


@given(st.text() | st.from_regex(r"(https?|ftp)://[^/]{0,20}(:[0-9]{0,6})?[/?#]?.*"))
@example("http://[::1]:80")
def test_any_text_is_an_origin_or_one_line(text: str) -> None:
    """An accepted address can be asked; the line about a refused one shows nothing that cannot be printed."""
    origin, line = "http://refused.test", ""
    try:
        origin = checked_origin(text, "--target")
    except UsageError as refused:
        line = str(refused)
    parts = urlsplit(origin)

    assert line.isprintable()
    assert (parts.path, parts.query, parts.fragment, parts.username) == ("", "", "", None)
    assert parts.hostname
    assert origin.isascii()
    assert checked_origin(origin, "again") == origin


@given(st.text(), st.text())
def test_no_message_repeats_what_may_be_a_secret(before: str, after: str) -> None:
    """The text before an @ and the text after the host may be secrets."""
    for text in (f"https://{before}{SECRET}@{after}", f"https://{before}/{SECRET}{after}", f"7p?{SECRET}{after}"):
        assert SECRET not in shown(text)
        with suppress(UsageError):
            checked_origin(text, "--target")


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("", None),
        (" \n", None),
        ("dpl_123\n", "dpl_123"),
        ("7p-abc.vercel.app", "7p-abc.vercel.app"),
        (f"https://7p-ABC.vercel.app/?_vercel_share={SECRET}", "https://7p-abc.vercel.app"),
    ],
)
def test_a_deployment_is_named_by_id_host_or_address(given: str, asked: str | None) -> None:
    """A link to share a protected deployment holds a token, which no run needs."""
    assert asked_deployment({"SYNTHETIC_DEPLOYMENT": given}) == asked


@pytest.mark.parametrize("given", ["dpl 1", "dpl_1?x", f"https://u:{SECRET}@x.test", "https://[", "\x1b]0;x\x07"])
def test_a_deployment_that_cannot_be_one_is_one_line(given: str) -> None:
    """It is refused before anything runs."""
    with pytest.raises(UsageError, match=r"^SYNTHETIC_DEPLOYMENT[= ]") as refused:
        asked_deployment({"SYNTHETIC_DEPLOYMENT": given})

    assert str(refused.value).isprintable()
    assert SECRET not in str(refused.value)
