"""Nothing that the target sends is active where it is printed, and readable text stays readable."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures.model import escaping

ANY = st.text(st.characters())
# Pieces that are active in one medium or another, mixed with text.
HOSTILE = st.lists(
    st.sampled_from(
        [
            "::error::",
            "##[",
            "<img/src=x>",
            "[a](https://x.test)",
            "![a](b)",
            "@everyone",
            "<!channel>",
            "|",
            "`",
            "*b*",
            "_i_",
            "~~",
        ]
    )
    | st.sampled_from(
        [
            "&lt;",
            "www.x.test",
            "\\",
            "a",
            "1.",
            "$x$",
            "%0A",
            "EOF",
            "İğş",
            "\x1b[2J",
            "\x1b]8;;https://x.test\x07",
            "\u202e",
        ]
    )
    | st.sampled_from([" ", "\n", "\r", "\u2028", "\u0085", "# ", "- "])
).map("".join)
TEXTS = ANY | HOSTILE
READABLE = "Kurslarım: İstanbul'da şifre ğüşıöç, GET /api/courses -> 200 in 31 ms, dpl_9aB"


@pytest.mark.parametrize("escape", [escaping.terminal, escaping.one_line, escaping.markdown, escaping.allure])
def test_readable_text_stays_as_it_is(escape: Callable[[str], str]) -> None:
    """An escaper that spells every letter of Turkish as a code makes a report that nobody reads."""
    assert escape(READABLE) == READABLE
    assert html.unescape(escaping.html_text(READABLE)) == READABLE
    assert html.unescape(escaping.slack(READABLE)) == READABLE


@given(TEXTS)
@example("\x1b]0;title\x07 \x9b31m")
def test_a_terminal_prints_it_and_does_nothing_else(text: str) -> None:
    """An escape sequence can hide the lines above, and a command can fail or pass the workflow."""
    shown = escaping.terminal(text)

    assert [letter for letter in shown if unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\n\t"] == []
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029]", shown)
    assert not any(line.lstrip().startswith("::") or "##[" in line for line in shown.splitlines())
    assert escaping.terminal(shown) == shown


@given(TEXTS)
def test_a_line_stays_one_line(text: str) -> None:
    """A foreign newline could print a decision of its own below ours."""
    shown = escaping.one_line(text)

    assert len(shown.splitlines()) <= 1
    assert escaping.one_line(shown) == shown


@given(TEXTS)
def test_markdown_shows_it_and_links_nothing(text: str) -> None:
    """A course title could put pictures, links and mentions into the summary on GitHub."""
    shown = escaping.markdown(text)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", shown)

    assert not set(bare) & set("`*[]<&|~$\n\r")
    assert not re.search(r"://|www\.|@\w|(?<!\w)_|^\s*([#+=>-]|\d+[.)])", re.sub(r"\\[!-/:-@\[-`{-~]", "x", shown))


@given(TEXTS)
def test_html_shows_it_and_opens_no_tag(text: str) -> None:
    """A table of the database may be named like a script."""
    shown = escaping.html_text(text)

    assert not set(shown) & set("<>\"'")
    assert re.findall(r"&(?!(?:amp|lt|gt|quot|#x27);)", shown) == []


@given(TEXTS)
def test_slack_shows_it_and_calls_nobody(text: str) -> None:
    """`<!channel>` in the title of a course would wake everyone."""
    shown = escaping.slack(text)

    assert not set(shown) & set("<>")
    assert re.findall(r"&(?!(?:amp|lt|gt);)", shown) == []
