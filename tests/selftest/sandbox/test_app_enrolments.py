"""Enrolment, lessons and cancellation: every refusal, and the rows in the database afterwards."""

from __future__ import annotations

import httpx
import pytest

from fixtures.model.routes import NOBODY
from tests.selftest.sandbox.running_app import RunningApp


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

    assert (before["eligible"], before["course"]["price"] > 0) == (True, True)
    assert created.status_code == 201
    assert enrolment.keys() == {"id", "courseId", "userId", "plan", "status", "enrolledAt"}
    assert (enrolment["courseId"], enrolment["plan"], enrolment["status"]) == (course_id, "free", "active")
    assert (again.status_code, again.json()["success"]) == (409, False)
    assert ([row["id"] for row in listed["enrollments"]], listed["total"]) == ([enrolment["id"]], 1)
    assert student.get(path).json()["data"]["eligible"] is False
    assert student.get("/api/enrollments?status=completed").json()["data"]["total"] == 0


def test_nobody_may_enrol_in_what_does_not_exist(student: httpx.Client) -> None:
    """The question itself is answered with 200, also for an id that is no UUID."""
    answers = [student.get(f"/api/courses/{course}/enroll") for course in (NOBODY, "not-a-uuid")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["data"]["eligible"] for answer in answers] == [False, False]


@pytest.mark.parametrize("query", ["limit=51", "limit=0", "page=x", "status=paused"])
def test_a_wrong_query_of_the_list_is_refused(student: httpx.Client, query: str) -> None:
    """The answer is `{success: false, message}`."""
    answer = student.get(f"/api/enrollments?{query}")

    assert (answer.status_code, answer.json().keys()) == (400, {"success", "message"})


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
    """Every writing route behind the sign-in refuses in this way; only the purchase reads it as an empty body."""
    paths = ["/api/enroll/free", f"/api/courses/{NOBODY}/enroll", f"/api/student/progress/lesson?course_id={NOBODY}"]
    paths += ["/api/payments/create-checkout-session", "/api/payments/create-payment-intent"]

    assert [student.post(path, content=b"{").status_code for path in paths] == [400] * len(paths)


def test_nobody_enrols_in_a_draft(app: RunningApp, student: httpx.Client) -> None:
    """Both ways answer 400; a course that does not exist is a 404 in one and a 400 in the other."""
    hidden = app.rows("SELECT id::text FROM public.courses WHERE NOT published")[0][0]
    statuses = [_enrol(app, student, course).status_code for course in (hidden, NOBODY)]
    statuses += [student.post(f"/api/courses/{course}/enroll").status_code for course in (hidden, NOBODY)]

    assert statuses == [400, 404, 400, 400]
    assert student.get("/api/enrollments").json()["data"]["total"] == 0


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
    body = {"paymentMethod": "paid", "paymentIntentId": intent["paymentIntentId"]}
    unpaid = [student.post(path, json=content) for content in ({}, {"paymentMethod": "paid"}, body)]
    app.sinks.stripe.intents[intent["paymentIntentId"]]["status"] = "succeeded"
    paid = student.post(path, json=body)
    student.delete(f"/api/enrollments/{paid.json()['data']['id']}")
    reused = student.post(path, json=body)

    assert [answer.status_code for answer in unpaid] == [402] * 3
    assert {answer.json()["requiresPayment"] for answer in unpaid} == {True}
    assert (paid.status_code, paid.json()["data"]["plan"]) == (201, "paid")
    assert paid.json()["data"]["course"].keys() == {"id", "title", "price", "instructor_id"}
    assert reused.status_code == 400
    assert [row["cancelled_at"] is None for row in student.get("/api/enrollments").json()["data"]["enrollments"]] == [
        False
    ]
    assert app.rows(
        "SELECT status FROM public.payment_transactions WHERE stripe_session_id = %s", intent["paymentIntentId"]
    ) == [("refunded",)]


def test_a_course_without_a_price_needs_no_payment(app: RunningApp, student: httpx.Client) -> None:
    """The first answer is 201, the second 400; a torn body counts as empty, a wrong payment method does not."""
    path = f"/api/courses/{app.course(free=True)['id']}/enroll"
    wrong = student.post(path, json={"paymentMethod": "card"})
    answers = [student.post(path, content=b"{") for _ in range(2)]

    assert wrong.status_code == 400
    assert [answer.status_code for answer in answers] == [201, 400]


def test_the_sixth_purchase_within_a_minute_waits(student: httpx.Client) -> None:
    """Refused ones count as well; those of anonymous visitors do not."""
    assert [student.post(f"/api/courses/{NOBODY}/enroll").status_code for _ in range(6)] == [400] * 5 + [429]


def _watch(client: httpx.Client, course_id: str, lesson_id: str, percent: int = 100) -> httpx.Response:
    content = {"lesson_id": lesson_id, "time_spent_minutes": 5, "video_watch_percentage": percent}
    return client.post(f"/api/student/progress/lesson?course_id={course_id}", json=content)


def test_a_completed_lesson_counts_and_survives(app: RunningApp, student: httpx.Client) -> None:
    """A lesson is done from 80 % on, stays done, and counts once; one lesson of nine stays under a quarter."""
    course_id = app.course(free=True)["id"]
    lessons = app.lessons(course_id)
    _enrol(app, student, course_id)
    answers = [_watch(student, course_id, lessons[0][1], percent) for percent in (79, 80, 10)]
    detail = student.get(f"/api/student/progress/course/{course_id}").json()["data"]
    overview = student.get("/api/student/progress").json()["data"]

    assert [answer.status_code for answer in answers] == [201] * 3
    done = [bool(answer.json()["data"]["lesson_progress"]["completed_at"]) for answer in answers]
    assert done == [False, True, True]
    assert detail["modules"][0]["completed_lessons"] == overview[0]["lessons_completed"] == 1
    assert detail["overall_completion"] == overview[0]["progress_percentage"] == round(100 / len(lessons))
    assert detail["overall_completion"] < 25


def test_several_lessons_come_in_one_request(app: RunningApp, student: httpx.Client) -> None:
    """The answer is 200, not 201, and names each of them."""
    course_id = app.course(free=True)["id"]
    _enrol(app, student, course_id)
    lessons = [{"lesson_id": lesson, "time_spent_minutes": 1} for _, lesson in app.lessons(course_id)[:2]]
    answer = student.post(f"/api/student/progress/lesson?course_id={course_id}", json={"lessons": lessons})

    assert (answer.status_code, answer.json()["data"]["updated_lessons"]) == (200, 2)


def test_lessons_of_others_cannot_be_completed(app: RunningApp, student: httpx.Client) -> None:
    """403 when not enrolled, 404 unknown, 400 not a UUID; the progress of the course is all zeros."""
    course_id = app.course(free=True)["id"]
    ids = [app.lessons(course_id)[0][1], NOBODY, "not-a-uuid"]
    answers = [_watch(student, course_id, lesson) for lesson in ids]

    assert [answer.status_code for answer in answers] == [403, 404, 400]
    detail = student.get(f"/api/student/progress/course/{course_id}").json()["data"]
    assert (detail["overall_completion"], detail["completed_modules"]) == (0, 0)
    assert student.get("/api/student/progress").json()["data"] == []


def test_a_question_is_kept_until_an_admin_answers_it(app: RunningApp, student: httpx.Client) -> None:
    """Every field is required; the student lists own questions only, by the own id."""
    user = student.get("/api/auth/session").json()["user"]["id"]
    names = ("studentName", "courseId", "courseName", "lessonId", "lessonName", "question")
    content = dict.fromkeys(names, "x") | {"studentId": user}
    asked = student.post("/api/student/questions", json=content)
    incomplete = student.post("/api/student/questions", json={"question": "x"})
    path = f"/api/admin/qna/{asked.json()['data']['id']}"
    reply = {"reply": "y", "responderId": "1", "responderName": "Deniz"}
    with app.client("admin") as admin:
        listed = admin.get("/api/admin/qna").json()["data"]
        answered = admin.post(f"{path}/reply", json=reply)
        own = student.get(f"/api/student/questions?studentId={user}").json()["data"]
        gone = [admin.delete(path).status_code for _ in range(2)]
    foreign = [student.get(path).status_code, student.get("/api/student/questions").status_code]

    assert (asked.status_code, incomplete.status_code, answered.status_code) == (200, 400, 200)
    assert listed["stats"] == {"total": 1, "new": 1, "answered": 0, "hidden": 0}
    assert [(question["body"], question["status"]) for question in own["questions"]] == [("x", "answered")]
    assert gone == [200, 404]
    assert foreign == [403, 400]


def test_leaving_early_marks_the_enrolment_and_blocks_another_one(app: RunningApp, student: httpx.Client) -> None:
    """The row stays in the list with the time of its end; leaving again is a 200, enrolling again a 409 or a 400."""
    course_id = app.course(free=True)["id"]
    path = f"/api/enrollments/{_enrol(app, student, course_id).json()['enrollment']['id']}"
    answers = [student.request("DELETE", path, json={"reason": "x"}) for _ in range(2)]
    listed = student.get("/api/enrollments").json()["data"]["enrollments"]
    again = [_enrol(app, student, course_id).status_code]
    again.append(student.post(f"/api/courses/{course_id}/enroll").status_code)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [(row["status"], row["cancelled_at"] is None) for row in listed] == [("cancelled", False)]
    assert again == [409, 400]
    assert student.get("/api/student/progress").json()["data"] == []


@pytest.mark.parametrize("change", ["progress_percentage = 25", "enrolled_at = now() - interval '15 days'"])
def test_leaving_late_is_refused(app: RunningApp, student: httpx.Client, change: str) -> None:
    """The answer is 400 after a quarter of the lessons, or from the fifteenth day on."""
    enrolment = _enrol(app, student, app.course(free=True)["id"]).json()["enrollment"]["id"]
    app.rows(f"UPDATE public.enrollments SET {change} WHERE id = %s", enrolment)  # noqa: S608

    assert student.delete(f"/api/enrollments/{enrolment}").status_code == 400
    assert student.get("/api/enrollments?status=active").json()["data"]["total"] == 1


def test_an_enrolment_belongs_to_its_student(app: RunningApp, student: httpx.Client) -> None:
    """Others get 404; its owner changes the progress, and 100 percent completes the course."""
    path = f"/api/enrollments/{_enrol(app, student, app.course(free=True)['id']).json()['enrollment']['id']}"
    progress = {"progress_percentage": 100}
    with app.client("student") as other:
        foreign = [other.delete(path).status_code, other.patch(path, json=progress).status_code]
    changed = student.patch(path, json=progress).json()["data"]

    assert foreign == [404, 404]
    assert (changed["status"], changed["completed_at"] is None) == ("completed", False)
    assert student.patch(path, json={"progress_percentage": "100"}).status_code == 400
    assert student.delete("/api/enrollments/not-a-uuid").status_code == 404
