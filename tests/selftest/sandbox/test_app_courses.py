"""The public data routes (health, the course list and its query, one course), and the guards of the other routes."""

from __future__ import annotations

import secrets
from datetime import datetime

import httpx
import pytest

from fixtures.model.routes import NOBODY
from tests.selftest.sandbox.running_app import DEPLOYMENT, RunningApp

CARD = {"id", "title", "description", "price", "difficulty", "published", "created_at", "instructor", "category"}
COUNTS = {"enrollment_count", "average_rating", "total_ratings"}
COURSE = {"title": "Yeni kurs", "description": "Açıklaması", "difficulty": "beginner", "price": 10, "duration_hours": 2}


def test_health_tells_what_the_runbook_promises(app: RunningApp, client: httpx.Client) -> None:
    """Every check is true, memory is under its limit, payments are as configured."""
    health = client.get("/api/health").json()

    assert health["status"] == "healthy"
    assert health["checks"] == {"basic": True, "memory": True, "database": True, "stripe": True}
    assert (health["paymentsMode"], health["freeEnrollmentEnabled"]) == ("stripe", True)
    assert health["metrics"]["memoryUsage"] < 400
    assert datetime.fromisoformat(health["timestamp"]).tzinfo is not None
    app.deploy(payments_mode="disabled")
    assert client.get("/api/health").json()["checks"]["stripe"] is None


def test_health_does_not_take_the_platform_down_with_stripe(app: RunningApp, client: httpx.Client) -> None:
    """A third party's outage is only reported; a refused key is the platform's own fault and makes it unhealthy."""
    app.sinks.stripe.failure = "unavailable"
    outage = client.get("/api/health")
    app.sinks.stripe.failure = None
    app.build.environment["STRIPE_SECRET_KEY"] = f"sk_test_{secrets.token_hex(8)}"
    refused = client.get("/api/health")

    assert (outage.status_code, outage.json()["checks"]["stripe"]) == (200, "error")
    assert (refused.status_code, refused.json()["checks"]["stripe"]) == (503, False)


@pytest.mark.parametrize("path", ["/api/health/simple", "/api/diag", "/api/ping"])
def test_ping_and_diagnostic_routes_answer(client: httpx.Client, path: str) -> None:
    """They answer 200 with small JSON."""
    answer = client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert len(answer.content) < 200


def test_course_list_holds_published_courses_as_documented(client: httpx.Client) -> None:
    """Every field is there, and no private field of the instructor."""
    answer = client.get("/api/courses").json()
    data = answer["data"]

    assert answer["success"] is True
    assert data.keys() == {"courses", "total", "page", "limit", "totalPages", "hasNext", "hasPrev"}
    assert data["total"] >= len(data["courses"]) > 0
    assert [course["id"] for course in data["courses"] if (CARD | COUNTS) - course.keys()] == []
    assert [course["id"] for course in data["courses"] if course["published"] is not True] == []
    assert {frozenset(course["instructor"]) for course in data["courses"]} == {
        frozenset({"id", "full_name", "email", "avatar_url"})
    }
    assert {frozenset(course["category"]) for course in data["courses"]} == {frozenset({"id", "name", "description"})}
    assert all(isinstance(course["price"], int | float) for course in data["courses"])


def test_pages_of_the_list_follow_one_another_without_overlap(client: httpx.Client) -> None:
    """Every course appears once, for any page size."""
    total = client.get("/api/courses").json()["data"]["total"]
    pages = [
        client.get("/api/courses", params={"limit": 2, "page": page, "sortBy": "price", "sortOrder": "asc"}).json()[
            "data"
        ]
        for page in range(1, (total + 1) // 2 + 1)
    ]
    courses = [course for page in pages for course in page["courses"]]

    assert len({course["id"] for course in courses}) == len(courses) == total
    assert [course["price"] for course in courses] == sorted(course["price"] for course in courses)
    assert [page["hasNext"] for page in pages] == [True] * (len(pages) - 1) + [False]


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=x",
        "limit=101",
        "limit=0",
        "difficulty=easy",
        "sortBy=password_hash",
        "sortOrder=up",
        "price_min=-1",
        "price_min=NaN",
        "search=",
        "category=Pazarlama",
        "instructor_id=1",
    ],
)
def test_an_impossible_query_is_refused(client: httpx.Client, query: str) -> None:
    """The answer is 400 `{success: false, message}`, never 500."""
    answer = client.get(f"/api/courses?{query}")

    assert answer.status_code == 400
    assert answer.json().keys() == {"success", "message"}


def test_search_finds_by_title_and_takes_wildcards_literally(client: httpx.Client) -> None:
    """The parameter `q` is required."""
    course = client.get("/api/courses").json()["data"]["courses"][0]
    found = client.get("/api/courses/search", params={"q": course["title"]}).json()["data"]

    assert course["id"] in [match["id"] for match in found["courses"]]
    assert found["query"] == course["title"]
    assert client.get("/api/courses/search", params={"q": "%"}).json()["data"]["total"] == 0
    assert client.get("/api/courses/search").status_code == 400


def test_one_course_comes_with_its_curriculum(app: RunningApp, client: httpx.Client) -> None:
    """An id that is not a UUID is a 400, an unknown one a 404."""
    course = app.course(free=False)
    data = client.get(f"/api/courses/{course['id']}").json()["data"]
    lessons = [lesson["id"] for module in data["modules"] for lesson in module["lessons"]]

    assert lessons == [lesson for _, lesson in app.lessons(course["id"])]
    assert len(lessons) >= 9
    assert client.get("/api/courses/not-a-uuid").status_code == 400
    assert client.get(f"/api/courses/{NOBODY}").status_code == 404


@pytest.mark.parametrize(("path", "limit"), [("/api/courses", 100), ("/api/courses/search?q=a", 30)])
def test_lists_are_limited_per_minute(app: RunningApp, client: httpx.Client, path: str, limit: int) -> None:
    """The first request over the limit gets 429."""
    name = "course-search" if "search" in path else "course-list"
    for _ in range(limit - 1):
        app.platform.limits.take(name, f"{DEPLOYMENT} 127.0.0.1")

    assert [client.get(path).status_code for _ in range(2)] == [200, 429]


GUARDED = [
    ("GET", "/api/courses/stats"),
    ("POST", "/api/courses"),
    ("PUT", f"/api/courses/{NOBODY}"),
    ("DELETE", f"/api/courses/{NOBODY}"),
    ("GET", "/api/admin/courses"),
    ("POST", "/api/admin/payments/refund"),
]
PERSONAL = [
    ("POST", "/api/enroll/free"),
    ("GET", f"/api/courses/{NOBODY}/enroll"),
    ("POST", f"/api/courses/{NOBODY}/enroll"),
    ("GET", "/api/enrollments"),
    ("PATCH", f"/api/enrollments/{NOBODY}"),
    ("DELETE", f"/api/enrollments/{NOBODY}"),
    ("GET", "/api/student/progress"),
    ("GET", f"/api/student/progress/course/{NOBODY}"),
    ("POST", "/api/student/progress/lesson"),
    ("GET", "/api/student/questions"),
    ("POST", "/api/payments/create-checkout-session"),
    ("POST", "/api/payments/create-payment-intent"),
    ("POST", "/api/payments/customer-portal"),
    ("GET", "/api/payments/history"),
    ("GET", "/api/payments/subscriptions"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED + PERSONAL)
def test_guarded_routes_refuse_anonymous_callers(client: httpx.Client, method: str, path: str) -> None:
    """The answer is 401 in JSON."""
    answer = client.request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")


def test_routes_of_staff_refuse_students(app: RunningApp) -> None:
    """A student creates no course; for one that nobody has made, the owner is asked for and not the role."""
    with app.client("student") as client:
        statuses = {f"{method} {path}": client.request(method, path, json={}).status_code for method, path in GUARDED}

    assert statuses == {
        "GET /api/courses/stats": 200,
        "POST /api/courses": 403,
        f"PUT /api/courses/{NOBODY}": 404,
        f"DELETE /api/courses/{NOBODY}": 404,
        "GET /api/admin/courses": 403,
        "POST /api/admin/payments/refund": 403,
    }


def test_a_student_changes_no_course_of_others(app: RunningApp) -> None:
    """Each refusal is a 403, and the statistics of an instructor are refused as well."""
    course = app.course(free=False)["id"]
    owner = app.rows("SELECT instructor_id::text FROM public.courses WHERE id = %s", course)[0][0]
    path = f"/api/courses/{course}"
    with app.client("student") as client:
        answers = [client.put(path, json={"price": 1}), client.delete(path)]
        answers.append(client.get(f"/api/courses/stats?instructor_id={owner}"))

    assert [answer.status_code for answer in answers] == [403] * 3
    assert app.rows("SELECT price = 1 FROM public.courses WHERE id = %s", course) == [(False,)]


def test_an_instructor_writes_courses_of_their_own(app: RunningApp) -> None:
    """They create, change and delete own courses; a partial change leaves everything else as it was."""
    category = app.rows("SELECT id::text FROM public.course_categories LIMIT 1")[0][0]
    content = COURSE | {"category_id": category}
    with app.client("instructor") as client:
        created = client.post("/api/courses", json=content | {"published": True})
        path = f"/api/courses/{created.json()['data']['id']}"
        changed = client.put(path, json={"price": 25.5})

        assert (created.status_code, created.json()["data"]["currency"]) == (201, "TRY")
        assert created.json()["data"]["category"]["id"] == category
        assert (changed.status_code, changed.json()["data"]["price"]) == (200, 25.5)
        assert changed.json()["data"]["published"] is True
        assert client.post("/api/courses", json=content | {"price": -1}).status_code == 400
        assert client.post("/api/courses", json=content | {"title": "A<b>"}).status_code == 400
        assert client.put(f"/api/courses/{NOBODY}", json=content).status_code == 404
        assert client.get("/api/courses/stats").json()["data"]["total_courses"] > 0
        assert [client.delete(path).status_code for _ in range(2)] == [200, 404]


def test_a_course_with_students_is_unpublished_instead_of_deleted(app: RunningApp) -> None:
    """Its rows stay, and nobody sees it in the shop."""
    course = app.course(free=True)["id"]
    with app.client("admin") as client:
        deleted = client.delete(f"/api/courses/{course}")
    kept = app.rows("SELECT published FROM public.courses WHERE id = %s", course)
    app.rows("UPDATE public.courses SET published = true WHERE id = %s", course)

    assert (deleted.status_code, kept) == (200, [(False,)])


def test_an_admin_sees_every_course(app: RunningApp) -> None:
    """The list includes unpublished courses."""
    with app.client("admin") as client:
        courses = client.get("/api/admin/courses").json()["courses"]

    assert len(courses) == app.rows("SELECT count(*) FROM public.courses")[0][0]


@pytest.mark.parametrize("path", ["/api/auth/register", "/api/auth/request-password-reset", "/api/webhooks/stripe"])
@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"a": "\\u0000"}', b'"\\ud800"', b"[" * 100_000])
def test_malformed_json_is_a_400(client: httpx.Client, path: str, body: bytes) -> None:
    """It is never a 500, and the answer shows no internal details."""
    answer = client.post(path, content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert "Traceback" not in answer.text
