"""Each rule of the API breaks an answer or a write for the client that its sentence names."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.sandbox.mutants.bodies import holders
from fixtures.sandbox.mutants.fields import Field
from fixtures.sandbox.mutants.guarded import Guarded
from fixtures.sandbox.mutants.harmful import api, fields, writes
from fixtures.sandbox.mutants.harmful.api import Parameter
from fixtures.sandbox.mutants.harmful.writes import Write
from fixtures.sandbox.mutants.served import Served
from fixtures.sandbox.mutants.subjects import Named
from tests.selftest.sandbox.mutants.asking import Answer, Asking, Oracle, prove, rules_of, samples
from tests.selftest.sandbox.running_app import RunningApp


def _is_lost(asking: Asking, part: Served) -> bool:
    return asking.is_lost(part)


def _field(asking: Asking, field: Field) -> list[Any]:
    """Return the values of a field in an answer, as the one who may read it gets them."""
    method, _, _ = field.route.partition(" ")
    account = "admin" if "/admin/" in field.route else "student"
    body = {"courseId": asking.app.course(free=False)["id"], "type": "course"} if method == "POST" else None
    content = asking.ask(method, asking.address(field.route), account, json=body).json
    return [holder[name] for holder, name in holders(content, field.where)]


def _is(condition: Callable[[Any], bool]) -> Oracle:
    """Make an oracle: there are values, and the condition holds for all of them."""

    def shows(asking: Asking, field: Field) -> bool:
        values = _field(asking, field)
        return bool(values) and all(condition(value) for value in values)

    return shows


def _missing(asking: Asking, field: Field) -> bool:
    return _field(asking, field) == []


def _another_type(asking: Asking, field: Field) -> bool:
    kinds = {"text": str, "number": int | float, "money": int | float, "list": list, "object": dict | bool | None}
    values = _field(asking, field)
    return not values or not all(isinstance(value, kinds[field.of]) for value in values) or "value" in str(values[0])


def _the_same(asking: Asking, field: Field) -> bool:
    values = _field(asking, field)
    if len(values) > 1:
        return len(set(values)) == 1
    return values[0] not in {asking.users["student"].id, asking.own["id"]}


def _shorter(asking: Asking, field: Field) -> bool:
    (found,) = _field(asking, field)
    return len(found) < (20 if "courses" in field.where else 2)


def _doubled(asking: Asking, field: Field) -> bool:
    (found,) = _field(asking, field)
    return bool(found) and bool(found[::2] == found[1::2])


def _wrong_amount(asking: Asking, field: Field) -> bool:
    """Compare with the prices of the database; payments are in minor units."""
    unit = 1 if "/courses" in field.route else 100
    prices = {round(float(row[0]) * unit, 2) for row in asking.app.rows("SELECT price FROM public.courses")}
    return not all(value in prices for value in _field(asking, field))


def _free_of_charge(asking: Asking, field: Field) -> bool:
    return set(_field(asking, field)) == {0}


def _envelope(asking: Asking, part: Served) -> bool:
    return "data" not in asking.get(part).json


def _in_a_text(asking: Asking, part: Served) -> bool:
    return isinstance(asking.get(part).json, str)


def _no_json(asking: Asking, part: Served) -> bool:
    answer = asking.get(part)
    return answer.status == 200 and answer.json is None


def _refused(asking: Asking, route: Guarded) -> Answer:
    """Ask as nobody, or for something impossible where everybody is served."""
    method = route.route.split()[0]
    address = asking.address(route.route)
    if route.route in {"GET /api/courses", "GET /api/courses/{id}"}:
        address = "/api/courses?limit=0" if address.endswith("/courses") else "/api/courses/none"
    return asking.ask(method, address, json={} if method in {"POST", "PUT", "PATCH"} else None)


def _refused_with(*signs: str) -> Oracle:
    return lambda asking, route: any(sign in _refused(asking, route).text for sign in signs)


def _a_secret(asking: Asking, part: Served) -> bool:
    text = asking.get(part).text
    return any(word in text for word in ("password_hash", "ogrenci.test", "reset_token", "sk_live", "+90"))


def _no_filter(asking: Asking, asked: Parameter) -> bool:
    """See whether a query that has to change the answer, or to be refused, does neither."""
    base, account = asked.route.partition(" ")[2], asking.visitor(asked.route) or None
    words = {"limit": "2", "search": "marka", "sortBy": "price", "price_min": "1200", "price_max": "10"}
    query = {asked.parameter: words.get(asked.parameter, "impossible")}
    more = {"q": "pazarlama"} if base.endswith("search") else {}
    account = account or ("student" if "enrollments" in base or "student" in base or "payments" in base else None)
    plain, with_it = (asking.ask("GET", base, account=account, params=more | extra) for extra in ({}, query))
    return plain.status == 200 and plain.content == with_it.content


def _crashes(asking: Asking, asked: Parameter) -> bool:
    base = asked.route.partition(" ")[2]
    return asking.ask("GET", base, account="student", params={"q": "a", asked.parameter: "1"}).status == 500


def _drafts(asking: Asking, part: Served) -> bool:
    return any(not row["published"] for row in asking.get(part).json["data"]["courses"])


def _another_course(asking: Asking, part: Served) -> bool:
    found = asking.get(part, "student").json["data"]
    return asking.own["id"] not in {found.get("id"), found.get("course_id"), found.get("course", {}).get("id")}


def _wrong_search(asking: Asking, _: Named) -> bool:
    found = asking.ask("GET", "/api/courses/search?q=marka").json["data"]["courses"]
    return len(found) not in {2, 3} or not all("marka" in str(row).casefold() for row in found)


def _unhealthy(asking: Asking, _: Named) -> bool:
    return bool(asking.get("GET /api/health").json["status"] != "healthy")


ENROLLED_NOW = "SELECT 1 FROM public.enrollments WHERE user_id::text = %s AND course_id::text = %s"
WATCHED = """
    SELECT 1 FROM public.lesson_progress p JOIN public.course_lessons l ON l.id = p.lesson_id
      JOIN public.course_modules m ON m.id = l.module_id WHERE p.user_id::text = %s AND m.course_id::text = %s
"""
NAMED = "SELECT 1 FROM public.user_profiles WHERE id::text = %s AND full_name = %s"
ENROL = "INSERT INTO public.enrollments (user_id, course_id, plan, status) VALUES (%s, %s, 'free', 'active')"


def _stores(asking: Asking, write: Write) -> tuple[Answer, bool]:
    """Write as the right person; return the answer and whether the database has it."""
    app, student, course = asking.app, asking.users["other_student"].id, asking.own["id"]
    free, words = app.course(free=True)["id"], secrets.token_hex(6)
    app.rows("DELETE FROM public.lesson_progress WHERE user_id::text = %s", student)
    app.rows("DELETE FROM public.enrollments WHERE user_id::text = %s", student)
    if write.route.endswith("/lesson"):
        app.rows(ENROL, student, course)
    lesson = {"lesson_id": asking.own["lesson"], "time_spent_minutes": 1, "video_watch_percentage": 100}
    body, statement, value = {
        "POST /api/enroll/free": ({"courseId": free, "code": app.enrolment_code}, ENROLLED_NOW, free),
        "POST /api/student/enroll": ({"course_id": free}, ENROLLED_NOW, free),
        "PUT /api/auth/profile": ({"full_name": words}, NAMED, words),
        "POST /api/student/progress/lesson": (lesson, WATCHED, course),
    }[write.route]
    method, _, path = write.route.partition(" ")
    address = f"{path}?course_id={course}" if path.endswith("/lesson") else path
    answer = asking.ask(method, address, "other_student", json=body)
    return answer, bool(app.rows(statement, student, value))


def _write_lost(asking: Asking, write: Write) -> bool:
    answer, stored = _stores(asking, write)
    return answer.status in {200, 201} and not stored


def _write_refused(asking: Asking, write: Write) -> bool:
    answer, stored = _stores(asking, write)
    return 400 <= answer.status < 500 and not stored


def _write_fails_late(asking: Asking, write: Write) -> bool:
    answer, stored = _stores(asking, write)
    return answer.status == 500 and stored


def _another_amount(asking: Asking, _: Named) -> bool:
    body = {"courseId": asking.app.course(free=False)["id"]}
    given = asking.ask("POST", "/api/payments/create-payment-intent", account="student", json=body).json
    return bool(asking.app.sinks.stripe.intents[given["paymentIntentId"]]["amount"] != given["amount"])


def _checkout_elsewhere(asking: Asking, _: Named) -> bool:
    body = {"type": "course", "courseId": asking.app.course(free=False)["id"]}
    given = asking.ask("POST", "/api/payments/create-checkout-session", account="student", json=body).json
    return not given["url"].startswith("https://checkout.stripe.com/")


PRICE, ENROLLED = "api-courses.data.courses.price", "api-enrollments.data.enrollments"
TABLE: dict[str, tuple[Any, ...]] = {
    "field-is-null": (_is(lambda value: value is None), PRICE, "api-auth-session.user"),
    "field-is-missing": (_missing, PRICE, f"{ENROLLED}.course_id"),
    "field-has-another-name": (_missing, "api-payments-history.transactions.amount", "api-auth-csrf.csrfToken"),
    "field-has-another-type": (_another_type, PRICE, "api-courses-id.data.modules"),
    "number-is-a-text": (_is(lambda value: isinstance(value, str)), PRICE, "api-courses.data.total"),
    "text-is-empty": (_is(lambda value: value == ""), "api-courses.data.courses.title"),
    "all-are-the-same": (_the_same, "api-courses.data.courses.slug", "api-auth-session.user.id"),
    "list-is-empty": (_is(lambda value: value == []), "api-courses.data.courses", ENROLLED),
    "list-is-cut": (_shorter, "api-courses.data.courses", ENROLLED),
    "list-repeats-itself": (_doubled, "api-courses.data.courses"),
    "amount-is-wrong": (_wrong_amount, PRICE, "api-payments-history.transactions.amount"),
    "amount-is-zero": (_free_of_charge, PRICE, "post-api-payments-create-payment-intent.amount"),
    "currency-is-another": (_is(lambda value: value.upper() != "TRY"), "api-courses.data.courses.currency"),
    "progress-is-lost": (_is(lambda value: value == 0), f"{ENROLLED}.progress_percentage"),
    "progress-is-impossible": (_is(lambda value: not 0 <= value <= 100), f"{ENROLLED}.progress_percentage"),
    "count-is-wrong": (_is(lambda value: value in {0, 9000}), "api-courses.data.total"),
    "state-is-unknown": (
        _is(lambda value: value not in {"active", "completed", "student"}),
        f"{ENROLLED}.status",
        "api-auth-session.user.role",
    ),
    "envelope-has-another-name": (_envelope, "api-courses", "api-student-progress"),
    "envelope-is-gone": (_envelope, "api-courses-id"),
    "is-wrapped-in-a-text": (_in_a_text, "api-courses", "api-auth-session"),
    "is-no-json": (_no_json, "api-health", "api-enrollments"),
    "fails-with-a-healthy-status": (_is_lost, "api-courses", "api-payments-history"),
    "has-no-content": (_is_lost, "api-auth-csrf"),
    "refusals-look-like-success": (
        lambda asking, route: _refused(asking, route).status == 200,
        "get-api-enrollments",
        "get-api-courses",
    ),
    "refusals-show-internals": (
        _refused_with("TypeError", "relation", "ECONN", "Prisma"),
        "get-api-payments-history",
        "get-api-courses-id",
    ),
    "refusals-are-crashes": (lambda asking, route: _refused(asking, route).status == 500, "post-api-admin-courses"),
    "shows-a-secret": (_a_secret, "api-courses", "api-health"),
    "query-does-nothing": (_no_filter, "api-courses.price_min", "api-enrollments.limit"),
    "query-crashes": (_crashes, "api-courses.page", "api-courses-search.price_max"),
    "shows-drafts": (_drafts, "api-courses", "api-courses-search"),
    "gives-another-course": (_another_course, "api-courses-id", "api-courses-id-enroll"),
    "search-finds-the-wrong-thing": (_wrong_search, "nothing", "everything", "the-first-one"),
    "health-warns-of-nothing": (_unhealthy, "database"),
    "write-is-lost": (_write_lost, "post-api-enroll-free", "put-api-auth-profile"),
    "write-is-refused": (_write_refused, "post-api-enroll-free", "post-api-student-progress-lesson"),
    "write-fails-after-it-is-done": (_write_fails_late, "post-api-student-enroll"),
    "write-is-for-another": (_write_lost, "post-api-enroll-free", "put-api-auth-profile"),
    "write-takes-one-field-for-another": (_write_refused, "post-api-enroll-free", "post-api-student-progress-lesson"),
    "another-amount-is-asked": (_another_amount, "a-hundredth", "ten-percent-more"),
    "checkout-leads-elsewhere": (_checkout_elsewhere, "another-host", "the-shop"),
}


@pytest.mark.parametrize(("rule", "subject"), samples(TABLE))
def test_a_mutant_of_the_api_is_noticed(running: RunningApp, rule: str, subject: str) -> None:
    """A client of the answer sees the defect, and none on a healthy build."""
    prove(running, TABLE, rule, subject)


def test_every_rule_of_the_api_has_an_oracle() -> None:
    """The table lacks none."""
    assert set(TABLE) == rules_of(api, fields, writes)
