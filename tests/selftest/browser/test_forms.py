"""Forms are sent as users send them, and no service can register anybody by what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from fixtures.browser import forms
from fixtures.browser.forms import send_form
from fixtures.browser.pages import Visit
from fixtures.browser.watch import Watch
from fixtures.checks.evidence import Evidence, MissingError, NotMeasured

FIELDS = "<input name=fullName><input name=mail type=email><input type=password><input type=password>"
FORM = '<form {hidden} onsubmit="{send}; return false">{fields}<button>Hesap oluştur</button></form>'
JSON = "fetch('/api/register', {{method: 'POST', body: JSON.stringify(Object.fromEntries(new FormData({form})))}})"
AS_JSON = JSON.format(form="this")
AS_FIELDS = "fetch('/api/register', {method: 'POST', body: new URLSearchParams(new FormData(this))})"
STYLED = (
    "<!DOCTYPE html><style>body { margin: 2rem; font: 18px sans-serif; background: #f4f6fb; color: #123 }"
    " h1 { font-size: 40px; color: #329 } input, button { padding: 1rem; border: 1px solid #888; border-radius: 8px }"
    "</style>"
)
BEACON = "navigator.sendBeacon('/api/count', 'registered')"


@dataclass
class Service:
    """Answers a page and its requests. sent: the body of each request that could change something, by path."""

    page: Page
    html: str = ""
    status: int = 400
    kind: str = "application/json"
    sent: dict[str, str] = field(default_factory=dict)

    def answer(self, route: Route) -> None:
        """Answer the page, and each other request with the same refusal."""
        request = route.request
        if request.is_navigation_request():
            route.fulfill(content_type="text/html; charset=utf-8", body=f"{STYLED}<main><h1>Kayıt</h1>{self.html}")
        elif request.method == "GET":
            route.fulfill(status=404)
        else:
            self.sent[request.url.rpartition("/")[2]] = request.post_data or ""
            route.fulfill(status=self.status, content_type=self.kind, body="{}")


@pytest.fixture
def service(page: Page, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Return what answers every request of the page."""
    monkeypatch.setattr(forms, "_PATIENCE_MS", 700)
    service = Service(page)
    page.context.route("**", service.answer)
    return service


@pytest.fixture
def visit(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Return what a journey opens pages with."""
    goto = page.goto
    monkeypatch.setattr(page, "goto", lambda path, **options: goto(f"http://platform.test{path}", **options))
    evidence = Evidence(directory=tmp_path, reports=tmp_path)
    return Visit(page, Watch(page.context), set(), set(), evidence, tmp_path / "hung")


@pytest.mark.parametrize("send", [AS_JSON, AS_FIELDS, f"{BEACON}; {AS_JSON}"])
@pytest.mark.parametrize("hidden", ["", "hidden"])
def test_what_users_type_is_sent_and_nobody_is_registered(
    service: Service, visit: Visit, send: str, hidden: str
) -> None:
    """The service gets no address, whatever the encoding; other requests that change something stay here."""
    button = "<button type=button onclick='document.forms[0].hidden = false'>E-posta ile devam et</button>"
    service.html = FORM.format(send=send, fields=FIELDS, hidden=hidden) + (button if hidden else "")

    assert send_form(visit, "/register") == ""
    assert list(service.sent) == ["register"]
    assert "7p-verify-form.example.com" in service.sent["register"]
    assert "@example.com" not in service.sent["register"]
    assert "%40example.com" not in service.sent["register"]


@pytest.mark.parametrize(
    ("form", "status", "kind", "says"),
    [
        (FORM.format(send="", fields=FIELDS, hidden=""), 400, "application/json", "the page asks no service"),
        (FORM.format(send=BEACON, fields=FIELDS, hidden=""), 400, "application/json", "the page asks no service"),
        (f"<form method=get>{FIELDS}<button>Kaydol</button></form>", 400, "text/html", "the page asks no service"),
        (FORM.format(send=AS_JSON, fields=FIELDS, hidden=""), 404, "application/json", "answers 404"),
        (FORM.format(send=AS_JSON, fields=FIELDS, hidden=""), 405, "application/json", "answers 405"),
        (FORM.format(send=AS_JSON, fields=FIELDS, hidden=""), 503, "application/json", "answers 503"),
        (FORM.format(send=AS_JSON, fields=FIELDS, hidden=""), 400, "text/plain", "no route of the platform serves"),
    ],
)
def test_a_form_that_reaches_nobody(
    service: Service, visit: Visit, form: str, status: int, kind: str, says: str
) -> None:
    """The page looks as ever."""
    service.html, service.status, service.kind = form, status, kind

    assert says in send_form(visit, "/register")


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        (FORM.format(send=AS_JSON, fields=FIELDS, hidden=""), 403, NotMeasured),
        (FORM.format(send=AS_JSON, fields=FIELDS, hidden=""), 429, NotMeasured),
        ("<p>Kayıtlar kapalı.</p><a href='/'>Ana sayfa</a>", 400, NotMeasured),
        (FORM.format(send=AS_JSON, fields="<input type=password>", hidden=""), 400, MissingError),
    ],
)
def test_a_form_that_cannot_be_judged(
    service: Service, visit: Visit, form: str, status: int, error: type[Exception]
) -> None:
    """A guard in front of the platform, or a page that asks for an address in another way, proves no failure."""
    service.html, service.status = form, status

    with pytest.raises(error):
        send_form(visit, "/register")
