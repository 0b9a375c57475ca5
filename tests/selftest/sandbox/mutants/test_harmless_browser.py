"""Harmless changes that only a browser could mind: policies, moved files, other bytes on the wire."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from fixtures.sandbox import mutants
from tests.selftest.sandbox.mutants.harmless_client import SESSION, Client, change

MINDED = (
    "policy-has-a-nonce/script-src-elem",
    "header-is-stricter/longer-policy",
    "header-is-stricter/trial-policy",
    "assets-have-moved/immutable",
    "asset-has-a-hash-in-its-name/router.js",
    "compressed-by-deflate/files",
    "length-is-not-told/pages",
    "etag-and-not-modified/files",
    "header-names-in-capitals/pages",
    "page-is-guarded-by-the-server-too/courses",
    "letters-are-escaped/api-auth-session",
)


def _problems(page: Page, client: Client, patience_ms: float = 10_000) -> list[str]:
    """Open the own courses as a student who signed in before, go on to the shop, and return what went wrong."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.set_default_timeout(patience_ms)
    page.context.add_cookies([{"name": SESSION, "value": client.session, "url": client.app.url}])
    page.add_init_script("localStorage.setItem('auth_user', '{}'); localStorage.setItem('auth_token', 'kept')")
    page.goto(f"{client.app.url}/courses")
    page.get_by_role("main").get_by_role("heading", name="Kurslarım").wait_for()
    page.get_by_role("complementary").get_by_role("link", name="Kurs Mağazası").click()
    page.get_by_role("main").get_by_role("heading", name="Kurs Mağazası").wait_for()
    if page.evaluate("[...document.styleSheets].reduce((sum, sheet) => sum + sheet.cssRules.length, 0)") == 0:
        problems.append("there is no style")
    return problems


@pytest.mark.parametrize("name", MINDED)
def test_a_browser_does_not_mind(page: Page, client: Client, name: str) -> None:
    """A student reads and goes on as before."""
    change(client.app, mutants.find(name))

    assert _problems(page, client) == []


def test_a_browser_minds_a_script_that_is_gone(page: Page, client: Client) -> None:
    """A proof that passes on everything proves nothing."""
    del client.app.build.assets["router.js"]

    with pytest.raises(Exception, match="Timeout"):
        _problems(page, client, patience_ms=1_000)
