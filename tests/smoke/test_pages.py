"""The pages that anyone sees, as the server sends them."""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec
import pytest

from fixtures.answers import Answer
from fixtures.declarations import asks, touches
from fixtures.evidence import NotMeasured
from fixtures.site import Site


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", runbook="application-not-loading")
@asks("GET /")
def test_home_page_greets_visitors_and_leads_on(answer: Answer) -> None:
    """The front door: without it nobody reaches sign-in or registration."""
    assert answer.status == HTTPStatus.OK
    assert answer.page.headings(1) == ["7p Platformuna Hoş Geldiniz!"]
    assert answer.page.language == "tr"
    links = answer.page.links()
    expected = {"Giriş Yap": "/login", "Hesap Oluştur": "/register", "Kontrol Paneli": "/dashboard"}
    assert {text: links.get(text) for text in expected} == expected


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", runbook="authentication-issues")
@asks("GET /login")
def test_login_page_offers_its_form(answer: Answer) -> None:
    """Without the form no one can sign in; a fallback page with a demo account has another heading."""
    assert answer.status == HTTPStatus.OK
    page = answer.page
    assert page.headings(1) == ["7P Education Giriş"]
    assert (page.count("input[type=email]"), page.count("input[type=password]")) == (1, 1)
    assert "Giriş Yap" in page.texts("button")
    assert page.links().get("Kayıt olun") == "/register"


_OFFER = re.compile(r'href="(/marketplace/[^"?#]+)"')


class _Course(msgspec.Struct):
    title: str
    price: float = 0.0


class _Courses(msgspec.Struct):
    courses: list[_Course]
    total: int


class _Listing(msgspec.Struct):
    data: _Courses


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading")
@asks("GET /marketplace", "GET /api/courses")
def test_marketplace_shows_the_courses_of_the_api(answers: list[Answer]) -> None:
    """Visitors buy what they see: a shop that shows other courses than are for sale sells nothing."""
    shop, api = answers
    assert shop.status == HTTPStatus.OK
    assert shop.page.headings(1) == ["Kurs Mağazası"]

    listing = api.read(_Listing).data
    text = shop.page.text
    assert [course.title for course in listing.courses if course.title not in text] == []
    assert f"Kurslar ({listing.total})" in shop.page.headings(2)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="authentication-issues")
@asks("GET /dashboard")
def test_dashboard_sends_anonymous_visitors_to_the_login(answer: Answer) -> None:
    """A dashboard that opens for anyone shows someone's data; one that errs locks everyone out."""
    assert answer.status == HTTPStatus.TEMPORARY_REDIRECT
    assert answer.headers.get("location", "").endswith("/login?callbackUrl=%2Fdashboard")
    assert "Kayıtlı Kursların" not in answer.text


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading")
@asks("GET /")
@touches("GET /_next/static/*")
def test_stylesheets_and_scripts_of_the_home_page_are_served(answer: Answer, site: Site) -> None:
    """A page without its stylesheet is a page nobody trusts with a card; without scripts no button works."""
    addresses = answer.page.assets()
    assert addresses != []

    served = [site.ask(f"GET {address}") for address in addresses]
    assert [asset for asset in served if asset.status != HTTPStatus.OK or not asset.content] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="application-not-loading")
@asks("GET /7p-verify-boyle-bir-sayfa-yok")
def test_unknown_pages_answer_404(answer: Answer) -> None:
    """A soft 404 fills search engines with empty pages and hides broken links."""
    assert answer.status == HTTPStatus.NOT_FOUND


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="deployment-checklist")
@asks("GET /robots.txt")
def test_robots_keep_private_areas_out_of_search_engines(answer: Answer) -> None:
    """Indexed admin and API addresses are an invitation; a disallowed `/` makes the shop disappear."""
    assert answer.status == HTTPStatus.OK
    rules = {" ".join(line.split()) for line in answer.text.splitlines()}

    expected = {"Disallow: /admin", "Disallow: /dashboard", "Disallow: /api/"}
    assert sorted(expected - rules) == []
    assert "Disallow: /" not in rules


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="authentication-issues")
@asks("GET /register")
def test_register_page_offers_its_form(answer: Answer) -> None:
    """Without it the platform wins nobody."""
    assert answer.status == HTTPStatus.OK
    page = answer.page
    assert "Yeni hesap oluşturun" in page.headings(2)
    fields = ("#fullName", "#email", "#password", "#confirmPassword")
    assert [field for field in fields if page.count(f"input{field}") != 1] == []
    assert "Hesap oluştur" in page.texts("button")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="authentication-issues")
@asks(
    "GET /auth/reset-password",
    "GET /auth/verify-email",
    "GET /auth/verification-success",
    "GET /auth/verification-error",
)
def test_account_pages_open(answers: list[Answer]) -> None:
    """Every mail about an account leads to one of them."""
    reset, *verification = answers

    assert [answer for answer in answers if answer.status != HTTPStatus.OK] == []
    assert reset.page.count("input[type=email]") == 1
    assert [answer for answer in verification if "E-posta Doğrulama" not in answer.page.text] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading")
@asks("GET /marketplace")
@touches("GET /marketplace/*")
def test_an_offer_shows_its_course_and_a_way_to_get_it(answer: Answer, site: Site) -> None:
    """The page where the decision to buy is made."""
    links = [link for text, link in answer.page.links().items() if text == "Detay"]
    if not links:
        reason = "the shop offers no course, so no offer could be opened"
        raise NotMeasured(reason)

    offer = site.ask(f"GET {links[0]}")
    assert offer.status == HTTPStatus.OK
    assert [title for title in offer.page.headings(1) if title not in answer.page.text] == []
    assert len(offer.page.headings(1)) == 1
    assert "Kurs İçeriği" in offer.page.headings(2)
    ways = {"Şimdi Satın Al", "Ücretsiz Al", "Kursa Git"}
    assert ways & {*offer.page.texts("a"), *offer.page.texts("button")} != set()


class _Flag(msgspec.Struct):
    freeEnrollmentEnabled: bool  # noqa: N815  (the platform's word)


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="feature-flags", spends={"enrolments": 1})
@asks("GET /api/health", "GET /api/courses", "GET /marketplace")
@asks("POST /api/enroll/free", json={})
@touches("GET /marketplace/*")
def test_free_enrolment_is_on_everywhere_or_off_everywhere(answers: list[Answer], site: Site) -> None:
    """A button for what the API refuses, or an open API that no page tells of: half a switch."""
    health, courses, shop, api = answers
    enabled = health.read(_Flag).freeEnrollmentEnabled
    free = {course.title for course in courses.read(_Listing).data.courses if course.price == 0}
    offers = (site.ask(f"GET {link}").page for link in dict.fromkeys(_OFFER.findall(shop.text)))
    page = next((offer for offer in offers if free & {*offer.headings(1)}), None)
    if page is None:
        reason = "the shop's first page offers no free course, so no page could be compared with the flag"
        raise NotMeasured(reason)

    told = {"the API": api.status == HTTPStatus.UNAUTHORIZED, "the page": "Ücretsiz Al" in page.texts("button")}
    assert {name: on for name, on in told.items() if on is not enabled} == {}
