"""The beginning of every docstring: a reader whose third language is English understands it at the first reading."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_IRREGULAR = (
    "Bound|Bought|Broken|Brought|Built|Caught|Done|Drawn|Fed|Felt|Found|Gone|Held|Hidden|Kept|Known|Laid|Led|Left|Lost|"
    "Made|Meant|Met|Paid|Said|Seen|Sent|Shown|Sold|Spent|Spoken|Stolen|Taken|Taught|Thrown|Told|Torn|Understood|Won|Worn"
)
# A question word as a subject, or a participle in place of a condition ("Open, they hand out …").
_HARD = re.compile(
    r"(?:What|Whatever|Who|Whoever|Whose|Where)\b|(?:[A-Z][a-z]+ing|Open|Put|Read|Set), "
    rf"|(?:[A-Z][a-z]+(?:ed|en)|{_IRREGULAR})(?: [\w'-]+){{0,4}}, "
)


def _docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring of a module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text


@pytest.mark.parametrize(
    ("text", "hard"),
    [
        ("What a run left.", True),
        ("Whoever reads it owns the database.", True),
        ("Where the reports are.", True),
        ("Open, they hand out records.", True),
        ("Announced on another host, credentials go there.", True),
        ("Signed in, and still turned away.", True),
        ("Taken of the limits in the last hour.", False),
        ("Whether a page opened.", False),
        ("Read a handle; raises OSError.", False),
        ("Rows, columns and keys.", False),
    ],
)
def test_a_beginning_that_needs_a_second_reading_is_recognised(text: str, *, hard: bool) -> None:
    """Otherwise the count below would be zero for ever."""
    assert bool(_HARD.match(text)) is hard


def test_no_docstring_begins_with_a_riddle() -> None:
    """A colleague who is on call at three in the morning reads a docstring once."""
    files = [file for top in ("fixtures", "ci", "tests") for file in sorted((ROOT / top).rglob("*.py"))]
    found = [(file, line, text) for file in files for line, text in _docstrings(file) if _HARD.match(text)]

    assert [f"{file.relative_to(ROOT)}:{line}: {text.splitlines()[0]}" for file, line, text in found] == []
