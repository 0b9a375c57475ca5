"""Each rule of access lets somebody in, or lets somebody take what is another's, and a healthy build does not."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import httpx
import msgspec
import pytest
from itsdangerous import URLSafeSerializer

from fixtures.sandbox.mutants.harmful import access, exposure, sessions
from fixtures.sandbox.mutants.subjects import Named
from tests.selftest.sandbox.mutants.asking import PATIENCE_S, SESSION, Answer, Asking, prove, rules_of, samples
from tests.selftest.sandbox.running_app import TRUSTED, RunningApp

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


def _ask(asking: Asking, part: Any, account: str | None, address: str = "", **more: Any) -> Answer:
    if hasattr(part, "client"):
        return asking.content(part, account or "", **more)
    method = part.route.split()[0]
    body = {"json": BODIES.get(part.route, {})} if method != "GET" else {}
    try:
        return asking.ask(method, address or asking.address(part.route), account=account, **body, **more)
    finally:
        asking.app.rows("DELETE FROM public.courses WHERE slug = 'taslak-sinama'")


def as_(account: str | None, **more: Any) -> Any:
    """Make an oracle: an account that may not have the part gets it."""
    return lambda asking, part: _is_served(_ask(asking, part, account, **more))


def a_foreign_id(asking: Asking, part: Any) -> bool:
    address = f"/api/enrollments/{asking.own['foreign']}"
    asking.app.rows(
        "UPDATE public.enrollments SET enrolled_at = now(), progress_percentage = 0 WHERE id::text = %s",
        asking.own["foreign"],
    )
    return _is_served(_ask(asking, part, "student", address))


def not_the_own(asking: Asking, part: Any) -> bool:
    """A student sees something of which nothing is hers."""
    route = part.route
    if "instructor" in route:
        return _is_served(_ask(asking, part, "student"))
    text = _ask(asking, part, "student").text
    own = {asking.users["student"].id, asking.own["enrolment"], asking.own["lesson"]}
    return asking.app.rows("SELECT 1") == [(1,)] and not any(word in text for word in own)


def another_page(asking: Asking, page: Any) -> bool:
    """The page of one who takes no course shows somebody's courses."""
    return "/courses/" in _ask(asking, page, "other_student").text


def named_user(asking: Asking, part: Any) -> bool:
    other = asking.app.rows("SELECT user_id::text FROM public.payment_transactions WHERE status = 'completed' LIMIT 1")
    plain = _ask(asking, part, "other_student").content
    names = ("userId", "user_id", "studentId", "student_id")
    address = asking.address(part.route) + "?" + "&".join(f"{name}={other[0][0]}" for name in names)
    return _ask(asking, part, "other_student", address).content != plain


def by_cookie(value: Any) -> Any:
    def shows(asking: Asking, part: Any) -> bool:
        answer = _ask(asking, part, None, cookies={SESSION: value(asking)})
        return _is_served(answer) and answer.json != {}

    return shows


def forged(asking: Asking) -> str:
    session = URLSafeSerializer("another secret", salt="session")
    _, content = URLSafeSerializer("", salt="session").loads_unsafe(asking.session("student"))
    return str(session.dumps(content))


def signs_in(account: str, password: str) -> Any:
    """Make an oracle: a wrong password opens an account."""

    def shows(asking: Asking, _: Named) -> bool:
        word = asking.app.accounts[account].email if password == "address" else password
        return SESSION in asking.signs_in(account, word)

    return shows


def wrong_for_role(asking: Asking, role: Named) -> bool:
    return SESSION in asking.signs_in(role.name, "Yanlis1!sifre")


def later_attempt(asking: Asking, _: Named) -> bool:
    tries = [SESSION in asking.signs_in("instructor", "Yanlis1!sifre") for _ in range(4)]
    asking.app.rows("UPDATE public.user_profiles SET failed_login_attempts = 0, account_locked_until = NULL")
    return not tries[0] and tries[-1]


def refused(asking: Asking, _: Named) -> bool:
    return SESSION not in asking.signs_in()


def ends_early(asking: Asking, _: Named) -> bool:
    cookies = asking.signs_in()
    asking.app.platform.clock = lambda: time.time() + 150
    try:
        return asking.ask("GET", "/api/auth/session", cookies=cookies).json == {}
    finally:
        asking.app.platform.clock = time.time


def role_is(account: str, expected: str) -> Any:
    return lambda asking, _: (
        asking.ask("GET", "/api/auth/session", cookies=asking.signs_in(account)).json["user"]["role"] == expected
    )


def loses_role(asking: Asking, role: Named) -> bool:
    return bool(role_is(role.name, "student")(asking, role))


def becomes(asking: Asking, role: Named) -> bool:
    return bool(role_is("student", role.name)(asking, role))


def lost_now_and_then(asking: Asking, _: Named) -> bool:
    found = [asking.ask("GET", "/api/auth/session", account="student").json != {} for _ in range(12)]
    return any(found) and not all(found)


def stays_signed_in(asking: Asking, _: Named) -> bool:
    cookies = asking.signs_in()
    with httpx.Client(base_url=asking.app.url, trust_env=False, timeout=PATIENCE_S, verify=TRUSTED) as client:
        client.cookies.update(cookies)
        token = client.get("/api/auth/csrf").json()["csrfToken"]
        gone = client.post("/api/auth/signout", data={"csrfToken": token, "json": "true"}).headers.get_list(
            "set-cookie"
        )
    return not any(line.startswith(f"{SESSION}=;") and "Path=/;" in line for line in gone)


def cookie_lacks(word: str) -> Any:
    def shows(asking: Asking, cookie: Named) -> bool:
        given = [asking.ask("GET", "/api/auth/csrf"), asking.ask("GET", "/api/auth/session", account="student")]
        lines = [line for answer in given for line in answer.headers.get_list("set-cookie") if cookie.name in line]
        return lines != [] and all(word not in line for line in lines)

    return shows


def without_token(asking: Asking, which: Named) -> bool:
    known = asking.app.accounts["student"]
    if which.name == "sign-in":
        data = {"email": known.email, "password": known.password, "json": "true", "csrfToken": "x"}
        answer = asking.ask("POST", "/api/auth/callback/credentials", data=data)
        return any(line.startswith(SESSION) for line in answer.headers.get_list("set-cookie"))
    answer = asking.ask("POST", "/api/auth/signout", account="student", data={"csrfToken": "x"})
    return any(line.startswith(f"{SESSION}=;") for line in answer.headers.get_list("set-cookie"))


def _tries(asking: Asking, path: str, count: int) -> list[int]:
    with httpx.Client(base_url=asking.app.url, trust_env=False, timeout=5, verify=TRUSTED) as client:
        return [client.get(path).status_code for _ in range(count)]


def unlimited(asking: Asking, _: Named) -> bool:
    return (
        429 not in _tries(asking, "/api/courses/search?q=marka", 32) if _.name == "course-search" else _sign_ins(asking)
    )


def _sign_ins(asking: Asking) -> bool:
    """Try the sixth sign-in within a quarter of an hour; the locked account is opened again."""
    asking.app.platform.limits.spent.clear()
    before = [asking.signs_in("other_student") for _ in range(6)]
    return SESSION in before[-1]


def limited_at_once(asking: Asking, _: Named) -> bool:
    return 429 in _tries(asking, "/api/courses", 3)


def leads_away(asking: Asking, part: Any) -> bool:
    query = "&".join(f"{name}={EVIL}" for name in ("callbackUrl", "redirect", "next", "returnTo"))
    return asking.ask("GET", f"{asking.address(part.route)}?{query}").headers.get("location", "").startswith(EVIL)


def tells(asking: Asking, _: Named) -> bool:
    answers = []
    for address in (asking.app.accounts["student"].email, "kimse@7peducation.test"):
        token = httpx.get(f"{asking.app.url}/api/auth/csrf", trust_env=False)
        data = {"email": address, "password": "Yanlis1!", "csrfToken": token.json()["csrfToken"], "json": "true"}
        answers.append(asking.ask("POST", "/api/auth/callback/credentials", data=data, cookies=dict(token.cookies)))
    asking.app.rows("UPDATE public.user_profiles SET failed_login_attempts = 0")
    return answers[0].status != answers[1].status


def foreign_origin(asking: Asking, part: Any) -> bool:
    answer = _ask(asking, part, "student", headers={"origin": EVIL})
    return answer.headers.get("access-control-allow-origin") == EVIL


def unprotected(asking: Asking, protection: Any) -> bool:
    found = asking.get("GET /").headers.get(protection.header, "")
    return found == "" if not protection.old else protection.new in found


def framed(asking: Asking, _: Named) -> bool:
    headers = asking.get("GET /login").headers
    return "frame-ancestors 'none'" not in headers["content-security-policy"] and "x-frame-options" not in headers


def left_behind(asking: Asking, left: Any) -> bool:
    return asking.ask("GET", left.path).status == 200


def source(asking: Asking, script: Named) -> bool:
    return asking.ask("GET", f"/_next/static/{asking.app.build.id}/{script.name}.map").status == 200


def _enrols(asking: Asking, address: str, body: dict[str, Any]) -> bool:
    student = asking.users["other_student"].id
    asking.app.rows("DELETE FROM public.enrollments WHERE user_id::text = %s", student)
    asking.ask("POST", address, account="other_student", json=body)
    return bool(asking.app.rows("DELETE FROM public.enrollments WHERE user_id::text = %s RETURNING 1", student))


def for_nothing(asking: Asking, method: Named) -> bool:
    body = {"paymentMethod": method.name, "paymentIntentId": "pi_invented", "couponCode": "YAZ2025"}
    return _enrols(asking, f"/api/courses/{asking.app.course(free=False)['id']}/enroll", body)


def without_code(asking: Asking, named: Named) -> bool:
    code = {"code": "wrong"} if named.name == "any-code" else {}
    return _enrols(asking, "/api/enroll/free", {"courseId": asking.app.course(free=False)["id"], **code})


def unproved(asking: Asking, named: Named) -> bool:
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
    "guard-gone": (as_(None), "get-api-payments-history", "patch-api-enrollments-id", "post-api-admin-courses"),
    "open-to-students": (as_("student"), "get-api-admin-courses", "post-api-admin-courses"),
    "open-to-instructors": (as_("instructor"), "get-api-admin-qna"),
    "open-by-its-id": (a_foreign_id, "patch-api-enrollments-id", "delete-api-enrollments-id"),
    "shows-another": (not_the_own, "get-api-enrollments", "get-api-auth-profile", "get-api-instructor-progress-id"),
    "query-says-whose": (named_user, "get-api-payments-history", "get-api-enrollments"),
    "page-shows-another": (another_page, "dashboard", "courses"),
    "page-opens-for-anybody": (as_(None), "dashboard", "courses-slug", "admin-users"),
    "admins-page-opens-for-students": (as_("student"), "admin-users", "admin-payments"),
    "header-opens": (as_(None, **SUBREQUEST), "get-api-enrollments", "dashboard"),
    "any-session-cookie-counts": (by_cookie(lambda _: "anything"), "get-api-enrollments", "api-auth-session"),
    "ended-session-counts": (
        by_cookie(lambda asking: asking.session("student", ended=True)),
        "get-api-enrollments",
        "api-auth-session",
    ),
    "forged-session-counts": (by_cookie(forged), "get-api-payments-history", "api-auth-session"),
    "wrong-passwords-accepted": (signs_in("student", "address"), "any", "long-enough", "same-as-the-address"),
    "wrong-passwords-open-a-role": (wrong_for_role, "student", "admin"),
    "a-later-attempt-succeeds": (later_attempt, "second", "fourth"),
    "right-passwords-refused": (refused, "all", "with-signs", "longer-than-sixteen"),
    "sessions-end-early": (ends_early, "five-seconds", "two-minutes"),
    "everybody-becomes": (becomes, "admin"),
    "loses-its-role": (loses_role, "admin", "instructor"),
    "sessions-lost-between-instances": (lost_now_and_then, "two", "six"),
    "sign-out-in-vain": (stays_signed_in, "cookie-stays", "another-path", "another-name"),
    "scripts-read-the-cookie": (cookie_lacks("HttpOnly"), "session-token", "csrf-token"),
    "other-sites-send-the-cookie": (cookie_lacks("SameSite=Lax"), "session-token"),
    "needs-no-token": (without_token, "sign-in", "sign-out"),
    "limit-gone": (unlimited, "sign-in"),
    "limit-too-low": (limited_at_once, "course-list"),
    "leads-anywhere": (leads_away, "api-auth-signin", "login"),
    "tells-who-is-known": (tells, "sign-in"),
    "other-sites-may-read": (foreign_origin, "get-api-payments-history", "api-auth-session"),
    "protection-gone": (unprotected, "hsts", "csp-any-script"),
    "other-sites-may-frame": (framed, "every-page", "the-sign-in"),
    "file-left-behind": (left_behind, ".env", "api-debug"),
    "source-is-served": (source, "app.js"),
    "courses-for-nothing": (for_nothing, "paid", "free", "coupon"),
    "free-without-the-code": (without_code, "any-code", "no-code"),
    "events-unproved": (unproved, "any-signature", "no-signature", "old-signature"),
}


@pytest.mark.parametrize(("rule", "subject"), samples(TABLE))
def test_a_mutant_of_access_is_noticed(running: RunningApp, rule: str, subject: str) -> None:
    """Somebody gets what a healthy build refuses."""
    prove(running, TABLE, rule, subject)


def test_every_rule_of_access_has_an_oracle() -> None:
    """The table lacks none."""
    assert set(TABLE) == rules_of(access, exposure, sessions)
