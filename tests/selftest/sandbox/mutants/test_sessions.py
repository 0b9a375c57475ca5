"""Each rule of sign-in and sessions lets in who must stay out, or keeps out who may come in."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from fixtures.sandbox.mutants.harmful import sessions
from fixtures.sandbox.mutants.served import Served
from fixtures.sandbox.mutants.subjects import Named
from tests.selftest.sandbox.mutants.asking import PATIENCE_S, SESSION, Asking, Oracle, prove, rules_of, samples
from tests.selftest.sandbox.running_app import TRUSTED, RunningApp

EVIL = "https://kotu-site-7peducation.test"


def _wrong_password(asking: Asking, which: Named) -> bool:
    guess = "aaaaaaaa" if which.name == "of-one-letter" else asking.app.accounts["student"].email
    return SESSION in asking.signs_in("student", guess)


def _wrong_for_role(asking: Asking, role: Named) -> bool:
    return SESSION in asking.signs_in(role.name, "Yanlis1!sifre")


def _later_attempt(asking: Asking, _: Named) -> bool:
    tries = [SESSION in asking.signs_in("instructor", "Yanlis1!sifre") for _ in range(4)]
    asking.app.rows("UPDATE public.user_profiles SET failed_login_attempts = 0, account_locked_until = NULL")
    return not tries[0] and tries[-1]


def _refused(asking: Asking, _: Named) -> bool:
    return SESSION not in asking.signs_in()


def _ends_early(asking: Asking, _: Named) -> bool:
    cookies = asking.signs_in()
    asking.app.platform.clock = lambda: time.time() + 150
    try:
        return bool(asking.ask("GET", "/api/auth/session", cookies=cookies).json == {})
    finally:
        asking.app.platform.clock = time.time


def _role_is(account: str, expected: str) -> Oracle:
    return lambda asking, _: (
        asking.ask("GET", "/api/auth/session", cookies=asking.signs_in(account)).json["user"]["role"] == expected
    )


def _loses_role(asking: Asking, role: Named) -> bool:
    return bool(_role_is(role.name, "student")(asking, role))


def _becomes(asking: Asking, role: Named) -> bool:
    return bool(_role_is("student", role.name)(asking, role))


def _lost_now_and_then(asking: Asking, _: Named) -> bool:
    found = [asking.ask("GET", "/api/auth/session", account="student").json != {} for _ in range(12)]
    return any(found) and not all(found)


def _stays_signed_in(asking: Asking, _: Named) -> bool:
    cookies = asking.signs_in()
    with httpx.Client(base_url=asking.app.url, trust_env=False, timeout=PATIENCE_S, verify=TRUSTED) as client:
        client.cookies.update(cookies)
        token = client.get("/api/auth/csrf").json()["csrfToken"]
        gone = client.post("/api/auth/signout", data={"csrfToken": token, "json": "true"}).headers.get_list(
            "set-cookie"
        )
    return not any(line.startswith(f"{SESSION}=;") and "Path=/;" in line for line in gone)


def _cookie_lacks(word: str) -> Oracle:
    def shows(asking: Asking, cookie: Named) -> bool:
        given = [asking.ask("GET", "/api/auth/csrf"), asking.ask("GET", "/api/auth/session", account="student")]
        lines = [line for answer in given for line in answer.headers.get_list("set-cookie") if cookie.name in line]
        return lines != [] and all(word not in line for line in lines)

    return shows


def _without_token(asking: Asking, which: Named) -> bool:
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


def _unlimited(asking: Asking, _: Named) -> bool:
    return (
        429 not in _tries(asking, "/api/courses/search?q=marka", 32) if _.name == "course-search" else _sign_ins(asking)
    )


def _sign_ins(asking: Asking) -> bool:
    """Try the sixth sign-in within a quarter of an hour; the locked account is opened again."""
    asking.app.platform.limits.spent.clear()
    before = [asking.signs_in("other_student") for _ in range(6)]
    return SESSION in before[-1]


def _limited_at_once(asking: Asking, _: Named) -> bool:
    return 429 in _tries(asking, "/api/courses", 3)


def _leads_away(asking: Asking, part: Served) -> bool:
    query = "&".join(f"{name}={EVIL}" for name in ("callbackUrl", "redirect", "next", "returnTo"))
    place = asking.ask("GET", f"{asking.address(part.route)}?{query}").headers.get("location", "")
    return str(place).startswith(EVIL)


def _tells(asking: Asking, _: Named) -> bool:
    answers = []
    for address in (asking.app.accounts["student"].email, "kimse@7peducation.test"):
        token = httpx.get(f"{asking.app.url}/api/auth/csrf", trust_env=False)
        data = {"email": address, "password": "Yanlis1!", "csrfToken": token.json()["csrfToken"], "json": "true"}
        answers.append(asking.ask("POST", "/api/auth/callback/credentials", data=data, cookies=dict(token.cookies)))
    asking.app.rows("UPDATE public.user_profiles SET failed_login_attempts = 0")
    return answers[0].status != answers[1].status


TABLE: dict[str, tuple[Any, ...]] = {
    "wrong-passwords-accepted": (_wrong_password, "any", "same-as-the-address", "of-one-letter"),
    "wrong-passwords-open-a-role": (_wrong_for_role, "student", "admin"),
    "a-later-attempt-succeeds": (_later_attempt, "second", "fourth"),
    "right-passwords-refused": (_refused, "all", "with-signs", "longer-than-sixteen"),
    "sessions-end-early": (_ends_early, "five-seconds", "two-minutes"),
    "everybody-becomes": (_becomes, "admin"),
    "loses-its-role": (_loses_role, "admin", "instructor"),
    "sessions-lost-between-instances": (_lost_now_and_then, "two", "six"),
    "sign-out-in-vain": (_stays_signed_in, "cookie-stays", "another-path", "another-name"),
    "scripts-read-the-cookie": (_cookie_lacks("HttpOnly"), "session-token", "csrf-token"),
    "other-sites-send-the-cookie": (_cookie_lacks("SameSite=Lax"), "session-token"),
    "needs-no-token": (_without_token, "sign-in", "sign-out"),
    "limit-gone": (_unlimited, "sign-in"),
    "limit-too-low": (_limited_at_once, "course-list"),
    "leads-anywhere": (_leads_away, "api-auth-signin", "login"),
    "tells-who-is-known": (_tells, "sign-in"),
}


@pytest.mark.parametrize(("rule", "subject"), samples(TABLE))
def test_a_mutant_of_sessions_is_noticed(running: RunningApp, rule: str, subject: str) -> None:
    """Somebody is let in or kept out who is not on a healthy build."""
    prove(running, TABLE, rule, subject)


def test_every_rule_of_sessions_has_an_oracle() -> None:
    """The table lacks none."""
    assert set(TABLE) == rules_of(sessions)
