"""A guard is judged by its effect: who got in, who did not, and where nobody can tell."""

from __future__ import annotations

import json
from collections.abc import Iterable

import httpx
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.evidence import NotMeasured
from fixtures.inspection.guards import answered, data_of, is_soft_refusal, knows_somebody, let_in, open_pages, reached
from fixtures.model.routes import NOBODY

HOST = "https://7p.test"
PAGE = "<html><main><h1>Kontrol Paneli</h1></main></html>"


def api(code: int | None, content: object = None, request: str = "GET /api/enrollments", location: str = "") -> Answer:
    """Return an answer of the API; a text is the body of a page."""
    method, _, path = request.partition(" ")
    is_page = isinstance(content, str)
    headers = {"content-type": "text/html" if is_page else "application/json"}
    headers |= {"location": location} if location else {}
    body = content if is_page else json.dumps(content)
    return Answer(method, f"{HOST}{path}", code, httpx.Headers(headers), str(body).encode())


DELETION = f"DELETE /api/courses/{NOBODY}"
AUTHENTICATE = {"success": False, "message": "Authentication required"}
REFUSED = [
    *(api(code, AUTHENTICATE) for code in (400, 401, 402, 403, 404, 405, 409, 410, 422, 451, 501)),
    *(api(code, AUTHENTICATE, DELETION) for code in (400, 403, 404, 422)),
    *(api(code, None, DELETION, "/login?callbackUrl=%2F") for code in (301, 302, 303, 307, 308)),
    api(404, {"message": "Not found"}, DELETION),
    api(404, "<h1>404</h1>", DELETION),
    api(404, {"message": "Kurs bulunamadı"}),
    api(400, {"error": "Oturum açmanız zorunlu"}, "POST /api/courses"),
    *(api(code, {"error": "courseId is required"}, "POST /api/payments/create-payment-intent") for code in (400, 422)),
    api(400, {"error": "Invalid action"}, "PATCH /api/payments/subscriptions"),
    api(200, {"success": False, "message": "Authentication required"}),
    api(200, {"success": False, "error": "Unauthorized", "data": None}, DELETION),
    api(200, {"success": True, "data": {"enrollments": [], "total": 0, "page": 1, "limit": 20, "hasNext": False}}),
    api(200, []),
]
INSIDE = [
    api(200, {"data": {"enrollments": [{"id": "e1"}], "total": 1}}),
    api(200, {"data": {"total_courses": 4}}),
    api(200, {"data": {"questions": [], "total": 0}}, "GET /api/admin/qna"),
    api(200, {"success": True}, DELETION),
    api(204, None, DELETION),
    api(404, {"success": False, "message": "Kurs bulunamadı"}, DELETION),
    api(404, {"message": "Course not found"}, DELETION),
    api(404, {"error": "Course not found"}, "POST /api/payments/create-payment-intent"),
    api(404, {"message": "Assessment not found"}, f"GET /api/assessments/{NOBODY}"),
    api(400, {"success": False, "message": "Validation failed"}, "POST /api/courses"),
    api(200, {"success": False, "error": "late", "data": [{"id": "e1"}]}),
]
UNCLEAR = [
    api(500, {"message": "x"}),
    api(503, "<title>Bakım</title>"),
    api(429, {"message": "Rate limit exceeded"}),
    api(None),
    api(200, PAGE),
]


@pytest.mark.parametrize("answer", REFUSED)
def test_a_refusal_of_any_kind_lets_nobody_in(answer: Answer) -> None:
    """Only the effect counts, not the status that was promised."""
    assert let_in([answer]) == []


@pytest.mark.parametrize("answer", INSIDE)
def test_data_and_deeds_are_let_in(answer: Answer) -> None:
    """A handler that looked the object up has not asked who wants it."""
    assert let_in([answer]) == [answer]


@pytest.mark.parametrize("answer", UNCLEAR)
def test_an_answer_without_a_guard_in_it_is_not_measured(answer: Answer) -> None:
    """An outage is no data breach: the security team must not be called for it."""
    with pytest.raises(NotMeasured, match="does not say who gets in: GET "):
        let_in([REFUSED[0], answer])


def test_an_open_route_is_red_beside_a_crash() -> None:
    """A crash hides no breach."""
    assert let_in([UNCLEAR[0], INSIDE[0]]) == [INSIDE[0]]


def page(code: int | None, path: str, body: str = "", location: str = "") -> Answer:
    """Return a page."""
    return api(code, body, f"GET {path}", location)


REFRESH = '<meta id="__next-page-redirect" http-equiv="refresh" content="1;url=/login?callbackUrl=%2Fdashboard">'


@pytest.mark.parametrize(
    ("first", "end", "opens"),
    [
        *(
            (page(code, "/dashboard", "", "/login?callbackUrl=%2Fdashboard"), None, False)
            for code in (301, 302, 303, 308)
        ),
        (page(307, "/dashboard", "", f"{HOST}/tr/giris/"), None, False),
        (page(308, "/admin", "", "/admin/dashboard"), page(307, "/admin/dashboard", "", "/login"), False),
        (page(307, "/dashboard", "", "/"), page(200, "/", PAGE), False),
        (page(307, "/dashboard", "", "/marketplace"), page(None, "/marketplace"), None),
        (page(200, "/dashboard", REFRESH), None, False),
        (page(404, "/dashboard", PAGE), None, False),
        (page(403, "/dashboard", "Access Denied"), None, False),
        (page(500, "/dashboard"), None, None),
        (page(200, "/dashboard", PAGE), None, True),
        (page(200, "/dashboard", REFRESH + PAGE), None, True),
        (page(307, "/dashboard", PAGE, "/login"), None, True),
        (page(308, "/dashboard", "", "/dashboard/"), page(200, "/dashboard", PAGE), True),
    ],
)
def test_a_guarded_page_is_judged_by_where_its_redirects_end(
    first: Answer,
    end: Answer | None,
    opens: bool | None,  # noqa: FBT001  (a column of the table)
) -> None:
    """302 for 307 and one hop more keep everyone out as well."""

    def follow(answers: Iterable[Answer]) -> list[Answer]:
        return [end for _ in answers if end is not None]

    if opens is None:
        with pytest.raises(NotMeasured):
            open_pages([first], follow)
    else:
        assert bool(open_pages([first], follow)) is opens


@pytest.mark.parametrize(
    ("session", "known"),
    [
        (api(200, {}), False),
        (api(200, None), False),
        (api(401, {"message": "x"}), False),
        (api(200, {"user": {}}), True),
    ],
)
def test_a_session_names_a_user_or_nobody(session: Answer, known: bool) -> None:  # noqa: FBT001  (a column of the table)
    """Newer versions of NextAuth answer null for nobody."""
    assert knows_somebody(session) is known


def test_a_session_route_that_crashes_is_not_measured() -> None:
    """It says nothing about the forged session."""
    with pytest.raises(NotMeasured):
        knows_somebody(api(500, {"message": "x"}))


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422])
def test_another_students_object_is_refused_with_any_4xx(code: int) -> None:
    """The route looks it up among the caller's own, and does not find it."""
    refused = api(code, {"message": "Kayıt bulunamadı"}, "PATCH /api/enrollments/e1")

    assert reached([refused]) == []
    assert reached([refused, changed := api(200, {"success": True}, "PATCH /api/enrollments/e1")]) == [changed]


def test_records_that_nobody_could_read_are_not_measured() -> None:
    """An answer without the data proves nothing while the route is down."""
    with pytest.raises(NotMeasured):
        data_of(api(500, {"message": "x"}), dict[str, object])
    with pytest.raises(NotMeasured):
        answered([api(200, []), api(None)])


def test_a_soft_refusal_holds_no_data() -> None:
    """A success that only names an error beside data is no refusal."""
    assert is_soft_refusal(api(200, {"ok": False, "message": "Unauthorized"}))
    assert not is_soft_refusal(api(200, {"success": False, "data": [1]}))
    assert not is_soft_refusal(api(401, {"success": False}))
