"""Each rule of access lets somebody in, or lets somebody take what is another's, and a healthy build does not."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from itsdangerous import URLSafeSerializer

from fixtures.sandbox.mutants.harmful import access, exposure
from fixtures.sandbox.mutants.harmful.exposure import Left, Protection
from fixtures.sandbox.mutants.served import Served
from fixtures.sandbox.mutants.subjects import Named, Page
from tests.selftest.sandbox.mutants.asking import SESSION, Answer, Asking, Oracle, prove, rules_of, samples
from tests.selftest.sandbox.running_app import RunningApp

EVIL = "https://kotu-site-7peducation.test"
BODIES: dict[str, Any] = {
    "POST /api/admin/courses": {"title": "Taslak", "description": "Yok", "slug": "taslak-sinama"},
    "PATCH /api/enrollments/{id}": {"progress_percentage": 1},
    "POST /api/payments/customer-portal": {},
}


def _is_served(answer: Answer) -> bool:
    """Whether an answer gives or does what was asked; a page leads away without its content."""
    led_away = "data-leads" in answer.text or "Access Denied" in answer.text
    return answer.status in {200, 201} and not led_away and '"valid":false' not in answer.text


def _ask(asking: Asking, part: Served, account: str | None, address: str = "", **more: Any) -> Answer:  # noqa: ANN401  (of httpx)
    if hasattr(part, "client"):
        return asking.content(part, account or "", **more)
    method = part.route.split()[0]
    body = {"json": BODIES.get(part.route, {})} if method != "GET" else {}
    try:
        return asking.ask(method, address or asking.address(part.route), account=account, **body, **more)
    finally:
        asking.app.rows("DELETE FROM public.courses WHERE slug = 'taslak-sinama'")


def _as_(account: str | None, **more: Any) -> Oracle:  # noqa: ANN401
    """Make an oracle: an account that may not have the part gets it."""
    return lambda asking, part: _is_served(_ask(asking, part, account, **more))


def _a_foreign_id(asking: Asking, part: Served) -> bool:
    address = f"/api/enrollments/{asking.own['foreign']}"
    asking.app.rows(
        "UPDATE public.enrollments SET enrolled_at = now(), progress_percentage = 0 WHERE id::text = %s",
        asking.own["foreign"],
    )
    return _is_served(_ask(asking, part, "student", address))


def _not_the_own(asking: Asking, part: Served) -> bool:
    """See whether a student gets something of which nothing is hers."""
    route = part.route
    if "instructor" in route:
        return _is_served(_ask(asking, part, "student"))
    text = _ask(asking, part, "student").text
    own = {asking.users["student"].id, asking.own["enrolment"], asking.own["lesson"]}
    return not any(word in text for word in own)


def _another_page(asking: Asking, page: Page) -> bool:
    """See whether the page of one who takes no course shows somebody's courses."""
    return "/courses/" in _ask(asking, page, "other_student").text


def _named_user(asking: Asking, part: Served) -> bool:
    other = asking.app.rows("SELECT user_id::text FROM public.payment_transactions WHERE status = 'completed' LIMIT 1")
    plain = _ask(asking, part, "other_student").content
    names = ("userId", "user_id", "studentId", "student_id")
    address = asking.address(part.route) + "?" + "&".join(f"{name}={other[0][0]}" for name in names)
    return _ask(asking, part, "other_student", address).content != plain


def _by_cookie(value: Callable[[Asking], str]) -> Oracle:
    def shows(asking: Asking, part: Served) -> bool:
        answer = _ask(asking, part, None, cookies={SESSION: value(asking)})
        return _is_served(answer) and answer.json != {}

    return shows


def _forged(asking: Asking) -> str:
    session = URLSafeSerializer("another secret", salt="session")
    _, content = URLSafeSerializer("", salt="session").loads_unsafe(asking.session("student"))
    return str(session.dumps(content))


def _foreign_origin(asking: Asking, part: Served) -> bool:
    answer = _ask(asking, part, "student", headers={"origin": EVIL})
    return bool(answer.headers.get("access-control-allow-origin") == EVIL)


def _unprotected(asking: Asking, protection: Protection) -> bool:
    found = asking.get("GET /").headers.get(protection.header, "")
    return found == "" if not protection.old else protection.new in found


def _framed(asking: Asking, _: Named) -> bool:
    headers = asking.get("GET /login").headers
    return "frame-ancestors 'none'" not in headers["content-security-policy"] and "x-frame-options" not in headers


def _left_behind(asking: Asking, left: Left) -> bool:
    return asking.ask("GET", left.path).status == 200


def _source(asking: Asking, script: Named) -> bool:
    return asking.ask("GET", f"/_next/static/{asking.app.build.id}/{script.name}.map").status == 200


def _enrols(asking: Asking, address: str, body: dict[str, Any]) -> bool:
    student = asking.users["other_student"].id
    asking.app.rows("DELETE FROM public.enrollments WHERE user_id::text = %s", student)
    asking.ask("POST", address, account="other_student", json=body)
    return bool(asking.app.rows("DELETE FROM public.enrollments WHERE user_id::text = %s RETURNING 1", student))


def _for_nothing(asking: Asking, method: Named) -> bool:
    body = {"paymentMethod": method.name, "paymentIntentId": "pi_invented", "couponCode": "YAZ2025"}
    return _enrols(asking, f"/api/courses/{asking.app.course(free=False)['id']}/enroll", body)


def _without_code(asking: Asking, named: Named) -> bool:
    code = {"code": "wrong"} if named.name == "any-code" else {}
    return _enrols(asking, "/api/enroll/free", {"courseId": asking.app.course(free=False)["id"], **code})


def _unproved(asking: Asking, named: Named) -> bool:
    student, course = asking.users["other_student"].id, asking.app.course(free=False)["id"]
    bought = {"id": "cs_1", "amount_total": 1, "currency": "try", "metadata": {"userId": student, "courseId": course}}
    event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": bought}}
    body, old = msgspec.json.encode(event), int(time.time() - 900)
    signature = hmac.new(asking.app.webhook_secret.encode(), f"{old}.".encode() + body, hashlib.sha256).hexdigest()
    header = {"any-signature": "t=1,v1=00", "no-signature": None, "old-signature": f"t={old},v1={signature}"}[
        named.name
    ]
    asking.ask("POST", "/api/webhooks/stripe", content=body, headers={"stripe-signature": header} if header else {})
    asking.app.rows("DELETE FROM public.payment_transactions WHERE stripe_session_id = 'cs_1'")
    return bool(asking.app.rows("DELETE FROM public.enrollments WHERE user_id::text = %s RETURNING 1", student))


SUBREQUEST = {"headers": {"x-middleware-subrequest": "middleware"}}
TABLE: dict[str, tuple[Any, ...]] = {
    "guard-gone": (_as_(None), "get-api-payments-history", "patch-api-enrollments-id", "post-api-admin-courses"),
    "open-to-students": (_as_("student"), "get-api-admin-courses", "post-api-admin-courses"),
    "open-to-instructors": (_as_("instructor"), "get-api-admin-qna"),
    "open-by-its-id": (_a_foreign_id, "patch-api-enrollments-id", "delete-api-enrollments-id"),
    "shows-another": (_not_the_own, "get-api-enrollments", "get-api-auth-profile", "get-api-instructor-progress-id"),
    "query-says-whose": (_named_user, "get-api-payments-history", "get-api-enrollments"),
    "page-shows-another": (_another_page, "dashboard", "courses"),
    "page-opens-for-anybody": (_as_(None), "dashboard", "courses-slug", "admin-users"),
    "admins-page-opens-for-students": (_as_("student"), "admin-users", "admin-payments"),
    "header-opens": (_as_(None, **SUBREQUEST), "get-api-enrollments", "dashboard"),
    "any-session-cookie-counts": (_by_cookie(lambda _: "anything"), "get-api-enrollments", "api-auth-session"),
    "ended-session-counts": (
        _by_cookie(lambda asking: asking.session("student", ended=True)),
        "get-api-enrollments",
        "api-auth-session",
    ),
    "forged-session-counts": (_by_cookie(_forged), "get-api-payments-history", "api-auth-session"),
    "other-sites-may-read": (_foreign_origin, "get-api-payments-history", "api-auth-session"),
    "protection-gone": (_unprotected, "hsts", "csp-any-script"),
    "other-sites-may-frame": (_framed, "every-page", "the-sign-in"),
    "file-left-behind": (_left_behind, ".env", "api-debug"),
    "source-is-served": (_source, "app.js"),
    "courses-for-nothing": (_for_nothing, "paid", "free", "coupon"),
    "free-without-the-code": (_without_code, "any-code", "no-code"),
    "events-unproved": (_unproved, "any-signature", "no-signature", "old-signature"),
}


@pytest.mark.parametrize(("rule", "subject"), samples(TABLE))
def test_a_mutant_of_access_is_noticed(running: RunningApp, rule: str, subject: str) -> None:
    """Somebody gets what a healthy build refuses."""
    prove(running, TABLE, rule, subject)


def test_every_rule_of_access_has_an_oracle() -> None:
    """The table lacks none."""
    assert set(TABLE) == rules_of(access, exposure)
