"""The pages that the browser renders: the shop, the student's own pages, the pages of the account mails."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
import pytest

from fixtures.browser.views import Look
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotMeasured
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Data, Listed, courses_of, empty, enrols_for_free
from fixtures.site.client import Site
from fixtures.target.target import Target

WAYS = ("Şimdi Satın Al", "Ücretsiz Al", "Kursa Git")
SETTINGS = ("Kişisel Bilgiler", "Platform Ayarları", "Bildirimler", "Güvenlik", "Faturalandırma")
# The heading of each page, and the path at which it ends.
PERSONAL = {
    "/courses": ("Kurslarım", "/courses"),
    "/settings": ("Ayarlar", "/settings"),
    "/student": ("Kontrol Paneli", "/dashboard"),
    "/student/materials": ("Materyallerim", "/student/materials"),
    "/student/questions": ("Soru & Cevaplarım", "/student/questions"),
}
# A text of each page that a mail links to.
MAILED = {
    "/auth/reset-password": "Reset Password",
    "/auth/verify-email": "E-posta Doğrulama",
    "/auth/verification-success": "E-posta Doğrulandı",
    "/auth/verification-error": "E-posta",
}
student = pytest.mark.usefixtures("browsing_student")


class _Course(msgspec.Struct):
    id: str
    title: str
    slug: str
    price: float = 0.0


class _Mode(msgspec.Struct):
    paymentsMode: str  # noqa: N815  (the platform's word)


class _Courses(Listed[_Course]):
    total: int


def _listed(answer: Answer) -> _Courses:
    return answer.read(Data[_Courses]).data


def _offers(courses: Answer, target: Target) -> tuple[_Course | None, _Course | None]:
    """Return the first course with a price and the first free one."""
    listed = _listed(courses).courses
    if not listed:
        raise empty(target, "no offer could be opened")
    free, priced = ([course for course in listed if (course.price == 0) is wanted] for wanted in (True, False))
    return next(iter(priced), None), next(iter(free), None)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/courses")
@depends_on("GET /marketplace", "GET /_next/*", "GET /api/auth/session")
@student
def test_marketplace_shows_the_courses_of_the_api(answer: Answer, look: Look) -> None:
    """Students buy the courses that they see; a shop that shows others sells nothing."""
    (shop,) = look("/marketplace")
    listing = _listed(answer)

    assert shop.has_heading("Kurs Mağazası"), shop
    assert [course.title for course in listing.courses if not shop.shows(course.title)] == []
    assert shop.has_heading(f"Kurslar ({listing.total})"), shop


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/health", "GET /api/courses")
@depends_on("GET /marketplace", "GET /marketplace/*", "GET /_next/*", "GET /api/auth/session")
@student
def test_a_course_page_shows_the_course_and_how_to_get_it(answers: list[Answer], look: Look, target: Target) -> None:
    """Visitors decide to buy on this page. While free enrolment is off, a free course cannot be had."""
    health, courses = answers
    opened = [course for course in _offers(courses, target) if course]
    shop, *offers = look("/marketplace", *(f"/marketplace/{course.slug}" for course in opened))
    pages = list(zip(opened, offers, strict=True))
    to_get = [offer for course, offer in pages if course.price > 0 or enrols_for_free(health)]

    assert {offer.asked for offer in offers} <= {to for _, to in shop.links}, shop
    assert [offer for course, offer in pages if not offer.has_heading(course.title)] == []
    assert [offer for offer in offers if not offer.has_heading("Kurs İçeriği")] == []
    assert [offer for offer in to_get if not any(offer.has_control(way) for way in WAYS)] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", runbook="feature-flags", needs=("accounts",), spends={"enrolments": 1})
@asks("POST /api/enroll/free", json={})
@asks("GET /api/health", "GET /api/courses")
@depends_on("GET /marketplace/*", "GET /_next/*", "GET /api/auth/session")
def test_pages_and_api_agree_whether_free_enrolment_is_on(
    answers: list[Answer], look: Look, site: Site, browsing_student: Session
) -> None:
    """Otherwise a button leads to a refusal, or an open API has no button."""
    api, health, courses = answers
    owned = site.ask("GET /api/enrollments", cookies=browsing_student.cookies).text
    free = next((course for course in _listed(courses).courses if course.price == 0 and course.id not in owned), None)
    if free is None:
        reason = "the shop's first page offers no free course to this student, so no page shows the flag"
        raise NotMeasured(reason)
    (page,) = look(f"/marketplace/{free.slug}")

    shown = {"the API": api.status == HTTPStatus.UNAUTHORIZED, "the page": page.has_control("Ücretsiz Al")}
    assert {name: on for name, on in shown.items() if on is not enrols_for_free(health)} == {}


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading", needs=("accounts",))
@depends_on(*(f"GET {path}" for path in PERSONAL), "GET /dashboard", "GET /_next/*", "GET /api/auth/session")
@student
def test_personal_pages_open_for_a_student(look: Look) -> None:
    """Otherwise a signed-in student is sent away, or sees a page without its content."""
    pages = dict(zip(PERSONAL, look(*PERSONAL), strict=True))

    assert [pages[path] for path, (_, ends) in PERSONAL.items() if pages[path].path != ends] == []
    assert [pages[path] for path, (name, _) in PERSONAL.items() if not pages[path].has_heading(name)] == []
    assert [name for name in SETTINGS if not pages["/settings"].has_control(name)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="authentication-issues")
@depends_on(*(f"GET {path}" for path in MAILED), "GET /_next/*")
def test_account_pages_open(look: Look) -> None:
    """Every mail about an account links to one of these pages."""
    pages = look(*MAILED)

    assert [page for page in pages if not page.shows(MAILED[page.asked])] == []
    assert "email" in pages[0].fields, pages[0]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="feature-flags", needs=("accounts",))
@asks("GET /api/health", "GET /api/courses?sortBy=price&sortOrder=desc&limit=2")
@depends_on("GET /courses/*/purchase", "GET /_next/*", "GET /api/auth/session")
@student
def test_the_purchase_page_matches_the_payments_mode(answers: list[Answer], look: Look, target: Target) -> None:
    """A button while payments are off leads nowhere; no button while they are on sells nothing."""
    health, courses = answers
    dearest = next((course for course in courses_of(courses) if course.price > 0), None)
    if dearest is None:
        raise empty(target, "nothing is sold")
    (page,) = look(f"/courses/{dearest.id}/purchase")

    assert page.has_control("Pay with Stripe Checkout") is (health.read(_Mode).paymentsMode == "stripe"), page


@pytest.mark.daily
@pytest.mark.check(severity="P2", runbook="deployment-checklist", needs=("accounts",))
@asks("GET /api/courses")
@depends_on("GET /*")
@student
def test_every_link_of_a_students_pages_works(answer: Answer, look: Look, site: Site, target: Target) -> None:
    """A page that no check names stays broken until a student complains."""
    offers = [f"/marketplace/{course.slug}" for course in _offers(answer, target) if course]
    views = look("/dashboard", "/marketplace", *PERSONAL, *offers)
    linked = sorted({path for view in views for _, path in view.links})

    answers = [site.ask(f"GET {path}") for path in linked]
    assert linked != []
    assert [found for found in answers if found.status >= HTTPStatus.BAD_REQUEST] == []
