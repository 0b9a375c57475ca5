"""A secret is redacted in every way in which it is written down on its way, and ordinary text is not."""

from __future__ import annotations

import html
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fixtures.model import redaction
from fixtures.model.redaction import SHOWN, Register, redact

SECRET = 'kanarya şifre~*"0123'  # noqa: S105  (made up)
LETTERS = st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))
SECRETS = st.text(LETTERS, min_size=8, max_size=40).filter(lambda text: len(set(text)) > 4 and text.strip() == text)
# No backslash: right before a secret it would make another letter of the first one.
AROUND = st.text(st.sampled_from('abc xyz019 =&?%/"<>.,;şİ\n'), max_size=12)


@pytest.fixture(autouse=True)
def no_secret_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the secrets of another."""
    monkeypatch.setattr(redaction, "_known", Register())


def _in_percent(secret: str) -> Iterator[str]:
    """Yield a secret as addresses show it: other characters are left as they are, digits are of either case."""
    for safe in ("", "/", "/:@!$&'()*+,;="):
        yield quote(secret, safe=safe)
        yield "".join(part.lower() if part.startswith("%") else part for part in _parts(quote(secret, safe=safe)))
    yield "".join(f"%{byte:02x}" for byte in secret.encode())
    yield quote(quote(secret, safe=""), safe="")


def _parts(quoted: str) -> Iterator[str]:
    at = 0
    while at < len(quoted):
        width = 3 if quoted[at] == "%" else 1
        yield quoted[at : at + width]
        at += width


def _in_utf16(secret: str, prefix: str) -> str:
    codes = secret.encode("utf-16-be").hex()
    return "".join(f"{prefix}{codes[at : at + 4]}" for at in range(0, len(codes), 4))


def written(secret: str) -> Iterator[str]:
    """Yield a secret in every encoding that the project promises to know."""
    in_json = json.dumps(secret)[1:-1]
    yield from (secret, secret.upper(), secret.lower(), *_in_percent(secret))
    yield from (quote_plus(secret), urlencode({"": secret})[1:])
    yield from (in_json, json.dumps(secret, ensure_ascii=False)[1:-1], in_json.replace("/", "\\/"))
    yield from (_in_utf16(secret, "\\u"), _in_utf16(secret, "%u"), json.dumps(in_json)[1:-1])
    yield from (html.escape(secret), "".join(f"&#{ord(letter)};" for letter in secret))
    yield "".join(f"&#x{ord(letter):X};" for letter in secret)
    yield from (secret.encode().hex(), secret.encode().hex().upper())


def _in_base64(secret: bytes, before: bytes, after: bytes) -> tuple[str, str]:
    text = before + secret + after
    return b64encode(text).decode(), urlsafe_b64encode(text).decode()


@settings(max_examples=150, deadline=None)
@given(SECRETS, AROUND, AROUND)
@example(SECRET, "", "")
@example("https://u:p@h/x?y=1#z", "<", ">")
@example("0000123:", "%", "")
@example("0000123:", "%0", "")
@example("00:/0123", "%41%", "")
@example("#65;Ğabcd", "&", "")
@example('lt;ab"c/x', "&", "")
@example('x41amid"kar', "\\", "")
def test_no_spelling_of_a_secret_survives(secret: str, before: str, after: str) -> None:
    """A password with a space, a quote or a letter of Turkish is as secret as another, wherever it stands."""
    redaction.register([secret])

    survived = [spelling for spelling in written(secret) if spelling in redact(f"{before}{spelling}{after}")]

    assert survived == []


@settings(max_examples=150, deadline=None)
@given(SECRETS, st.binary(max_size=5), st.binary(max_size=5))
def test_no_secret_survives_within_base64(secret: str, before: bytes, after: bytes) -> None:
    """The header `Basic` holds the password at any of three offsets; a decoder must not find it in what is left."""
    redaction.register([secret])

    for text in _in_base64(secret.encode(), before, after):
        shown = redact(f"x {text} y")

        assert SHOWN in shown
        assert max(map(len, shown.removeprefix("x ").removesuffix(" y").split(SHOWN))) <= len(text) // 2 + 8


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("abcdefgh0123!?"), min_size=4, max_size=6).filter(str.isascii))
def test_a_short_secret_is_redacted_where_it_stands_by_itself(secret: str) -> None:
    """A code of four digits is secret as a word; within another word or number it is a part of ordinary text."""
    redaction.register([secret])
    shown = redact(f"code {secret}, {quote(secret, safe='')} and {b64encode(secret.encode()).decode()}.")

    assert secret not in shown.split()
    assert shown.count(SHOWN) == 3
    assert redact(f"a{secret}z") == f"a{secret}z"


def test_a_secret_at_a_cut_is_redacted() -> None:
    """A report that shortens a long value shows its ends."""
    token = "Zk3vQ9pLm2Xw8RtYb5Nc7HdJ4gFs6A"  # noqa: S105  (made up)
    redaction.register([token])

    assert redact(f"'{token[:14]}...{token[-13:]}'") == f"'{SHOWN}...{SHOWN}'"
    assert redact(f"{token[5:20]}") == SHOWN


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://app:pw-12@db.test/x", f"postgresql://{SHOWN}@db.test/x"),
        ("postgresql://app:p@ss%2Fword@db.test/x", f"postgresql://{SHOWN}@db.test/x"),
        ("Authorization: Bearer abc123def456", f"Authorization: Bearer {SHOWN}"),
        ("cookie: next-auth.session-token=abc; a=b", f"cookie: next-auth.session-token={SHOWN}; a=b"),
        ("{'__Secure-next-auth.session-token': 'abc...", f"{{'__Secure-next-auth.session-token': '{SHOWN}"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", SHOWN),
        ("got sbp_0123456789abcdef0123", f"got {SHOWN}"),
        ("ghp_0123456789abcdef and github_pat_11AAAA_bbbb", f"{SHOWN} and {SHOWN}"),
        ("sk_live_51Habc rk_test_0123abcd pk_live_0123abcd", f"sk_live_51Habc {SHOWN} {SHOWN}"),
        ("whsec_0123abcdefgh", SHOWN),
        ("vcp_0123456789abcdefABCD", SHOWN),
        ("https://hooks.slack.com/services/T0/B0/xyz", f"https://hooks.slack.com/services/{SHOWN}"),
        ("GET /x?token=abcdefgh&a=1", f"GET /x?token={SHOWN}&a=1"),
        ("GET /x%3Ftoken%3Dabcdefgh", f"GET /x%3Ftoken%3D{SHOWN}"),
    ],
)
def test_the_shape_of_a_secret_is_enough(text: str, shown: str) -> None:
    """Nobody registers the token of somebody else that the platform prints."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "GET https://platform.test:8443/api/courses?sort=title&page=2 -> 200 in 31 ms, dpl_9aB",
        "a basic authentication; the bearer certificate; task_management, risk_k_factor, Bearer token required",
        "http://localhost:3000?email=a@b",
        "Kurslarım: İstanbul'da şifre, ğüşıöç 100 % & 5 < 6",
        "true false test",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """A report full of holes helps nobody."""
    redaction.register(["true", "test", "abc", "0123456789abcdef"])

    assert redact(text) == text


def test_the_parts_of_a_dsn_are_secret_as_they_are_decoded() -> None:
    """A driver prints the password as it was meant, not as the address spells it."""
    redaction.register(["postgresql://app%40x:p%C5%9F-w%2F1rd@db.test:5432/app"])

    assert redact('password "pş-w/1rd" of app@x:pş-w/1rd at db.test') == f'password "{SHOWN}" of {SHOWN} at db.test'


@settings(max_examples=100, deadline=None)
@given(SECRETS, st.lists(st.sampled_from(["://", "token=", "a:b@", "eyJ", "%", "&", "\\", "x", " "]), max_size=9))
def test_redacting_twice_changes_nothing(secret: str, parts: list[str]) -> None:
    """A text passes more than one boundary on its way."""
    redaction.register([secret])
    once = redact(secret.join(parts))

    assert redact(once) == once


@given(st.text(st.characters(), max_size=60))
def test_no_text_is_too_odd(text: str) -> None:
    """The platform sends what it likes, half a letter included."""
    redaction.register([SECRET])

    assert redact(text) == text or SHOWN in redact(text)


def test_a_long_text_takes_no_time() -> None:
    """A body of a megabyte is redacted before its beginning is shown; the limit is ten times what it takes."""
    redaction.register(f"secret-{number:03}-{number * 7919:08x}" for number in range(30))
    text = 'GET /api/courses -> 200 in 31 ms, {"title": "Kurslar"}\n' * 20_000
    began = time.process_time()

    redact(text)

    assert time.process_time() - began < 0.5
