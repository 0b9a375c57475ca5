"""Data are traced to their owner; a cache may not give one student's answer to the next visitor."""

from __future__ import annotations

import httpx
import pytest

from fixtures.inspection.persons import Person, is_about, may_be_shared, traces

ELIF = Person("id-1", "elif@site.test", "Elif Yılmaz", frozenset({"row-1"}), frozenset({"marka", "veri"}))
MERT = Person("id-2", "mert@site.test", "Mert Kaya", frozenset({"row-2"}), frozenset({"veri"}))
CATALOGUE = ("marka", "veri", "satis")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Hoş Geldin ELİF YILMAZ 👋", ["name"]),
        ('{"email":"Elif@Site.test"}', ["address"]),
        ('{"user_id":"id-1","id":"row-1"}', ["id", "enrolments"]),
        ('<a href="/courses/marka">Devam Et</a>', ["courses"]),
        # Both have this course, and the shop leads to every course.
        ('<a href="/courses/veri">Devam Et</a><a href="/marketplace/marka">Detay</a>', []),
        # A list with a course that neither has is one for everybody; so is sample data.
        ('<a href="/courses/marka"></a><a href="/courses/satis"></a><b>Demo Kullanıcı</b>', []),
        ('<a href="/courses/marka-yonetimi">', []),
    ],
)
def test_data_are_traced_to_their_owner(text: str, what: list[str]) -> None:
    """A text that everybody gets is nobody's."""
    assert traces(ELIF, MERT, text, CATALOGUE) == what


def test_a_name_that_both_have_says_nothing() -> None:
    """Synthetic accounts may be called alike."""
    one = Person("id-1", "a@site.test", "Synthetic Student", frozenset(), frozenset())
    other = Person("id-2", "b@site.test", "Synthetic Student 2", frozenset(), frozenset())

    assert traces(one, other, "Hoş Geldin Synthetic Student 2", ()) == []
    assert traces(one, one, "a@site.test id-1 Synthetic Student", ()) == []
    assert is_about(one, "a@site.test")
    assert not is_about(one, "<main><h1>Ayarlar</h1></main>")


@pytest.mark.parametrize(
    ("headers", "shared"),
    [
        ({"cache-control": "public, max-age=300"}, True),
        ({"cache-control": "S-MaxAge=60, stale-while-revalidate"}, True),
        ({"cache-control": "public"}, True),
        ({"cache-control": "max-age=60"}, True),
        ({"cache-control": "private, no-store", "cdn-cache-control": "max-age=600"}, True),
        ({"cache-control": "private, max-age=300"}, False),
        ({"cache-control": "no-store, no-cache, must-revalidate, private, max-age=0"}, False),
        ({"cache-control": "public, max-age=0, must-revalidate"}, False),
        ({"cache-control": "max-age=300, s-maxage=0"}, False),
        ({"cdn-cache-control": "no-store"}, False),
        ({}, False),
    ],
)
def test_a_shared_cache_reads_its_headers(headers: dict[str, str], *, shared: bool) -> None:
    """A cache that may answer by itself gives one student's answer to the next."""
    assert bool(may_be_shared(httpx.Headers(headers))) is shared
