"""Pages say the same about courses as the API: prices and numbers."""

from __future__ import annotations

import re
from collections import Counter

import msgspec
import pytest

from fixtures.browser.views import Look, View
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.model.money import contradicts
from fixtures.model.texts import plain, texts
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Data
from fixtures.site.client import Site
from fixtures.site.places import Known, Places, known_courses

LIST, DEAREST = "GET /api/courses?limit=100", "GET /api/courses?sortBy=price&sortOrder=desc&limit=2"


class _Total(msgspec.Struct):
    total: int


class _Part(msgspec.Struct):
    """A part of a page under a heading. around: the same with the part before it, where a card has its price on top."""

    title: str
    own: str
    around: str


def _parts(page: View) -> list[_Part]:
    """Cut the text of a page at its headings."""
    starts, place = [], 0
    for name in page.headings:
        found = page.text.find(name, place)
        if found >= 0:
            starts.append((found, name))
            place = found + len(name)
    ends = [*(start for start, _ in starts), len(page.text)]
    return [
        _Part(name, page.text[start : ends[number + 1]], page.text[ends[max(number - 1, 0)] : ends[number + 1]])
        for number, (start, name) in enumerate(starts)
    ]


def _wrong_prices(page: View, courses: list[Known]) -> list[str]:
    """Return the courses whose part of the page shows money, and not their price."""
    titles = Counter(plain(course.title) for course in courses)
    known = {plain(course.title): course for course in courses if titles[plain(course.title)] == 1}
    pairs = [(known[plain(part.title)], part) for part in _parts(page) if plain(part.title) in known]
    return [
        f"{page.path} shows another price for “{course.title}” than {course.price:g}"
        for course, part in pairs
        if course.price > 0
        and all(
            contradicts(course.price, text, prose=f"{course.title} {course.description}")
            for text in (part.own, part.around)
        )
    ]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(LIST, DEAREST)
@depends_on("GET /marketplace", "GET /marketplace/*", "GET /courses/*/purchase", "GET /_next/*")
@depends_on("GET /api/auth/session", "GET /api/enrollments")
def test_pages_show_the_prices_of_the_api(
    answers: list[Answer], look_as_student: Look, site: Site, browsing_student: Session
) -> None:
    """Students are promised one price and pay another."""
    listed, dearest = map(known_courses, answers)
    owned = {row.course_id for row in Places(site, browsing_student.cookies).enrolled}
    pages = look_as_student("/marketplace")
    for course in dearest[:1]:
        pages += look_as_student(f"/marketplace/{course.slug}", f"/courses/{course.id}/purchase")

    offered = [course for course in listed if course.id not in owned]
    assert [wrong for page in pages for wrong in _wrong_prices(page, offered)] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P3", judges="contract", runbook="application-not-loading", needs=("accounts",))
@asks(LIST)
@depends_on("GET /marketplace", "GET /_next/*", "GET /api/auth/session")
def test_the_shop_counts_its_courses_right(answer: Answer, look_as_student: Look) -> None:
    """A number that is not true makes students look for courses that are not there."""
    (shop,) = look_as_student("/marketplace")
    total = answer.read(Data[_Total]).data.total
    listed = known_courses(answer)
    # A shop may count the courses of this page, or those with a price only.
    right = {total, sum(course.price > 0 for course in listed), sum(shop.shows(course.title) for course in listed)}
    counting = [name for name in shop.headings if texts()["shop_courses"].is_in(name)]
    told = [(name, int(number)) for name in counting for number in re.findall(r"\((\d{1,6})\)", name)]

    assert [name for name, number in told if number not in right] == []
