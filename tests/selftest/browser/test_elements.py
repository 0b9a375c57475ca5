"""How a journey finds what it presses: by words, else by the effect; and what it says when nothing happens."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Page

from fixtures.browser import elements
from fixtures.browser.elements import leads_to_no_purchase, press
from fixtures.browser.pages import Visit
from fixtures.browser.sign_in import submit_form
from fixtures.browser.watch import Watch
from fixtures.checks.evidence import Evidence, MissingError
from fixtures.model.texts import Text
from fixtures.target.sandbox_handle import Account

ENROL = Text(role="button", words=("Ücretsiz Al",))
CHANGES = "onclick=\"fetch('/api/change', {method: 'POST', body: this.innerText})\""
FORM = "<form onsubmit=\"event.preventDefault(); fetch('/api/change', {method: 'POST', body: 'x'})\">"
TERMS = "<label><input type=checkbox required> Koşulları kabul ediyorum</label>"
OPENS = " onchange=\"document.querySelector('[disabled]').disabled = false\""


@pytest.fixture
def visit(page: Page, tmp_path: Path) -> Visit:
    """Return what a journey opens pages with."""
    page.route("**/api/change", lambda route: route.fulfill(status=201, body=route.request.post_data or ""))
    evidence = Evidence(directory=tmp_path, reports=tmp_path)
    return Visit(page, Watch(page.context), set(), set(), evidence, tmp_path / "hung")


def _open(visit: Visit, body: str) -> None:
    page = f"<!DOCTYPE html><meta charset='utf-8'><main><h1>Kurs</h1>{body}</main>"
    visit.page.route("**/offer*", lambda route: route.fulfill(content_type="text/html; charset=utf-8", body=page))
    visit.page.goto("http://shop.test/offer")


@pytest.mark.parametrize(
    ("buttons", "name", "notes"),
    [
        ("<button>Paylaş</button><button {on}>🎁 ÜCRETSİZ AL!</button>", "🎁 ÜCRETSİZ AL!", 0),
        ("<button aria-expanded='true'>1 Pazar</button><button {on}>Derse Başla</button>", "Derse Başla", 1),
        ("<button>Paylaş</button><button {on}>Derse Başla</button>", "Derse Başla", 1),
        (f"{FORM}{TERMS}<button>Ücretsiz Al</button></form>", "Ücretsiz Al", 0),
        (f"{TERMS.replace(' required', OPENS)}<button disabled {{on}}>Ücretsiz Al</button>", "Ücretsiz Al", 0),
    ],
)
def test_a_button_is_found_under_any_name(visit: Visit, buttons: str, name: str, notes: int) -> None:
    """A reworded button does the same as before; the wording check gets old and new."""
    met: list[str] = []
    _open(visit, buttons.replace("{on}", CHANGES))
    answer, pressed = press(visit, ENROL, met)

    assert (answer.status, pressed) == (201, name)
    assert met == ["/offer: a button of the journey: expected “Ücretsiz Al”, shows “Derse Başla”"][:notes]


@pytest.mark.parametrize(
    ("buttons", "missing", "says"),
    [
        ("<button>Ücretsiz Al</button><button>Paylaş</button>", False, "the page sent no change"),
        ("<button>Derse Başla</button>", False, "the page sent no change"),
        ("<button>Sor</button><button>Paylaş</button>", True, "has no button “Ücretsiz Al”"),
        ("<button disabled>Ücretsiz Al</button>", True, "has no button “Ücretsiz Al”"),
        (f"{FORM}<input name=tckn required><button>Ücretsiz Al</button></form>", True, "asks for more before"),
    ],
)
def test_a_button_that_does_nothing_is_a_failure(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, buttons: str, says: str, *, missing: bool
) -> None:
    """It is a symptom; a page that has none of the buttons may have been redesigned."""
    monkeypatch.setattr(elements, "ACTION_MS", 500)
    monkeypatch.setattr(elements, "_TRY_MS", 300)
    _open(visit, buttons)

    with pytest.raises(AssertionError, match=says) as raised:
        press(visit, ENROL, [])

    assert isinstance(raised.value, MissingError) is missing


@pytest.mark.parametrize(
    "name", ["Şimdi Satın Al", "🗑 Kursu sil", "Çıkış Yap", "Delete", "Kaydımı İptal Et", "İADE ET"]
)
def test_no_guess_buys_deletes_or_signs_out(visit: Visit, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A journey runs on production: a button that it does not know is tried only where it can do no harm."""
    monkeypatch.setattr(elements, "_TRY_MS", 300)
    _open(visit, f"<button {CHANGES}>{name}</button><button>Paylaş</button>")

    with pytest.raises(MissingError, match="has no button “Ücretsiz Al”"):
        press(visit, ENROL, [])


SENDS = "fetch('/api/change', {method: 'POST', body: 'x'})"
MODAL = """<button onclick="d.showModal()">Ücretsiz Al</button><dialog id=d><p>Emin misiniz?</p>
<button onclick="d.close()">Vazgeç</button><button onclick="d.close(); SENDS">Evet</button></dialog>"""
LAYER = """<button onclick="d.hidden = false">Ücretsiz Al</button><div role=alertdialog id=d hidden>
<button onclick="SENDS">Onayla</button></div>"""
NATIVE = """<button onclick="if (confirm('Emin misiniz?')) SENDS">Ücretsiz Al</button>"""


@pytest.mark.parametrize("page_of", [MODAL, LAYER, NATIVE], ids=["dialog", "layer", "native"])
def test_a_button_that_asks_first_is_confirmed(visit: Visit, monkeypatch: pytest.MonkeyPatch, page_of: str) -> None:
    """A question before a change is a redesign: users answer it, and nothing is broken."""
    monkeypatch.setattr(elements, "ACTION_MS", 500)
    _open(visit, page_of.replace("SENDS", SENDS))

    answer, pressed = press(visit, ENROL, [])

    assert (answer.status, pressed) == (201, "Ücretsiz Al")


@pytest.mark.parametrize("offer", ["Şimdi Satın Al", "Kaydı sil"])
def test_no_question_is_answered_by_buying_or_deleting(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, offer: str
) -> None:
    """A free course that asks for money in a dialog is broken, and the journey must not pay."""
    monkeypatch.setattr(elements, "ACTION_MS", 500)
    _open(visit, LAYER.replace("SENDS", SENDS).replace("Onayla", offer))

    with pytest.raises(AssertionError, match="the page sent no change"):
        press(visit, ENROL, [])


@pytest.mark.parametrize("page_of", [MODAL, NATIVE], ids=["dialog", "native"])
def test_no_guess_is_confirmed(visit: Visit, monkeypatch: pytest.MonkeyPatch, page_of: str) -> None:
    """A button that nobody knows and that asks whether one is sure may do harm."""
    monkeypatch.setattr(elements, "_TRY_MS", 300)
    monkeypatch.setattr(elements, "ACTION_MS", 500)
    _open(visit, page_of.replace("SENDS", SENDS).replace("Ücretsiz Al", "Derse Başla") + "<button>Paylaş</button>")

    with pytest.raises(MissingError, match="has no button “Ücretsiz Al”"):
        press(visit, ENROL, [])


TWO_STEPS = """<form onsubmit="if (!this.p) {event.preventDefault(); s.innerHTML='<input type=password name=p>'}">
<input type=email name=e><div id=s></div><button>Devam</button></form>"""


@pytest.mark.parametrize(
    "form",
    [
        "<form><input type=email name=e><input type=password name=p><button>Devam</button></form>",
        "<form><input name=e><input type=password name=p><input type=submit value=Go></form>",
        TWO_STEPS,
        (
            "<form id=f onsubmit='return !!event.submitter'>"
            "<input type=email name=e><input type=password name=p></form>"
            "<footer><button form=f>Devam</button></footer>"
        ),
    ],
)
def test_a_sign_in_form_is_filled_in_by_the_types_of_its_fields(visit: Visit, form: str) -> None:
    """Labels and buttons may have any name; the password may come in a second step."""
    _open(visit, f"<form><input name=search><button type=submit>Ara</button></form>{form}")
    account = Account("eda@7peducation.test", secrets.token_hex(4), "student")
    with visit.page.expect_navigation(url="**/offer?**"):
        submit_form(visit.page, account)

    assert "e=eda%407peducation.test" in visit.page.url
    assert f"p={account.password}" in visit.page.url


@pytest.mark.parametrize(
    ("offer", "leads"),
    [
        ("<a href='/courses/1/purchase'>Kaydol</a>", True),
        ("<button onclick=\"location.assign('/courses/1/purchase')\">Hemen başla</button>", True),
        ("<button>Paylaş</button><button onclick=\"location.assign('/sepet')\">Satın Al, 14 gün iade</button>", True),
        (
            "<button onclick=\"fetch('/api/payments/create-checkout-session', {method: 'POST'})\">Şimdi Al</button>",
            True,
        ),
        ("<button onclick='d.showModal()'>Satın Al</button><dialog id=d><button>Devam</button></dialog>", True),
        ("<button>Satın Al</button>", False),
        ("<button onclick=\"location.assign('/yok')\">Satın Al</button>", False),
        ("<button onclick=\"location.assign('/hakkinda')\">Eğitmen</button>", False),
        ("<p>Fiyat: 99 TL</p>", False),
    ],
)
def test_an_offer_leads_on_in_any_way(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, offer: str, *, leads: bool
) -> None:
    """A cart, a question or Stripe itself may come next; a button that does nothing leads nowhere."""
    monkeypatch.setattr(elements, "ACTION_MS", 1_500)
    monkeypatch.setattr(elements, "_TRY_MS", 1_000)
    other = "<main><h1>A</h1>x</main>"
    visit.page.context.route("**/*", lambda route: route.fulfill(content_type="text/html", body=other))
    visit.page.context.route("**/yok", lambda route: route.fulfill(status=404, content_type="text/html", body=other))
    _open(visit, offer)

    assert (leads_to_no_purchase(visit, "/courses/1/purchase") == "") is leads
