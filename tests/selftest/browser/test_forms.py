"""Forms are sent as users send them, and no service can register anybody by what it gets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, Route

from fixtures.browser import forms
from fixtures.browser.forms import send_form
from fixtures.browser.pages import Visit
from fixtures.browser.watch import Watch
from fixtures.checks.evidence import Evidence, MissingError, NotMeasured

FIELDS = "<input name=fullName><input name=mail type=email><input type=password><input type=password>"
FORM = '<form {hidden} onsubmit="{send}; return false">{fields}<button>Hesap oluştur</button></form>'
OWN = {("http", "platform.test")}
JSON = "fetch('/api/auth/register', {{method: 'POST', body: JSON.stringify(Object.fromEntries(new FormData({form})))}})"
AS_JSON = JSON.format(form="this")
AS_FIELDS = "fetch('/api/auth/register', {method: 'POST', body: new URLSearchParams(new FormData(this))})"
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
    return Visit(page, Watch(page.context), OWN, set(), evidence, tmp_path / "hung")


AGAIN = f"{AS_JSON}.then(() => {AS_JSON})"
ON_BLUR = "<input name=mail type=email onchange=\"navigator.sendBeacon('/api/lead', this.value)\">"
OTHER_SPELLING = AS_JSON.replace("JSON.stringify", "(given => JSON.stringify(given).replace('@', '\\\\u0040'))")


def form(send: str = AS_JSON, fields: str = FIELDS, hidden: str = "") -> str:
    """Return a form whose script sends what was typed."""
    return FORM.format(send=send, fields=fields, hidden=hidden)


def holds_no_address(service: Service) -> bool:
    """Whether nothing that the service got can be read as the address."""
    return "@example.com" not in unquote("".join(service.sent.values())).replace("\\u0040", "@")


@pytest.mark.parametrize(
    "html",
    [
        form(),
        form(AS_FIELDS),
        form(hidden="hidden") + "<button onclick='document.forms[0].hidden = false'>E-posta ile devam et</button>",
        form() + "<footer><form><input type=email required><button>Abone ol</button></form></footer>",
        form(fields=FIELDS.replace("name=mail", "name=mail required")),
    ],
)
def test_what_users_type_is_sent_and_nobody_is_registered(service: Service, visit: Visit, html: str) -> None:
    """The service gets no address, whatever the encoding."""
    service.html = html

    assert send_form(visit, "/register", password=True) == ""
    assert list(service.sent) == ["register"]
    assert "7p-verify-form.example.com" in service.sent["register"]
    assert holds_no_address(service)


@pytest.mark.parametrize(
    "html",
    [
        form(f"{BEACON}; {AS_JSON}"),
        form(AGAIN),
        form(fields=f"{ON_BLUR}{FIELDS}"),
        form(OTHER_SPELLING),
        form(AS_JSON.replace("'/api/auth/register'", "'/api/auth/register?mail=' + this.mail.value")),
        form("fetch('/api/auth/register?mail=' + encodeURIComponent(this.mail.value))"),
        f"<form method=get>{FIELDS}<button>Kaydol</button></form>",
        f"<form method=post target=_blank>{FIELDS}<button>Kaydol</button></form>",
        form(fields=f'{FIELDS}<textarea name=more oninput="{BEACON}"></textarea>'),
    ],
)
def test_nothing_that_could_change_something_leaves_the_browser(service: Service, visit: Visit, html: str) -> None:
    """Not before the form is sent, not after the refusal, and in no spelling; the check may then be not measured."""
    service.html = html
    with suppress(NotMeasured):
        send_form(visit, "/register", password=True)

    assert holds_no_address(service)
    assert service.sent.keys() <= {"register"}


@pytest.mark.parametrize(
    ("html", "status", "kind", "says"),
    [
        (form(""), 400, "application/json", "the page asks no service"),
        (f"<form>{FIELDS}<button>Kaydol</button></form>", 400, "text/html", "no script takes the form"),
        (form(), 404, "text/html", "answers 404"),
        (form(), 405, "text/html", "answers 405"),
        (form(), 503, "text/html", "answers 503"),
        (form(), 400, "text/plain", "no route serves"),
    ],
)
def test_a_form_that_reaches_nobody(
    service: Service, visit: Visit, html: str, status: int, kind: str, says: str
) -> None:
    """The page looks as ever."""
    service.html, service.status, service.kind = html, status, kind

    assert says in send_form(visit, "/register", password=True)


@pytest.mark.parametrize(
    ("html", "status", "error"),
    [
        (form(), 403, NotMeasured),
        (form(), 429, NotMeasured),
        (form(), 500, NotMeasured),
        (form(), 200, NotMeasured),
        (form("", f"{FIELDS}<select required><option></select>"), 400, NotMeasured),
        (form("", f"{FIELDS}<button type=button role=checkbox>Kabul</button>"), 400, NotMeasured),
        (form(BEACON), 400, NotMeasured),
        ("<p>Kayıtlar kapalı.</p><a href='/'>Ana sayfa</a>", 400, NotMeasured),
        (form(fields="<input type=email>"), 400, NotMeasured),
        (form(fields="<input type=password>"), 400, MissingError),
    ],
)
def test_a_form_that_cannot_be_judged(
    service: Service, visit: Visit, html: str, status: int, error: type[Exception]
) -> None:
    """A guard, a captcha, a part that we cannot fill in, or a page that asks in another way proves no failure."""
    service.html, service.status = html, status

    with pytest.raises(error):
        send_form(visit, "/register", password=True)
