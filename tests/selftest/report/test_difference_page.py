"""Checks the page of the difference: violations stand first, and no text of the database becomes markup."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from fixtures.database.snapshot import Statement, Statements
from fixtures.database.snapshot_change import compare
from fixtures.model import redaction
from fixtures.report import difference_page
from tests.selftest.database.test_snapshot import SINCE, made_up

HOSTILE = "</td><script>alert('ş')</script>"


def drawn(folder: Path) -> str:
    """Return the page of a release that broke something, in a database with hostile names."""
    before, after = made_up(), made_up(60.0, deadlocks=2, xact_commit=500)
    after.unusable_indexes, after.access, after.sizes = [HOSTILE], [HOSTILE], {HOSTILE: 9, "öğrenci_ilerlemesi": 1536}
    seen = {f"SELECT hunter2-hunter2 {HOSTILE}": Statement(calls=7, total=70.0)}
    after = replace(after, statements=Statements(counted_since=SINCE, evictions=0, by_text=seen))
    difference_page.write(folder / "page.html", before, after, compare(before, after), about=HOSTILE)
    return (folder / "page.html").read_text(encoding="utf-8")


def test_what_the_database_said_is_text(tmp_path: Path) -> None:
    """A person who can name a table could otherwise run a script in the browser of a reader."""
    page = drawn(tmp_path)

    assert "<script" not in page
    assert page.count("&lt;/td&gt;&lt;script&gt;") == 8
    assert "öğrenci_ilerlemesi" in page


def test_it_stands_alone(tmp_path: Path) -> None:
    """A page that loads something reveals its readers, and is empty offline."""
    page = drawn(tmp_path)

    assert [word for word in ("http", "url(", "@import", "src=", "<link") if word in page] == []
    assert "prefers-color-scheme: dark" in page


def test_what_is_over_its_limit_stands_first(tmp_path: Path) -> None:
    """A reader begins at the top."""
    page = drawn(tmp_path)
    order = [page.index(f"<td>{what}</td>") for what in ("new unusable indexes", "deadlocks", "changed access")]

    assert order == sorted(order)
    assert "P1</span> 3 over the limit" in page
    assert "<section id=not-measured>" in page


def test_no_secret_gets_into_it(tmp_path: Path) -> None:
    """The page is attached to reports that many people read."""
    redaction.register(["hunter2-hunter2"])

    assert "hunter2" not in drawn(tmp_path)
