"""Whether a finger reaches the main control of a page, in whatever layout."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from fixtures.browser.reach import out_of_reach

HEAD = "<!DOCTYPE html><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
PAY = "<button>Pay with Stripe Checkout</button>"
MAIN = "<div role='note'><button>Kapat</button></div><main><h1>Marka</h1>{}</main>"


def _why(page: Page, style: str, body: str, path: str = "/courses/7/purchase") -> str:
    page.set_viewport_size({"width": 390, "height": 844})
    page.set_content(f"{HEAD}<style>button {{ height: 40px }} {style}</style>{MAIN.format(body)}")
    return out_of_reach(page, path)


@pytest.mark.parametrize(
    ("style", "body", "why"),
    [
        ("", PAY, ""),
        ("main { padding-top: 3000px }", PAY, ""),
        ("main { width: 1200px } button { margin-left: 900px }", PAY, "beyond the edge"),
        ("button { position: fixed; left: 150vw }", PAY, "beyond the edge"),
        ("button { transform: scale(.1) }", PAY, "too small"),
        ("button { pointer-events: none }", PAY, "is covered"),
        ("main::after { content: ''; position: fixed; inset: 0 }", PAY, "is covered"),
        ("button { opacity: 0 }", PAY, "is hidden"),
        ("button { display: none }", PAY, "no control"),
        # Another button does the same: in a bar at the foot, or as a copy.
        ("main button { display: none }", f"{PAY}</main><footer><button>Öde</button></footer>", ""),
        (".x button { position: fixed; left: 150vw }", f"<div class='x'>{PAY}</div>{PAY}", ""),
        # A row of cards is pushed sideways, and the page is not.
        ("div.r { overflow-x: auto; display: flex } i { flex: 0 0 900px }", f"<div class='r'><i></i>{PAY}</div>", ""),
        ("", "<a href='/courses/marka'>Kursa Git</a>", ""),
        ("", "<button disabled>Tamamlandı</button><button>Sonraki Ders</button>", ""),
    ],
)
def test_a_control_is_reached_as_a_finger_reaches_it(page: Page, style: str, body: str, why: str) -> None:
    """Another layout is right as long as one can do what the page is for."""
    found = _why(page, style, body)

    assert why in found
    assert bool(found) is bool(why)


FORM = "<form id=f hidden><input type=email><input type=password>{}</form>"
BY_MAIL = "<button type=button>E-posta ile devam et</button>"


@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (FORM.format("<button>Gönder</button>").replace("hidden", ""), ""),
        (FORM.format("").replace("hidden", "") + "<button form=f>Gönder</button>", ""),
        (FORM.format("").replace("hidden", "") + "<input type=submit form=f value=Gönder>", ""),
        (FORM.format("<button>Gönder</button>") + BY_MAIL, ""),
        (FORM.format("<button>Gönder</button>"), "is hidden"),
        (FORM.format("").replace("hidden", "") + "<button type=button>Google</button>", "no control"),
    ],
)
def test_the_button_of_a_form_may_stand_elsewhere(page: Page, path: str, body: str, why: str) -> None:
    """A redesign puts it into a bar outside of the form, or shows the form after another button."""
    found = _why(page, "input[type=submit] { height: 40px }", body, path)

    assert why in found
    assert bool(found) is bool(why)
