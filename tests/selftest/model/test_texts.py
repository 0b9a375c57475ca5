"""The platform's words: how the table is read, compared, and overridden by a build."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fixtures.model.routes import routes
from fixtures.model.texts import Text, Texts, alike, differences, plain, texts
from fixtures.model.toml_tables import UsageError

CHECKS = Path(__file__).parents[2]
_LETTERS = re.compile("[çğıöşüÇĞİÖŞÜ]")
# These words are in texts.toml and in code, as names of paths and fields.
_TECHNICAL = frozenset({"loading", "register"})


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("Giriş Yap", "🚀 Giriş Yap", True),
        ("Sorular ve Cevaplar", "Sorular ve Cevaplar 3", True),
        ("Kayıtlı Kursların", "KAYITLI KURSLARIN", True),
        ("GİRİŞ YAP", "Giriş yap!", True),
        ("E-posta Doğrulama", "e posta  doğrulama!", True),
        ("Ücretsiz Al", "Şimdi Satın Al", False),
    ],
)
def test_names_are_compared_loosely(expected: str, found: str, *, same: bool) -> None:
    """Case, signs, emoji and further words do not count; other words do."""
    assert alike(expected, found) is same


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["Profilimi Tamamla", "✅ Tamamla"], 1),
        (["Tamamlandı", "Dersi tamamla"], 1),
        (["Sonraki Ders", "Tamamlayın"], 1),
        (["Sonraki Ders", "Bitir"], None),
    ],
)
def test_the_name_that_fits_best_is_chosen(names: list[str], place: int | None) -> None:
    """A longer name holds the words of a shorter one."""
    assert Text(role="button", words=("Tamamla",)).best_of(names) == place


def test_a_finding_says_old_and_new() -> None:
    """The reader sees at once whether the change was meant."""
    wanted = {"sign_in": Text(role="button", words=("Giriş Yap", "Oturum Aç")), "title": Text("heading", ("Giriş",))}
    shown = {
        "heading": ["7P Giriş 🎓"],
        "button": ["Çıkış", "Girişe dön", "Gir"],
        "link": [],
        "control": [],
        "text": [""],
    }

    (line,) = differences("/login", wanted, shown)

    assert line == "/login: sign_in: expected “Giriş Yap” or “Oturum Aç”, shows “Çıkış” or “Gir”"


def test_a_page_without_the_role_is_no_matter_of_wording() -> None:
    """A button that is gone is judged by the check of its function."""
    shown = dict.fromkeys(("heading", "button", "link", "control", "text"), ())

    assert list(differences("/login", texts().public["/login"], shown)) == []


def test_a_build_replaces_words_by_their_meaning() -> None:
    """7p-verify.toml says so in the same commit."""
    replaced = texts().replaced({"sign_in": ["Oturum aç"]})

    assert replaced["sign_in"].words == ("Oturum aç",)
    assert replaced.public["/login"]["sign_in"].words == ("Oturum aç",)
    assert replaced["register"] == texts()["register"]
    assert texts().unknown(["sign_in", "sing_in"]) == ["sing_in"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[admin]\n", "no such table"),
        ("[flow]\na = { role = 'picture', words = ['x'] }\n", "picture"),
        ("[flow]\na = { role = 'text', words = [] }\n", "length"),
        (
            "[flow]\na = { role = 'text', words = ['x'] }\n[public.'/']\na = { role = 'text', words = ['y'] }\n",
            "two texts",
        ),
    ],
)
def test_a_mistake_in_the_table_is_one_line(tmp_path: Path, content: str, says: str) -> None:
    """It names the file and what to do."""
    file = tmp_path / "texts.toml"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(UsageError, match=says) as raised:
        texts(file)

    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_page_of_the_table_is_a_route() -> None:
    """A page with a wrong path would never be compared."""
    pages = [*texts().public, *texts().student]

    assert [page for page in pages if f"GET {page}" not in routes()] == []


def test_no_check_holds_words_of_the_platform() -> None:
    """A check that rests on a word blames a deployment that only rewords a page; the words are in texts.toml."""
    table: Texts = texts()
    pages = [table.flow, *table.public.values(), *table.student.values()]
    known = {plain(word) for page in pages for text in page.values() for word in text.words} - _TECHNICAL
    files = [file for kind in ("smoke", "journeys", "vitals") for file in sorted((CHECKS / kind).glob("*.py"))]
    found = [
        f"{file.name}:{line}: {literal!r}"
        for file in files
        for line, literal in _literals(file)
        if _LETTERS.search(literal) or plain(literal) in known
    ]

    assert files != []
    assert found == []


def _literals(file: Path) -> list[tuple[int, str]]:
    """Return the texts of a module that are no docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in bare]
    return [(node.lineno, node.value) for node in constants if isinstance(node.value, str)]
