"""Every path, module and name in a document exists: a guide that leads nowhere costs its reader an hour."""

from __future__ import annotations

import ast
import re
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
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#\s]+)[^)]*\)")
_WORD = re.compile(r"[^\s\"'(),;:=]+(?:::\w+)?")
_PATH = re.compile(r"\.?[\w*.\-/]+?(\.(?:py|toml|md|sql|json|ya?ml|css|js|html|lock))?(?:::\w+)?")
_MODULE = re.compile(r"(?:ci|fixtures|tests)(?:\.\w+)+")
# Folders that a run writes to.
_WRITTEN = (".verify", "reports")


def _told(document: Path) -> set[str]:
    """Return the words of a document that are set as code, in a line or in a block."""
    text = document.read_text(encoding="utf-8")
    blocks = [line for block in _FENCE.findall(text) for line in block.splitlines()[1:-1]]
    spans = _SPAN.findall(_LINK.sub("", _FENCE.sub("", text)))
    return {word for line in chain(blocks, spans) for word in _WORD.findall(line.partition("  #")[0])}


def _paths(document: Path) -> set[str]:
    """Return the words that can only be a path: they end as a file does, or begin with a folder that is there."""
    found = set()
    for word in _told(document):
        path = _PATH.fullmatch(word)
        first, slash, _ = word.partition("/")
        folder = slash and any((at / first).is_dir() for at in (document.parent, ROOT)) and first.strip(".")
        if path and not word.startswith("/") and (path[1] or folder):
            found.add(word)
    return found


@cache
def _literals() -> frozenset[str]:
    """Return every string of the product: a file that a run writes is named in one of them."""
    code = chain((ROOT / "fixtures").rglob("*.py"), (ROOT / "ci").rglob("*.py"))
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in code)
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str))


def _is_there(path: str, document: Path) -> bool:
    """Whether a path leads somewhere, from the root or from beside the document, or is what a run writes."""
    first, folder, _ = path.partition("/")
    last = path.rstrip("/").rpartition("/")[2]
    if first == ".venv" or (last in _literals() and (not folder or first in _WRITTEN)):
        return True
    return any(any(at.glob(path.rstrip("/"))) for at in (ROOT, document.parent))


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
    places = {path.partition("::")[0] for path in _paths(document)}

    assert sorted(path for path in places if not _is_there(path, document)) == []
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_and_name_in_a_document_exists(document: Path) -> None:
    """A reader types `python -m` with the module, and searches the file for the name behind `::`."""
    told = _told(document)
    modules = {word: ROOT / word.replace(".", "/") for word in told if _MODULE.fullmatch(word)}
    pairs = [word.split("::") for word in told if "::" in word and _PATH.fullmatch(word)]

    assert [name for name, at in modules.items() if not (at.is_dir() or at.with_suffix(".py").is_file())] == []
    assert [f"{path}::{name}" for path, name in pairs if not _defines(ROOT / path, name)] == []


def test_the_guide_to_the_house_has_one_line_for_each_room() -> None:
    """Nobody finds a room without a line; a line without a room sends its reader to look for it."""
    text = (ROOT / "fixtures" / "README.md").read_text(encoding="utf-8")

    assert sorted(re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE)) == ROOMS
