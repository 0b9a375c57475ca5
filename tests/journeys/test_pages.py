"""The pages that the browser renders: the shop, the student's own pages, the pages of the account mails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
import pytest

from fixtures.browser.elements import UNDOES
from fixtures.browser.views import Look
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotApplicable
from fixtures.inspection.crawl import LEFT_ALONE
from fixtures.inspection.delivery import leads_elsewhere
from fixtures.model.texts import Texts
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Data, Listed, dearest_of, empty, enrols_for_free, sells
from fixtures.site.client import Site
from fixtures.site.leftovers import Ledger
from fixtures.target.target import Target

PERSONAL = ("/courses", "/settings", "/student/materials")
# A page of each account mail; the first one has a form.
MAILED = (
    "/auth/reset-password",
    "/auth/verify-email",
    "/auth/verification-success",
    "/auth/verification-error",
)


class _Named(msgspec.Struct):
    title: str


class _Content(msgspec.Struct):
    modules: list[_Named] = []


class _Course(msgspec.Struct):
    id: str
    title: str
    slug: str
    price: float = 0.0

    @property
    def page(self) -> str:
        """The path of its offer."""
        return f"/marketplace/{self.slug}"


def _listed(answer: Answer) -> list[_Course]:
    """Return the list without courses that lack a title: they are a finding of their own."""
    rows = answer.read(Data[Listed[dict[str, object]]]).data.courses
    return [msgspec.convert(row, _Course) for row in rows if row.get("title")]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/courses")
@depends_on("GET /marketplace", "GET /_next/*", "GET /api/auth/session")
def test_marketplace_shows_the_courses_of_the_api(answer: Answer, look_as_student: Look) -> None:
    """Students buy the courses that they see; a shop that shows others sells nothing."""
    (shop,) = look_as_student("/marketplace")

    assert shop.broken == ""
    assert [course.title for course in _listed(answer) if not shop.shows(course.title)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks("GET /api/health", "GET /api/courses")
@depends_on("GET /marketplace", "GET /marketplace/*", "GET /api/courses/*", "GET /_next/*", "GET /api/auth/session")
def test_a_course_page_shows_the_course_and_how_to_get_it(
    answers: list[Answer], look_as_student: Look, site: Site, target: Target
) -> None:
    """Visitors decide to buy on this page. While free enrolment is off, a free course cannot be had."""
    health, courses = answers
    course = next((course for course in _listed(courses) if course.price > 0 or enrols_for_free(health)), None)
    if course is None:
        raise empty(target, "no offer could be opened")
    shop, offer = look_as_student("/marketplace", course.page)
    content = site.ask(f"GET /api/courses/{course.id}").read(Data[_Content]).data

    assert shop.leads_to(course.page), shop
    assert offer.broken == ""
    assert offer.shows(course.title), offer
    assert [module.title for module in content.modules if not offer.shows(module.title)] == []
    assert offer.actions or offer.leads_to("/courses/"), offer


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="feature-flags", needs=("accounts",))
@asks("POST /api/enroll/free", json={})
@asks("GET /api/health", "GET /api/courses")
@depends_on("GET /marketplace/*", "GET /_next/*", "GET /api/auth/session")
def test_pages_and_api_agree_whether_free_enrolment_is_on(
    answers: list[Answer],
    look_as_student: Look,
    site: Site,
    browsing_student: Session,
    ledger: Ledger,
    target: Target,
    texts: Texts,
) -> None:
    """Otherwise a button leads to a refusal, or an open API has no button."""
    api, health, courses = answers
    owned = site.ask("GET /api/enrollments", cookies=browsing_student.cookies).text
    free = [course for course in _listed(courses) if course.price == 0 and course.id not in owned]
    if not _listed(courses):
        raise empty(target, "no page shows the flag")
    pages = ((course.id, look_as_student(course.page)[0]) for course in free)
    # A journey of this run may have enrolled the student after the question; its plan is in the ledger before that.
    page = next((page for course, page in pages if course not in ledger.courses()), None)
    if page is None:
        reason = "the shop's first page offers no free course to this student, so no page shows the flag"
        raise NotApplicable(reason)
    # The page of a free course has no other button of this kind, so that its name does not matter.
    # A button may wait for the terms to be accepted.
    shown_buttons = page.buttons if "checkbox" in page.fields else page.actions
    offers = texts["enrol_for_free"].best_of(shown_buttons) is not None or len(page.actions) == 1

    shown = {"the API": api.status == HTTPStatus.UNAUTHORIZED, "the page": offers}
    assert {name: on for name, on in shown.items() if on is not enrols_for_free(health)} == {}


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@depends_on("GET /dashboard", *(f"GET {path}" for path in PERSONAL), "GET /_next/*", "GET /api/auth/session")
def test_personal_pages_open_for_a_student(look_as_student: Look) -> None:
    """Otherwise a signed-in student is sent away, or sees a page without its content, or another page."""
    dashboard, *views = look_as_student("/dashboard", *PERSONAL)
    settings = views[PERSONAL.index("/settings")]
    contents = [(*view.headings, *view.links) for view in (dashboard, *views)]

    assert [view.broken for view in views if view.broken] == []
    assert settings.fields or len(settings.buttons) > 1, settings
    assert len(set(contents)) == len(contents), [dashboard, *views]


@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@depends_on("GET /student", "GET /student/questions", "GET /dashboard", "GET /_next/*", "GET /api/auth/session")
def test_the_other_personal_pages_open_for_a_student(look_as_student: Look) -> None:
    """Students look up the answers of their teachers here."""
    questions, student = look_as_student("/student/questions", "/student")

    assert questions.broken == ""
    assert student.path == "/dashboard", student


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="authentication-issues")
@depends_on(*(f"GET {path}" for path in MAILED), "GET /_next/*")
def test_account_pages_show_their_content(look: Look) -> None:
    """Every mail about an account links to one of these pages."""
    pages = look(*MAILED)

    assert [page.broken for page in pages if page.broken] == []
    assert pages[0].fields, pages[0]
    assert [page for page in pages if not page.actions and not page.links] == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="feature-flags", needs=("accounts",))
@asks("GET /api/health", "GET /api/courses?sortBy=price&sortOrder=desc&limit=2")
@depends_on("GET /courses/*/purchase", "GET /_next/*", "GET /api/auth/session")
def test_the_purchase_page_matches_the_payments_mode(
    answers: list[Answer], look_as_student: Look, target: Target
) -> None:
    """A button while payments are off leads nowhere; no button while they are on sells nothing."""
    health, courses = answers
    (page,) = look_as_student(f"/courses/{dearest_of(courses, target).id}/purchase")
    is_open = page.path == page.asked and bool(page.actions)

    assert is_open is sells(health), page
    assert not sells(health) or page.broken == ""


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="function", runbook="deployment-checklist", needs=("accounts",))
@asks("GET /api/courses")
@depends_on("GET /*")
def test_every_link_of_a_students_pages_works(
    answer: Answer,
    look_as_student: Look,
    site: Site,
    browsing_student: Session,
    target: Target,
    threads: ThreadPoolExecutor,
) -> None:
    """A page that no check names stays broken until a student complains; nobody reaches a developer's machine."""
    offers = [course.page for course in _listed(answer)[:1]]
    views = look_as_student("/dashboard", "/marketplace", *PERSONAL, *offers)
    linked = sorted({address for view in views for name, address in view.links if not UNDOES.is_in(name)})
    # One address of each path: filters have many queries.
    pages = {address.partition("?")[0]: address for address in linked if address.startswith("/")}
    paths = [f"GET {address}" for path, address in pages.items() if not LEFT_ALONE.search(path)]
    own = {target.host, urlsplit(site.url).netloc}

    answers = list(threads.map(partial(site.ask, cookies=browsing_student.cookies), paths))
    assert paths != []
    assert [found for found in answers if found.status >= HTTPStatus.BAD_REQUEST] == []
    assert [address for address in linked if leads_elsewhere(address, own)] == []
