"""Enrolment, lessons and cancellation: every refusal, and the rows in the database afterwards."""

from __future__ import annotations

import uuid

import httpx
import pytest

from tests.selftest.sandbox.running_app import RunningApp

NOBODY = str(uuid.UUID(int=0))


def _enrol(app: RunningApp, client: httpx.Client, course_id: str) -> httpx.Response:
    return client.post("/api/enroll/free", json={"courseId": course_id, "code": app.enrolment_code})


def test_the_right_code_enrols_once(app: RunningApp, student: httpx.Client) -> None:
    """The first answer is 201, the second 409; the enrolment is listed, and the student may not enrol again."""
    course_id = app.course(free=False)["id"]
    path = f"/api/courses/{course_id}/enroll"
    before = student.get(path).json()["data"]
    created = _enrol(app, student, course_id)
    again = _enrol(app, student, course_id)
    enrolment = created.json()["enrollment"]
    listed = student.get("/api/enrollments").json()["data"]

    assert (before["eligible"], before["price"] > 0) == (True, True)
    assert created.status_code == 201
    assert enrolment.keys() == {"id", "courseId", "userId", "plan", "status", "enrolledAt"}
    assert (enrolment["courseId"], enrolment["plan"], enrolment["status"]) == (course_id, "free", "active")
    assert (again.status_code, again.json()["success"]) == (409, False)
    assert ([row["id"] for row in listed["enrollments"]], listed["total"]) == ([enrolment["id"]], 1)
    assert student.get(path).json()["data"]["eligible"] is False


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"courseId": "not-a-uuid", "code": "right"}, 400),
        ({"code": "right"}, 400),
        ([], 400),
        ({"courseId": "course", "code": "wrong"}, 403),
        ({"courseId": "course"}, 403),
        ({"courseId": NOBODY, "code": "right"}, 404),
    ],
)
def test_enrolment_is_refused(app: RunningApp, student: httpx.Client, body: object, status: int) -> None:
    """The answer is `{success: false, error}`, and no row is written."""
    if isinstance(body, dict):
        names = {"right": app.enrolment_code, "course": app.course(free=True)["id"]}
        body = {key: names.get(value, value) for key, value in body.items()}
    answer = student.post("/api/enroll/free", json=body)

    assert (answer.status_code, answer.json().keys()) == (status, {"success", "error"})
    assert student.get("/api/enrollments").json()["data"]["total"] == 0


def test_malformed_json_is_refused_when_signed_in_too(student: httpx.Client) -> None:
    """Every writing route behind the sign-in refuses in this way."""
    paths = ["/api/enroll/free", f"/api/courses/{NOBODY}/enroll", "/api/student/progress/lesson"]
    paths += ["/api/payments/create-checkout-session", "/api/payments/create-payment-intent"]

    assert [student.post(path, content=b"{").status_code for path in paths] == [400] * len(paths)


def test_unpublished_courses_are_unknown(app: RunningApp, student: httpx.Client) -> None:
    """They answer 404 like a course that does not exist."""
    hidden = app.rows("SELECT id::text FROM public.courses WHERE NOT published")[0][0]

    assert _enrol(app, student, hidden).status_code == 404


def test_free_enrolment_is_an_own_switch(app: RunningApp, student: httpx.Client) -> None:
    """Every visitor gets 501 while it is off."""
    app.build.environment["FEATURE_ENROLL_FREE"] = "false"
    with app.client() as anonymous:
        assert [_enrol(app, client, NOBODY).status_code for client in (student, anonymous)] == [501, 501]


def test_the_sixth_free_enrolment_within_a_minute_waits(app: RunningApp, student: httpx.Client) -> None:
    """Refused enrolments count as well."""
    assert [_enrol(app, student, NOBODY).status_code for _ in range(6)] == [404] * 5 + [429]


def test_a_course_with_a_price_demands_a_payment_of_its_own(app: RunningApp, student: httpx.Client) -> None:
    """The answer is 402 until Stripe has the money for this course; one payment buys one course."""
    course, path = app.course(free=False), f"/api/courses/{app.course(free=False)['id']}/enroll"
    intent = student.post("/api/payments/create-payment-intent", json={"courseId": course["id"]}).json()
    body = {"paymentMethod": "card", "paymentIntentId": intent["paymentIntentId"]}
    unpaid = [student.post(path, json=content).status_code for content in ({"paymentMethod": "card"}, body)]
    app.sinks.stripe.intents[intent["paymentIntentId"]]["status"] = "succeeded"
    paid = student.post(path, json=body)
    student.delete(f"/api/enrollments/{paid.json()['enrollment']['id']}")
    reused = student.post(path, json=body)

    assert unpaid == [402, 402]
    assert (paid.status_code, paid.json()["enrollment"]["plan"]) == (201, "paid")
    assert reused.status_code == 402
    assert student.get("/api/enrollments").json()["data"]["total"] == 0
    assert app.rows(
        "SELECT status FROM public.payment_transactions WHERE stripe_session_id = %s", intent["paymentIntentId"]
    ) == [("refunded",)]


def test_a_course_without_a_price_needs_no_payment(app: RunningApp, student: httpx.Client) -> None:
    """The first answer is 201, the second 409; 404 for an unknown course, 400 without a payment method."""
    path = f"/api/courses/{app.course(free=True)['id']}/enroll"
    answers = [student.post(path, json={"paymentMethod": "free"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 409]
    assert student.post(f"/api/courses/{NOBODY}/enroll", json={"paymentMethod": "free"}).status_code == 404
    assert student.post(path, json={}).status_code == 400


def test_a_completed_lesson_counts_and_survives(app: RunningApp, student: httpx.Client) -> None:
    """A lesson that is completed twice counts once; one lesson of nine stays under a quarter."""
    course_id = app.course(free=True)["id"]
    lessons = app.lessons(course_id)
    _enrol(app, student, course_id)
    answers = [student.post("/api/student/progress/lesson", json={"lessonId": lessons[0][1]}) for _ in range(2)]
    detail = student.get(f"/api/student/progress/course/{course_id}").json()["data"]
    overview = student.get("/api/student/progress").json()["data"]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert [lesson["id"] for lesson in detail["completed_lessons"]] == [lessons[0][1]]
    assert detail["progress"] == overview["courses"][0]["progress"] == round(100 / len(lessons))
    assert detail["progress"] < 25


def test_lessons_of_others_cannot_be_completed(app: RunningApp, student: httpx.Client) -> None:
    """403 when not enrolled, 404 unknown, 400 not a UUID; the progress of the course is unknown, too."""
    course_id = app.course(free=True)["id"]
    ids = [app.lessons(course_id)[0][1], NOBODY, "not-a-uuid"]
    answers = [student.post("/api/student/progress/lesson", json={"lessonId": lesson}) for lesson in ids]

    assert [answer.status_code for answer in answers] == [403, 404, 400]
    assert student.get(f"/api/student/progress/course/{course_id}").status_code == 404
    assert student.get("/api/student/questions").json()["data"]["questions"] == []


def test_leaving_early_leaves_nothing_behind(app: RunningApp, student: httpx.Client) -> None:
    """Enrolment and progress are gone after the 200; the second attempt gets 404."""
    course_id = app.course(free=True)["id"]
    path = f"/api/enrollments/{_enrol(app, student, course_id).json()['enrollment']['id']}"
    student.post("/api/student/progress/lesson", json={"lessonId": app.lessons(course_id)[0][1]})
    answers = [student.delete(path) for _ in range(2)]
    rows = app.rows(
        "SELECT FROM public.lesson_progress p JOIN public.users u ON u.id = p.user_id WHERE u.email = %s",
        app.accounts["other_student"].email,
    )

    assert [answer.status_code for answer in answers] == [200, 404]
    assert rows == []
    assert student.get("/api/enrollments").json()["data"]["total"] == 0


@pytest.mark.parametrize("change", ["progress = 25", "enrolled_at = now() - interval '15 days'"])
def test_leaving_late_is_refused(app: RunningApp, student: httpx.Client, change: str) -> None:
    """The answer is 400 after a quarter of the lessons, or from the fifteenth day on."""
    enrolment = _enrol(app, student, app.course(free=True)["id"]).json()["enrollment"]["id"]
    app.rows(f"UPDATE public.enrollments SET {change} WHERE id = %s", enrolment)  # noqa: S608

    assert student.delete(f"/api/enrollments/{enrolment}").status_code == 400
    assert student.get("/api/enrollments").json()["data"]["total"] == 1


def test_an_enrolment_belongs_to_its_student(app: RunningApp, student: httpx.Client) -> None:
    """Others get 404; its owner may pause it, and change nothing else."""
    path = f"/api/enrollments/{_enrol(app, student, app.course(free=True)['id']).json()['enrollment']['id']}"
    with app.client("student") as other:
        foreign = [other.delete(path).status_code, other.patch(path, json={"status": "paused"}).status_code]

    assert foreign == [404, 404]
    assert student.patch(path, json={"status": "paused"}).json()["data"]["status"] == "paused"
    assert student.patch(path, json={"status": "completed"}).status_code == 400
