"""The pages that the browser renders: the shop, the student's own pages, the pages of the account mails."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
import pytest

from fixtures.browser.views import Look
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotApplicable
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Data, Listed, courses_of, empty, enrols_for_free
from fixtures.site.client import Site
from fixtures.target.target import Target

WAYS = ("Şimdi Satın Al", "Ücretsiz Al", "Kursa Git")
PAY = "Pay with Stripe Checkout"
SHOP = ("Kurs Mağazası", "Kurslar")
OFFER = ("Kurs İçeriği",)
SETTINGS = ("Kişisel Bilgiler", "Platform Ayarları", "Bildirimler", "Güvenlik", "Faturalandırma")
# Texts of each page.
PERSONAL = {
    "/courses": ("Kurslarım",),
    "/settings": ("Ayarlar", *SETTINGS),
    "/student/materials": ("Materyallerim",),
}
MAILED = {
    "/auth/reset-password": ("Reset Password",),
    "/auth/verify-email": ("E-posta Doğrulama",),
    "/auth/verification-success": ("E-posta Doğrulandı",),
    "/auth/verification-error": ("Giriş Sayfasına Dön",),
}


class _Course(msgspec.Struct):
    id: str
    title: str
    slug: str
    price: float = 0.0

    @property
    def page(self) -> str:
        """The path of its offer."""
        return f"/marketplace/{self.slug}"


class _Mode(msgspec.Struct):
    paymentsMode: str  # noqa: N815  (the platform's word)


class _Courses(Listed[_Course]):
    total: int


def _listed(answer: Answer) -> _Courses:
    return answer.read(Data[_Courses]).data


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/courses")
@depends_on("GET /marketplace", "GET /_next/*", "GET /api/auth/session")
def test_marketplace_shows_the_courses_of_the_api(answer: Answer, look_as_student: Look) -> None:
    """Students buy the courses that they see; a shop that shows others sells nothing."""
    listing = _listed(answer)
    (shop,) = look_as_student({"/marketplace": SHOP})

    assert shop.has_heading("Kurs Mağazası"), shop
    assert [course.title for course in listing.courses if not shop.shows(course.title)] == []
    assert shop.has_heading(f"Kurslar ({listing.total})"), shop


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/health", "GET /api/courses")
@depends_on("GET /marketplace", "GET /marketplace/*", "GET /_next/*", "GET /api/auth/session")
def test_a_course_page_shows_the_course_and_how_to_get_it(
    answers: list[Answer], look_as_student: Look, target: Target
) -> None:
    """Visitors decide to buy on this page. While free enrolment is off, a free course cannot be had."""
    health, courses = answers
    course = next((course for course in _listed(courses).courses if course.price > 0 or enrols_for_free(health)), None)
    if course is None:
        raise empty(target, "no offer could be opened")
    shop, offer = look_as_student({"/marketplace": SHOP, course.page: OFFER})

    assert course.page in {to for _, to in shop.links}, shop
    assert offer.has_heading(course.title), offer
    assert offer.has_heading("Kurs İçeriği"), offer
    assert any(offer.has_control(way) for way in WAYS), offer


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="feature-flags", needs=("accounts",))
@asks("POST /api/enroll/free", json={})
@asks("GET /api/health", "GET /api/courses")
@depends_on("GET /marketplace/*", "GET /_next/*", "GET /api/auth/session")
def test_pages_and_api_agree_whether_free_enrolment_is_on(
    answers: list[Answer], look_as_student: Look, site: Site, browsing_student: Session, target: Target
) -> None:
    """Otherwise a button leads to a refusal, or an open API has no button."""
    api, health, courses = answers
    owned = site.ask("GET /api/enrollments", cookies=browsing_student.cookies).text
    free = next((course for course in _listed(courses).courses if course.price == 0 and course.id not in owned), None)
    if not _listed(courses).courses:
        raise empty(target, "no page shows the flag")
    if free is None:
        reason = "the shop's first page offers no free course to this student, so no page shows the flag"
        raise NotApplicable(reason)
    (page,) = look_as_student({free.page: OFFER})

    shown = {"the API": api.status == HTTPStatus.UNAUTHORIZED, "the page": page.has_control("Ücretsiz Al")}
    assert {name: on for name, on in shown.items() if on is not enrols_for_free(health)} == {}


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@depends_on(*(f"GET {path}" for path in PERSONAL), "GET /_next/*", "GET /api/auth/session")
def test_personal_pages_open_for_a_student(look_as_student: Look) -> None:
    """Otherwise a signed-in student is sent away, or sees a page without its content."""
    views = look_as_student(PERSONAL)

    assert [view for view in views if view.path != view.asked] == []
    assert [view for view in views if not all(view.shows(name) for name in PERSONAL[view.asked])] == []


@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@depends_on("GET /student", "GET /student/questions", "GET /dashboard", "GET /_next/*", "GET /api/auth/session")
def test_the_other_personal_pages_open_for_a_student(look_as_student: Look) -> None:
    """Students look up the answers of their teachers here."""
    questions, student = look_as_student({"/student/questions": ["Soru & Cevaplarım"], "/student": ["Kontrol Paneli"]})

    assert questions.has_heading("Soru & Cevaplarım"), questions
    assert (student.path, student.has_heading("Kontrol Paneli")) == ("/dashboard", True), student


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="function", runbook="authentication-issues")
@depends_on(*(f"GET {path}" for path in MAILED), "GET /_next/*")
def test_account_pages_show_their_content(look: Look) -> None:
    """Every mail about an account links to one of these pages."""
    pages = look(MAILED)

    assert [page for page in pages if not all(page.shows(name) for name in MAILED[page.asked])] == []
    assert "email" in pages[0].fields, pages[0]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="feature-flags", needs=("accounts",))
@asks("GET /api/health", "GET /api/courses?sortBy=price&sortOrder=desc&limit=2")
@depends_on("GET /courses/*/purchase", "GET /_next/*", "GET /api/auth/session")
def test_the_purchase_page_matches_the_payments_mode(
    answers: list[Answer], look_as_student: Look, target: Target
) -> None:
    """A button while payments are off leads nowhere; no button while they are on sells nothing."""
    health, courses = answers
    dearest = next((course for course in courses_of(courses) if course.price > 0), None)
    if dearest is None:
        raise empty(target, "nothing is sold")
    sells = health.read(_Mode).paymentsMode == "stripe"
    (page,) = look_as_student({f"/courses/{dearest.id}/purchase": [PAY] if sells else []})

    assert page.has_control(PAY) is sells, page


@pytest.mark.daily
@pytest.mark.check(severity="P2", judges="function", runbook="deployment-checklist", needs=("accounts",))
@asks("GET /api/courses")
@depends_on("GET /*")
def test_every_link_of_a_students_pages_works(answer: Answer, look_as_student: Look, site: Site) -> None:
    """A page that no check names stays broken until a student complains."""
    offers = {course.page: OFFER for course in _listed(answer).courses[:1]}
    views = look_as_student({"/marketplace": SHOP, **PERSONAL, **offers})
    linked = sorted({path for view in views for _, path in view.links})

    answers = [site.ask(f"GET {path}") for path in linked]
    assert linked != []
    assert [found for found in answers if found.status >= HTTPStatus.BAD_REQUEST] == []
