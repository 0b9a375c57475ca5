"""Every path, module and name in a document exists: a guide that leads nowhere costs its reader an hour."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# The change log is left out: it may name what a later version removed.
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        *(ROOT / top / "README.md" for top in ("ci", "fixtures", "reports", "tests")),
        ROOT / "fixtures" / "sandbox" / "README.md",
        *(ROOT / ".github").rglob("*.md"),
        *(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"),
    ]
)
ROOMS = sorted(path.parent.name for path in (ROOT / "fixtures").glob("*/__init__.py"))
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#\s]+)[^)]*\)")
_WORD = re.compile(r"[^\s\"'(),;:=]+(?:::\w+)?")
_PATH = re.compile(r"\.?[\w*.\-/]+?(\.(?:py|toml|md|sql|json|ya?ml|css|js|html|lock))?(?:::\w+)?")
_MODULE = re.compile(r"(?:ci|fixtures|tests)(?:\.\w+)+")
# Folders that a run writes to.
_WRITTEN = (".verify", "reports")


def _lines(document: Path) -> Iterator[list[str]]:
    """Yield of each line the words that are set as code, in the line or in a block."""
    in_block = False
    for line in document.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            in_block = not in_block
        else:
            told = [line.partition("  #")[0]] if in_block else _SPAN.findall(_LINK.sub("", line))
            yield [word for code in told for word in _WORD.findall(code)]


def _dangling(document: Path) -> Iterator[str]:
    """
    Yield every path that leads nowhere: from the root, from beside the document, or from a folder that its line names.

    A word is a path if it ends as a file does, or begins with a folder that is there.
    """
    for words in _lines(document):
        folders = [document.parent / word for word in words if word.endswith("/")]
        for word in words:
            path, found = word.partition("::")[0], _PATH.fullmatch(word)
            first, slash, _ = path.partition("/")
            folder = slash and any((at / first).is_dir() for at in (document.parent, ROOT)) and first.strip(".")
            if not found or path.startswith("/") or not (found[1] or folder) or _is_made(path):
                continue
            if not any(any(at.glob(path.rstrip("/"))) for at in (ROOT, document.parent, *folders)):
                yield path


def _is_made(path: str) -> bool:
    """Whether a path is of the environment, or of a file that a run writes: the product names it in a string."""
    first, folder, _ = path.partition("/")
    last = path.rstrip("/").rpartition("/")[2]
    return first == ".venv" or (last in _literals() and (not folder or first in _WRITTEN))


@cache
def _literals() -> frozenset[str]:
    """Return every string of the product."""
    code = chain((ROOT / "fixtures").rglob("*.py"), (ROOT / "ci").rglob("*.py"))
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in code)
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str))


def _defines(file: Path, name: str) -> bool:
    if not file.is_file():
        return False
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return name in assigned | {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_in_a_document_leads_somewhere(document: Path) -> None:
    """A moved module leaves its old path in sentences that no linter reads."""
    assert sorted(set(_dangling(document))) == []
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_and_name_in_a_document_exists(document: Path) -> None:
    """A reader types `python -m` with the module, and searches the file for the name behind `::`."""
    told = set(chain.from_iterable(_lines(document)))
    modules = {word: ROOT / word.replace(".", "/") for word in told if _MODULE.fullmatch(word)}
    pairs = [word.split("::") for word in told if "::" in word and _PATH.fullmatch(word)]

    assert [name for name, at in modules.items() if not (at.is_dir() or at.with_suffix(".py").is_file())] == []
    assert [f"{path}::{name}" for path, name in pairs if not _defines(ROOT / path, name)] == []


def test_the_guide_to_the_house_has_one_line_for_each_room() -> None:
    """Nobody finds a room without a line; a line without a room sends its reader to look for it."""
    text = (ROOT / "fixtures" / "README.md").read_text(encoding="utf-8")

    assert sorted(re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE)) == ROOMS


def test_the_guide_to_the_house_draws_the_layers_that_are_held() -> None:
    """Nobody can follow a rule that import-linter does not hold, or one that it holds and nobody wrote down."""
    text = (ROOT / "fixtures" / "README.md").read_text(encoding="utf-8")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (rooms,) = [contract for contract in contracts if contract["id"] == "rooms"]
    drawn = [lines.split("\n")[1:-1] for lines in re.findall(r"^```text(.*?)^```", text, re.MULTILINE | re.DOTALL)]

    assert drawn == [["ci", *rooms["layers"]]]
