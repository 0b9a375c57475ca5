"""Sign-in and registration: NextAuth's unusual answers, and the refusals of the account routes."""

from __future__ import annotations

import asyncio
import secrets
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from fixtures.sandbox.app.accounts import verification_token
from tests.selftest.sandbox.running_app import RunningApp, sign_in

SESSION_COOKIE = "next-auth.session-token"


def _address() -> str:
    return f"kayit-{secrets.token_hex(6)}@7peducation.test"


def test_csrf_token_comes_with_the_cookie_that_proves_it(client: httpx.Client) -> None:
    """The cookie is `token|hash`, HttpOnly and Lax; a second request with the cookie gets the same token."""
    first = client.get("/api/auth/csrf")
    cookie = next(line for line in first.headers.get_list("set-cookie") if "csrf-token" in line)

    assert cookie.startswith(f"next-auth.csrf-token={first.json()['csrfToken']}%7C")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert client.get("/api/auth/csrf").json() == first.json()


def test_on_https_the_cookies_have_secure_names(app: RunningApp, client: httpx.Client) -> None:
    """NEXTAUTH_URL decides, not the scheme of the request."""
    app.build.environment["NEXTAUTH_URL"] = "https://7peducation.test"
    cookies = client.get("/api/auth/csrf").headers.get_list("set-cookie")

    assert [cookie.partition("=")[0] for cookie in cookies] == [
        "__Host-next-auth.csrf-token",
        "__Secure-next-auth.callback-url",
    ]
    assert all(cookie.endswith("; Secure") for cookie in cookies)


def test_providers_stay_on_the_host_of_nextauth_url(app: RunningApp, client: httpx.Client) -> None:
    """The address of the request does not matter."""
    app.build.environment["NEXTAUTH_URL"] = "https://7peducation.test"
    credentials = client.get("/api/auth/providers").json()["credentials"]

    assert credentials["signinUrl"] == "https://7peducation.test/api/auth/signin/credentials"
    assert credentials["callbackUrl"] == "https://7peducation.test/api/auth/callback/credentials"


def test_right_password_gives_a_session(app: RunningApp, client: httpx.Client) -> None:
    """The session route names the user and shows nothing of the private record."""
    account = app.accounts["student"]
    answer = sign_in(client, account.email, account.password, callbackUrl="/dashboard")
    session = client.get("/api/auth/session").json()

    assert (answer.status_code, answer.json()) == (200, {"url": f"{app.url}/dashboard"})
    assert session["user"].keys() == {"name", "email", "image", "id", "role", "emailVerified"}
    assert (session["user"]["email"], session["user"]["role"]) == (account.email, "student")
    assert session["expires"].endswith("Z")


@pytest.mark.parametrize("url", ["https://elsewhere.test/", "//elsewhere.test", "/\\elsewhere.test", "javascript:x"])
def test_sign_in_never_sends_elsewhere(app: RunningApp, client: httpx.Client, url: str) -> None:
    """A foreign callbackUrl becomes the site's own address."""
    account = app.accounts["student"]

    assert sign_in(client, account.email, account.password, callbackUrl=url).json() == {"url": app.url}


def test_wrong_password_and_unknown_address_look_the_same(app: RunningApp, client: httpx.Client) -> None:
    """401 with the error page's address, and no session cookie."""
    answers = [sign_in(client, email, "Yanlis-Sifre1") for email in (app.accounts["student"].email, _address())]

    assert [(answer.status_code, answer.json()["url"]) for answer in answers] == [
        (401, f"{app.url}/api/auth/error?error=Invalid%20credentials")
    ] * 2
    assert SESSION_COOKIE not in client.cookies


def test_without_csrf_token_sign_in_answers_200_and_gives_no_session(app: RunningApp, client: httpx.Client) -> None:
    """Only the session route shows that nobody is signed in."""
    account = app.accounts["student"]
    form = {"email": account.email, "password": account.password, "json": "true"}
    answer = client.post("/api/auth/callback/credentials", data=form)

    assert (answer.status_code, answer.json()) == (200, {"url": f"{app.url}/api/auth/signin?csrf=true"})
    assert client.get("/api/auth/session").json() == {}


def test_without_json_sign_in_redirects(app: RunningApp, client: httpx.Client) -> None:
    """A plain HTML form expects a redirect."""
    account = app.accounts["student"]
    answer = sign_in(client, account.email, account.password, json="false", callbackUrl="/courses")

    assert (answer.status_code, answer.headers["location"]) == (302, f"{app.url}/courses")


def test_a_garbled_session_is_nobody_and_its_cookie_is_cleared(client: httpx.Client) -> None:
    """The answer is 200 with `{}`, never an error."""
    answer = client.get("/api/auth/session", headers={"cookie": f"{SESSION_COOKIE}=garbled"})

    assert (answer.status_code, answer.json()) == (200, {})
    assert any("01 Jan 1970" in cookie for cookie in answer.headers.get_list("set-cookie"))


def test_another_secret_makes_every_session_nobody(app: RunningApp) -> None:
    """Instances with different secrets sign a share of the users out like this."""
    with app.client("student") as client:
        app.build.environment["NEXTAUTH_SECRET"] = secrets.token_hex(16)

        assert client.get("/api/auth/session").json() == {}


def test_signing_out_needs_the_csrf_token(app: RunningApp) -> None:
    """The session stays without the token, and ends with it."""
    with app.client("student") as client:
        client.post("/api/auth/signout", data={"json": "true"})
        still = client.get("/api/auth/session").json()
        token = client.get("/api/auth/csrf").json()["csrfToken"]
        client.post("/api/auth/signout", data={"csrfToken": token, "json": "true"})

        assert still["user"]["email"] == app.accounts["student"].email
        assert client.get("/api/auth/session").json() == {}


def _error(answer: httpx.Response) -> str:
    url: str = answer.json()["url"]
    return parse_qs(urlsplit(url).query)["error"][0]


def test_the_sixth_sign_in_within_a_quarter_of_an_hour_waits(client: httpx.Client) -> None:
    """It is a 401 like the others; only the error in the address tells, and each e-mail has its own limit."""
    email = _address()
    answers = [sign_in(client, email, "Yanlis-Sifre1") for _ in range(6)]
    other = sign_in(client, _address(), "Yanlis-Sifre1")

    assert [answer.status_code for answer in answers] == [401] * 6
    assert {_error(answer) for answer in answers[:5]} == {"Invalid credentials"}
    assert "Too many" in _error(answers[5])
    assert _error(other) == "Invalid credentials"
    assert "retry-after" not in answers[5].headers


def test_five_wrong_passwords_lock_the_account(app: RunningApp, client: httpx.Client) -> None:
    """The lock counts wrong passwords in a row from every address; a right one resets the count."""
    account = app.accounts["other_student"]
    for password in ("x", "x", "x", "x", account.password, "x"):
        app.platform.limits.spent.clear()
        last = sign_in(client, account.email, password)
    four = app.rows("SELECT failed_login_attempts FROM public.user_profiles WHERE email = %s", account.email)
    for _ in range(4):
        app.platform.limits.spent.clear()
        last = sign_in(client, account.email, "x")
    app.platform.limits.spent.clear()
    locked = sign_in(client, account.email, account.password)
    app.rows("UPDATE public.user_profiles SET failed_login_attempts = 0, account_locked_until = NULL")

    assert four == [(1,)]
    assert (_error(last), _error(locked)) == ("Invalid credentials", "Account temporarily locked")


def test_an_unverified_address_cannot_sign_in(app: RunningApp, client: httpx.Client) -> None:
    """The password is right, and the refusal names the address."""
    account = app.accounts["other_student"]
    app.rows("UPDATE public.user_profiles SET email_verified = false WHERE email = %s", account.email)
    refused = sign_in(client, account.email, account.password)
    app.rows("UPDATE public.user_profiles SET email_verified = true WHERE email = %s", account.email)

    assert refused.status_code == 401
    assert "not verified" in _error(refused)


def test_a_late_database_makes_sign_in_six_times_as_late(app: RunningApp, client: httpx.Client) -> None:
    """Each of its questions waits for the one before."""
    account = app.accounts["student"]
    app.platform.database.lateness = 0.05
    began = time.perf_counter()
    answer = sign_in(client, account.email, account.password)
    took = time.perf_counter() - began
    app.platform.database.lateness = 0.0

    assert answer.status_code == 200
    assert took >= 6 * 0.05


def test_a_database_that_does_not_answer_looks_like_a_wrong_password(app: RunningApp, client: httpx.Client) -> None:
    """Only the course list, asked in the same minute, tells an outage from a wrong password."""
    account = app.accounts["student"]
    healthy, app.platform.database.dsn = app.platform.database.dsn, "postgresql://nobody@127.0.0.1:1/none"
    asyncio.run_coroutine_threadsafe(app.platform.database.close(), app.loop).result(5)
    refused = sign_in(client, account.email, account.password)
    reset = client.post("/api/auth/request-password-reset", json={"email": account.email})
    courses = client.get("/api/courses")
    app.platform.database.dsn = healthy

    assert (refused.status_code, _error(refused)) == (401, "Invalid credentials")
    assert (reset.status_code, courses.status_code) == (200, 500)
    assert courses.json()["message"] == "Internal server error"


def test_registration_leads_to_an_account_that_signs_in_once_it_is_verified(
    app: RunningApp, client: httpx.Client
) -> None:
    """A second registration fails: the address is known, in upper or lower case."""
    email, password = _address(), "Yeni-Sifre1"
    content = {"email": email, "password": password, "name": "Deniz Aksoy"}
    created = client.post("/api/auth/register", json=content)
    again = client.post("/api/auth/register", json=content | {"email": email.upper()})

    early = sign_in(client, email, password)
    token = verification_token(email, app.build.environment["NEXTAUTH_SECRET"], time.time())
    client.get("/api/auth/verify-email", params={"token": token})

    assert early.status_code == 401
    assert (created.status_code, created.json()["user"]["email"]) == (200, email)
    assert "password" not in created.json()["user"]
    assert (again.status_code, again.json()["success"]) == (409, False)
    assert sign_in(client, email, password).status_code == 200


def test_a_weak_password_is_told_what_it_lacks(client: httpx.Client) -> None:
    """The refusal has one sentence for each missing property."""
    answer = client.post("/api/auth/register", json={"email": _address(), "password": "kisa", "name": "Deniz"})

    assert answer.status_code == 400
    assert len(answer.json()["password_feedback"]) == 4


@pytest.mark.parametrize(
    "body", [b"{", b"", b"[]", b'{"email": 1}', b'{"email": "x", "password": "Aa1aaaaaa", "name": "x"}']
)
def test_what_is_not_a_registration_is_refused(client: httpx.Client, body: bytes) -> None:
    """The answer is 400 with a message; a malformed body does not count against the limit."""
    answer = client.post("/api/auth/register", content=body)

    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_a_reset_request_does_not_tell_whether_an_address_is_known(app: RunningApp, client: httpx.Client) -> None:
    """Both answers are the same; the fourth request for one address gets 429."""
    known, unknown = app.accounts["student"].email, _address()
    emails = [known, unknown, unknown, unknown, unknown]
    answers = [client.post("/api/auth/request-password-reset", json={"email": email}) for email in emails]

    assert answers[0].json() == answers[1].json()
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]


def test_an_address_is_verified_by_its_token_only(app: RunningApp, client: httpx.Client) -> None:
    """A good token leads to the success page, once; a bad one leads to the error page; no token is a 400."""
    email = app.accounts["other_student"].email
    token = verification_token(email, app.build.environment["NEXTAUTH_SECRET"], time.time())
    good, bad = (client.get("/api/auth/verify-email", params={"token": value}) for value in (token, "garbled"))

    assert (good.status_code, good.headers["location"]) == (307, "/auth/verification-success")
    again = client.get("/api/auth/verify-email", params={"token": token})
    assert {answer.headers["location"].partition("?")[0] for answer in (bad, again)} == {"/auth/verification-error"}
    assert bad.status_code == again.status_code == 307
    assert client.get("/api/auth/verify-email").status_code == 400
    assert "E-posta Doğrulandı" in client.get("/auth/verification-success").text
