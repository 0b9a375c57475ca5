"""Guarded pages as visitors see them who have no right to them."""

from __future__ import annotations

import json

import msgspec
import pytest
from playwright.sync_api import Page

from fixtures.browser.pages import Visit
from fixtures.browser.views import Look, View, settled
from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.checks.evidence import NotMeasured
from fixtures.model.routes import guarded
from fixtures.model.texts import texts
from fixtures.site.accounts import Session
from fixtures.site.catalogue import Data, empty
from fixtures.site.client import Site
from fixtures.target.target import Target

# Headings and buttons of a page that only refuses.
_MOST_OF_A_REFUSAL = 2
_ADMIN = json.dumps({"id": 1, "email": "7p-verify@7peducation.test", "role": "admin", "isAdmin": True})
# The names under which applications store the signed-in user; the platform's are auth_user, auth_token and sb-auth.
KEPT = {
    **dict.fromkeys(("auth_user", "sb-auth", "user", "currentUser", "auth", "session", "profile"), _ADMIN),
    **dict.fromkeys(("role", "userRole"), "admin"),
    **dict.fromkeys(("isAdmin", "isAuthenticated", "isLoggedIn"), "true"),
    **dict.fromkeys(("auth_token", "token", "accessToken", "next-auth.session-token"), "7p-verify"),
}
FORGE = f"for (const store of [localStorage, sessionStorage]) Object.assign(store, {json.dumps(KEPT)});"
ADMINISTRATION = [request.removeprefix("GET ") for request in guarded("GET", pages=True, role="admin")]
GUARDED_IN_THE_BROWSER = [request.removeprefix("GET ") for request in guarded("GET", pages=True, by="browser")]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@asks("GET /login")
@depends_on("GET /admin/dashboard", "GET /dashboard", "GET /_next/*")
def test_a_browser_with_a_forged_admin_role_sees_the_login(answer: Answer, page: Page, visit: Visit) -> None:
    """A visitor becomes an administrator by writing into the storage of the own browser."""
    everybodys = answer.page.texts("h1, h2, h3")
    page.add_init_script(FORGE)

    for path in ("/dashboard", "/admin/dashboard"):
        visit(path)
        view = settled(visit)
        assert view.path == "/login", view
        assert [name for name in view.headings if name not in everybodys and texts()["private"].is_in(name)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@depends_on("GET /courses", "GET /_next/*")
def test_a_page_that_guards_itself_sends_visitors_to_the_login(look: Look) -> None:
    """The server sends such a page to everyone; only its script decides who may see it."""
    (courses,) = look("/courses", leave=True)

    assert courses.path == "/login", courses


@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@depends_on(*(f"GET {path}" for path in GUARDED_IN_THE_BROWSER), "GET /_next/*")
def test_every_page_that_guards_itself_sends_visitors_to_the_login(look: Look) -> None:
    """Each page has its own way to the guard, and a new one may lack it."""
    views = look(*GUARDED_IN_THE_BROWSER, leave=True)

    assert [view for view in views if view.path != "/login"] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", needs=("accounts",))
@depends_on(*(f"GET {path}" for path in ADMINISTRATION), "GET /_next/*", "GET /api/auth/session")
def test_students_see_no_page_of_the_administration(look_as_student: Look) -> None:
    """These pages show everyone's name, address and payments."""
    views = look_as_student(*ADMINISTRATION, leave=True)

    assert [view for view in views if view.path == view.asked and not _refuses(view)] == []


def _refuses(view: View) -> bool:
    """Whether a page only says that it is not for this visitor: by its words, or because nothing else is on it."""
    is_short = len(view.headings) <= _MOST_OF_A_REFUSAL and len(view.actions) <= _MOST_OF_A_REFUSAL
    has_data = view.fields or view.items or view.frames or view.leads_to("/admin/")
    return any(map(texts()["denied"].is_in, view.headings)) or (is_short and not has_data)


class _Row(msgspec.Struct):
    course_id: str


class _Rows(msgspec.Struct):
    enrollments: list[_Row]


class _Lesson(msgspec.Struct):
    id: str


class _Module(msgspec.Struct):
    id: str
    lessons: list[_Lesson] = []


class _Course(msgspec.Struct):
    slug: str
    modules: list[_Module] = []

    @property
    def pages(self) -> list[str]:
        """The course and its first lesson."""
        lessons = [(module.id, lesson.id) for module in self.modules for lesson in module.lessons][:1]
        base = f"/courses/{self.slug}"
        return [base, *(f"{base}/modules/{module}/lessons/{lesson}" for module, lesson in lessons)]


def _courses(enrolments: Answer) -> list[str]:
    return [row.course_id for row in enrolments.read(Data[_Rows]).data.enrollments]


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security", needs=("accounts", "second-student"))
@asks("GET /api/enrollments", account="student")
@depends_on("GET /api/courses", "GET /api/courses/*", "GET /courses/*", "GET /_next/*")
def test_nobody_enters_another_students_course(
    answer: Answer, look_as_student: Look, site: Site, browsing_student: Session, target: Target
) -> None:
    """A shared address would open a course that others pay for."""
    theirs = _courses(site.ask("GET /api/enrollments", cookies=browsing_student.cookies))
    private = next((course for course in _courses(answer) if course not in theirs), None)
    if private is None:
        why = "both students are in the same courses; enrol the first one in another course"
        raise NotMeasured(why) if theirs else empty(target, "nobody is enrolled")

    course = site.ask(f"GET /api/courses/{private}").read(Data[_Course]).data
    views = look_as_student(*course.pages, leave=True)

    assert [view for view in views if _is_entered(view)] == []


def _is_entered(view: View) -> bool:
    """Whether a page of a course stayed, and shows a lesson or the way to one."""
    to_lessons = any("/lessons/" in path for _, path in view.links)
    completes = any(map(texts()["complete_lesson"].is_in, view.buttons))
    return view.path == view.asked and (to_lessons or view.frames > 0 or completes)
