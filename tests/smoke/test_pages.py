"""The public pages, as the server sends them."""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.checks.evidence import NotApplicable
from fixtures.site.catalogue import Data, Listed, empty, enrols_for_free
from fixtures.target.target import Target

from .conftest import its_assets


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="application-not-loading")
@asks("GET /")
def test_home_page_greets_visitors_and_links_to_sign_in(answer: Answer) -> None:
    """Without the home page no visitor finds sign-in or registration."""
    assert answer.status == HTTPStatus.OK
    assert answer.page.headings(1) == ["7p Platformuna Hoş Geldiniz!"]
    assert answer.page.language == "tr"
    links = answer.page.links()
    expected = {"Giriş Yap": "/login", "Hesap Oluştur": "/register", "Kontrol Paneli": "/dashboard"}
    assert {text: links.get(text) for text in expected} == expected


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="authentication-issues")
@asks("GET /login")
def test_login_page_offers_its_form(answer: Answer) -> None:
    """Without the form no user can sign in; a fallback page with a demo account has another heading."""
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

    @property
    def shown_title(self) -> str:
        """The title as a page shows it: HTML shows any run of white space as one space."""
        return " ".join(self.title.split())


class _Courses(Listed[_Course]):
    total: int


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /marketplace", "GET /api/courses")
def test_marketplace_shows_the_courses_of_the_api(answers: list[Answer]) -> None:
    """Visitors buy the courses that they see; a shop that shows others sells nothing."""
    shop, api = answers
    assert shop.status == HTTPStatus.OK
    assert shop.page.headings(1) == ["Kurs Mağazası"]

    listing = api.read(Data[_Courses]).data
    text = shop.page.text
    assert [f"{course.title} is not shown" for course in listing.courses if course.shown_title not in text] == []
    assert f"Kurslar ({listing.total})" in shop.page.headings(2)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues")
@asks("GET /dashboard")
def test_dashboard_sends_anonymous_visitors_to_the_login(answer: Answer) -> None:
    """An open dashboard shows somebody's data; a dashboard that fails locks everyone out."""
    assert answer.status == HTTPStatus.TEMPORARY_REDIRECT
    leads_to = urlsplit(answer.headers.get("location", ""))
    assert (leads_to.path, leads_to.query) == ("/login", "callbackUrl=%2Fdashboard")
    assert "Kayıtlı Kursların" not in answer.text


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /")
@follow_up(its_assets)
@depends_on("GET /_next/static/*")
def test_stylesheets_and_scripts_of_the_home_page_are_served(answer: Answer, followed: list[Answer]) -> None:
    """Nobody trusts an unstyled page with a card, and without scripts no button works."""
    assert answer.page.assets() != []
    assert [asset for asset in followed if asset.status != HTTPStatus.OK or not asset.content] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks("GET /7p-verify-boyle-bir-sayfa-yok")
def test_unknown_pages_answer_404(answer: Answer) -> None:
    """A missing page that answers 200 fills search engines with empty pages and hides broken links."""
    assert answer.status == HTTPStatus.NOT_FOUND


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="deployment-checklist")
@asks("GET /robots.txt")
def test_robots_keep_private_areas_out_of_search_engines(answer: Answer) -> None:
    """Without it search engines list the admin addresses; if it disallows `/`, the shop disappears from them."""
    assert answer.status == HTTPStatus.OK
    rules = {" ".join(line.split()) for line in answer.text.splitlines()}

    expected = {"Disallow: /admin", "Disallow: /dashboard", "Disallow: /api/"}
    assert sorted(expected - rules) == []
    assert "Disallow: /" not in rules


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues")
@asks("GET /register")
def test_register_page_offers_its_form(answer: Answer) -> None:
    """Without the form the platform wins no new user."""
    assert answer.status == HTTPStatus.OK
    page = answer.page
    assert "Yeni hesap oluşturun" in page.headings(2)
    fields = ("#fullName", "#email", "#password", "#confirmPassword")
    assert [field for field in fields if page.count(f"input{field}") != 1] == []
    assert "Hesap oluştur" in page.texts("button")


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="authentication-issues")
@asks(
    "GET /auth/reset-password",
    "GET /auth/verify-email",
    "GET /auth/verification-success",
    "GET /auth/verification-error",
)
def test_account_pages_open(answers: list[Answer]) -> None:
    """Every mail about an account links to one of these pages."""
    reset, *verification = answers

    assert [answer for answer in answers if answer.status != HTTPStatus.OK] == []
    assert reset.page.count("input[type=email]") == 1
    assert [answer for answer in verification if "E-posta Doğrulama" not in answer.page.text] == []


WAYS = {"Şimdi Satın Al", "Ücretsiz Al", "Kursa Git"}


def _every_offer(answers: list[Answer]) -> list[str]:
    """Return requests for every offer on the shop's first page; the last request of the test has the page."""
    return [f"GET {link}" for link in dict.fromkeys(_OFFER.findall(answers[-1].text))]


@pytest.fixture
def offers(followed: list[Answer], target: Target) -> list[Answer]:
    """Return the page of every offer."""
    if not followed:
        raise empty(target, "no offer could be opened")
    return followed


def _free(courses: Answer) -> set[str]:
    return {course.shown_title for course in courses.read(Data[_Courses]).data.courses if course.price == 0}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /api/health", "GET /api/courses", "GET /marketplace")
@follow_up(_every_offer)
@depends_on("GET /marketplace/*")
def test_a_course_page_shows_the_course_and_how_to_get_it(answers: list[Answer], offers: list[Answer]) -> None:
    """Visitors decide to buy on this page. While free enrolment is off, a free course cannot be had."""
    health, courses, shop = answers
    closed = set() if enrols_for_free(health) else _free(courses)
    assert [offer for offer in offers if offer.status != HTTPStatus.OK] == []

    pages = {offer.url: offer.page for offer in offers}
    titles = {url: page.headings(1) for url, page in pages.items()}
    assert {url: found for url, found in titles.items() if len(found) != 1 or found[0] not in shop.page.text} == {}
    assert [url for url, page in pages.items() if "Kurs İçeriği" not in page.headings(2)] == []
    ways = {url: WAYS & {*page.texts("a"), *page.texts("button")} for url, page in pages.items()}
    assert [url for url, found in ways.items() if not found and titles[url][0] not in closed] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="feature-flags", spends={"enrolments": 1})
@asks("POST /api/enroll/free", json={})
@asks("GET /api/health", "GET /api/courses", "GET /marketplace")
@follow_up(_every_offer)
@depends_on("GET /marketplace/*")
def test_pages_and_api_agree_whether_free_enrolment_is_on(answers: list[Answer], offers: list[Answer]) -> None:
    """Otherwise a button leads to a refusal, or an open API has no button."""
    api, health, courses, _ = answers
    enabled = enrols_for_free(health)
    free = _free(courses)
    page = next((offer.page for offer in offers if free & {*offer.page.headings(1)}), None)
    if page is None:
        reason = "the shop's first page offers no free course, so no page could be compared with the flag"
        raise NotApplicable(reason)

    shown = {"the API": api.status == HTTPStatus.UNAUTHORIZED, "the page": "Ücretsiz Al" in page.texts("button")}
    assert {name: on for name, on in shown.items() if on is not enabled} == {}
