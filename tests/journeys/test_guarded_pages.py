"""Guarded pages as a visitor sees them."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from fixtures.browser.pages import Visit
from fixtures.checks.declarations import depends_on

_ADMIN = json.dumps({"id": 1, "email": "7p-verify@7peducation.test", "role": "admin", "isAdmin": True})
# The names under which applications store the signed-in user.
KEPT = {
    **dict.fromkeys(("user", "currentUser", "auth", "session", "profile"), _ADMIN),
    **dict.fromkeys(("role", "userRole"), "admin"),
    **dict.fromkeys(("isAdmin", "isAuthenticated", "isLoggedIn"), "true"),
    **dict.fromkeys(("token", "accessToken", "next-auth.session-token"), "7p-verify"),
}
FORGE = f"for (const store of [localStorage, sessionStorage]) Object.assign(store, {json.dumps(KEPT)});"


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@depends_on("GET /admin/dashboard", "GET /dashboard", "GET /login", "GET /_next/*")
def test_a_browser_with_a_forged_admin_role_sees_the_login(page: Page, visit: Visit) -> None:
    """A visitor becomes an administrator by writing into the storage of the own browser."""
    page.add_init_script(FORGE)

    visit("/dashboard")
    expect(page.get_by_role("heading", name="7P Education Giriş")).to_be_visible()
    expect(page.get_by_role("heading", name="Kontrol Paneli")).to_have_count(0)
    visit("/admin/dashboard")

    expect(page.get_by_role("heading", name="7P Education Giriş")).to_be_visible()
    expect(page.get_by_role("heading", name="Yönetici Paneli")).to_have_count(0)
