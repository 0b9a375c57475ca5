"""The words of the pages that the browser renders, compared with texts.toml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from fixtures.browser.views import Look, View
from fixtures.checks.declarations import depends_on
from fixtures.checks.wording import listed
from fixtures.model.routes import route_of
from fixtures.model.texts import Text, Texts, differences

# Other checks of the stage open these pages; the rest of the table is compared at night.
OPENED = ("/dashboard", "/marketplace", "/courses", "/settings", "/student/materials")


def _all_differences(views: list[View], pages: Mapping[str, Mapping[str, Text]]) -> Iterator[str]:
    """Yield the texts that differ; a page that is broken or leads elsewhere has no words of its own."""
    for view in views:
        page = route_of(f"GET {view.asked}").partition(" ")[2]
        if not view.broken:
            yield from differences(page, pages.get(page, {}), view.names)


@pytest.mark.postdeploy
@pytest.mark.check(severity="P3", judges="wording", runbook="deployment-checklist", needs=("accounts",), daily=False)
@depends_on(*(f"GET {path}" for path in OPENED), "GET /marketplace/*", "GET /courses/*", "GET /_next/*")
def test_pages_of_students_show_the_words_of_the_table(
    look_as_student: Look, texts: Texts, declared_texts: Mapping[str, Sequence[str]], met: list[str]
) -> None:
    """A text was changed: on purpose, then texts.toml or 7p-verify.toml says so, or by mistake."""
    look_as_student(*OPENED)

    assert listed([*met, *_all_differences(look_as_student.seen, texts.student)]) == []
    assert texts.unknown(declared_texts) == []


@pytest.mark.daily
@pytest.mark.check(severity="P3", judges="wording", runbook="deployment-checklist", needs=("accounts",))
@depends_on("GET /[!a_]*", "GET /auth/*", "GET /_next/*")
def test_every_page_shows_the_words_of_the_table(
    look: Look, look_as_student: Look, texts: Texts, met: list[str]
) -> None:
    """The same for the whole table."""
    look(*(page for page in texts.public if "{" not in page))
    look_as_student(*(page for page in texts.student if "{" not in page))
    found = [*_all_differences(look.seen, texts.public), *_all_differences(look_as_student.seen, texts.student)]

    assert listed([*met, *found]) == []
