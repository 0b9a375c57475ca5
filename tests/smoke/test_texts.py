"""The words of the public pages, as the server sends them, compared with texts.toml."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks
from fixtures.checks.wording import listed
from fixtures.model.texts import Names, Texts, differences


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P3", judges="wording", runbook="deployment-checklist")
@asks("GET /", "GET /login", "GET /register")
def test_public_pages_show_the_words_of_the_table(answers: list[Answer], texts: Texts) -> None:
    """A text was changed: on purpose, then texts.toml or 7p-verify.toml says so, or by mistake."""
    pages = {urlsplit(answer.url).path or "/": answer for answer in answers if answer.code == HTTPStatus.OK}
    found = [differences(path, texts.public[path], _names(answer)) for path, answer in pages.items()]

    assert listed(line for lines in found for line in lines) == []


def _names(answer: Answer) -> Names:
    buttons = answer.page.texts("button, [role=button]")
    links = answer.page.texts("a[href]")
    return {
        "heading": answer.page.texts("h1, h2, h3, h4, [role=heading]"),
        "button": buttons,
        "link": links,
        "control": [*buttons, *links],
        "text": [answer.page.text],
    }
