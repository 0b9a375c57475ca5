"""Each detector finds what it is for, says it without repeating a secret, and leaves healthy answers alone."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable

import httpx
import pytest

from fixtures.checks.answers import Answer, Sent
from fixtures.checks.evidence import NotMeasured
from fixtures.inspection import delivery, detectors, failures, rows
from fixtures.inspection.detectors import offenders
from fixtures.inspection.shapes import names_in, shape_of

HOST = "https://7peducation.test"
OWN = {"7peducation.test"}
UTF8 = "text/html; charset=utf-8"
HEALTHY_PAGE = """<!DOCTYPE html><html lang="tr"><head><meta charset="utf-8"><title>Giriş | 7P Education</title>
<link rel="stylesheet" href="/_next/static/x/app.css?dpl=dpl_1"><script src="/_next/static/x/app.js" defer></script>
</head><body><h1>7P Education Giriş</h1><form action="/login"><label>E-posta<input type="email" name="email"
placeholder="ornek@ornek.com"></label><label>Şifre<input type="password" name="password"></label></form>
<p>Şifre: En az 8 karakter, bir büyük harf ve bir rakam. Ürün, fiyat, dağıtım: İĞÜŞÖÇ ığüşöç — “tırnak” ₺1.299,00</p>
<p>Select the best offers from our list of courses</p>
<a href="mailto:eda@7peducation.test?subject=Kurs">Yazın</a> eda@7peducation.test, info@7peducation.com - 0850 123 45 67
<a href="https://www.youtube.com/@7p">YouTube</a><svg xmlns="http://www.w3.org/2000/svg"></svg>
<script type="application/json">{"b":"build","c":["","login"]}</script></body></html>"""
HEALTHY_JSON = {
    "success": True,
    "csrfToken": "7c62413f31b8eab51db1635535aca21e",
    "status": "healthy",
    "environment": "production",
    "data": {"courses": [{"title": "Tasarım", "instructor": {"full_name": "Kerem Öztürk", "avatar_url": None}}]},
    "password_feedback": ["En az 8 karakter"],
    "resetToken": None,
    "message": "Şifre hatalı",
}


def token(role: str) -> str:
    """Return something with the shape of a Supabase key."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, {"iss": "supabase", "role": role})]
    return ".".join([base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts] + ["signature_of_it"])


def html(body: str, **headers: str) -> Answer:
    """Return a page."""
    return of(body.encode(), UTF8, **headers)


def of(content: bytes, kind: str, path: str = "/login", **headers: str) -> Answer:
    """Return an answer with this body; a header's `_` is a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer("GET", f"{HOST}{path}", 200, httpx.Headers({"content-type": kind} | named), content, 0.05)


def of_json(content: object, **headers: str) -> Answer:
    """Return an answer of the API."""
    body = json.dumps(content, ensure_ascii=False).encode()
    return of(body, "application/json", "/api/courses", **({"cache_control": "no-store"} | headers))


def asked(query: str, content: object) -> Answer:
    """Return an answer of the API to a query."""
    body = json.dumps(content).encode()
    return of(body, "application/json", f"/api/enrollments?{query}", cache_control="no-store")


def known_secrets(answer: Answer) -> list[str]:
    """Look for shapes, and for one secret of the target."""
    return detectors.secrets_in(answer, ["the-bypass-secret"])


def hosts(answer: Answer) -> list[str]:
    """Look for hosts that are not ours."""
    return delivery.foreign_hosts(answer, OWN)


def mixed(answer: Answer) -> list[str]:
    """Look for plain http."""
    return delivery.mixed_content(answer, OWN)


DETECTORS: dict[str, Callable[[Answer], list[str]]] = {
    "secrets": known_secrets,
    "private fields": detectors.private_fields,
    "addresses": detectors.addresses_in,
    "credentials": detectors.printed_credentials,
    "internals": detectors.internals_in,
    "crashes": failures.crashes_in,
    "soft 404": failures.missing_in_disguise,
    "debugging": failures.debugging_in,
    "garbled": delivery.garbled,
    "mixed content": mixed,
    "hosts": hosts,
    "hidden": delivery.hidden_from_search,
    "uncompressed": delivery.uncompressed,
    "remembered": delivery.remembered,
    "outlives": delivery.outlives,
    "late": delivery.late,
    "rows": rows.unpromised,
}
FOUND: list[tuple[str, Answer, str]] = [
    ("secrets", html("<p>sk_live_4eC39HqLyjWDarjtT1zdp7dc</p>"), "a Stripe secret key"),
    ("secrets", html('<script>key="rk_test_4eC39HqLyjWDarjt"</script>'), "a Stripe secret key"),
    ("secrets", html("<!-- whsec_5f0c1e7b9a2d4c6e -->"), "a webhook secret"),
    ("secrets", of(b"-----BEGIN PRIVATE KEY-----\nMIIE", "text/plain"), "a private key"),
    (
        "secrets",
        of_json({"message": "postgresql://postgres:hunter2@db.test:5432/x"}),
        "a database URL with its password",
    ),
    ("secrets", of_json({"k": "AKIAIOSFODNN7EXAMPLE"}), "an AWS key"),
    ("secrets", of_json({"k": f"ghp_{'a' * 36}"}), "a GitHub token"),
    ("secrets", of_json({"k": "sb_secret_0123456789abcdef"}), "a Supabase secret key"),
    ("secrets", of_json({"k": "https://hooks.slack.com/services/T0/B0/x"}), "a Slack webhook or token"),
    ("secrets", html('<script>window.env={"NEXTAUTH_SECRET":"abcdef"}</script>'), "a secret variable"),
    ("secrets", html(f"<script>k='{token('service_role')}'</script>"), "a service_role key"),
    ("secrets", html("", x_seen="the-bypass-secret"), "a secret of this target's configuration"),
    ("private fields", of_json({"data": [{"user": {"password_hash": "$2b$10$x"}}]}), "field password_hash"),
    ("private fields", of_json({"resetToken": "abc"}), "field resetToken"),
    ("private fields", of_json({"encrypted_password": "x"}), "field encrypted_password"),
    ("private fields", of_json({"TCKimlikNo": "10000000146"}), "field TCKimlikNo"),
    ("addresses", of_json({"student": {"email": "kerem@ogretmen.com.tr"}}), "address k…@ogretmen.com.tr"),
    ("addresses", html("<p>Öğrenci: ayse.yilmaz@gmail.com</p>"), "address a…@gmail.com"),
    ("credentials", html("<p>demo@7peducation.test / Demo1234</p>"), "an account with its password"),
    ("credentials", html("<p>Demo: demo@7p.test</p><p>Şifre: Demo1234</p>"), "an account with its password"),
    ("credentials", html('<input type="password" value="Demo1234">'), "a password field is filled in"),
    ("internals", of_json({"message": "rateLimit.check is not a function"}), "an exception's text"),
    ("internals", of_json({"stack": "Error: x\n    at GET (/var/task/route.js:12:7)"}), "a stack trace"),
    ("internals", of_json({"stack": "Error\n    at file.js:1:2"}), "a stack trace"),
    ("internals", of(b"Traceback (most recent call last):", "text/plain"), "a stack trace"),
    ("internals", of_json({"error": "ENOENT: no such file, open '/var/task/logs/x'"}), "a file path"),
    ("internals", html("<pre>/home/deploy/app/index.js</pre>"), "a file path"),
    ("internals", html("<pre>C:\\Users\\dev\\app</pre>"), "a file path"),
    ("internals", of_json({"message": 'relation "user_profiles" does not exist'}), "SQL"),
    ("internals", of_json({"message": "SELECT * FROM users WHERE id = $1"}), "SQL"),
    ("internals", of_json({"message": "duplicate key value violates unique constraint"}), "SQL"),
    ("internals", of(b"<!-- /var/task/x.js --><h1>Kurs</h1>", UTF8, "/courses/x"), "a file path"),
    ("internals", of(b"<h1>Kurs</h1><p>/var/task/.next/server/x.js</p>", UTF8, "/courses/x"), "a file path"),
    (
        "internals",
        of(b"<h1>Bir Hata Olu\xc5\x9ftu</h1><pre>TypeError: x</pre>", UTF8, "/courses/x"),
        "an exception's text",
    ),
    ("internals", of_json({"data": {"rows": [], "sql": "SELECT * FROM users"}}), "SQL"),
    ("secrets", of(b"<p>sk_live_4eC39HqLyjWDarjt</p>", UTF8, "/courses/x"), "a Stripe secret key"),
    ("secrets", of_json({"data": {"id": "c", "key": "sk_live_4eC39HqLyjWDarjt"}}), "a Stripe secret key"),
    ("addresses", of_json({"data": [{"id": "u", "email": "ayse@gmail.com"}]}), "address a…@gmail.com"),
    ("addresses", html("<main>info@7p.test, mehmet.info@gmail.com</main>"), "address m…@gmail.com"),
    (
        "hosts",
        of(b'<a href="https://staging.7peducation.com/login">x</a>', UTF8, "/courses/x"),
        "staging.7peducation.com",
    ),
    ("remembered", of_json({}, cdn_cache_control="Max-Age=60"), "cdn-cache-control"),
    ("remembered", of_json({}, cache_control='private="set-cookie", max-age=60'), "cache-control"),
    ("outlives", html("", cache_control="public, max-age=31536000, immutable"), "cache-control"),
    ("outlives", html("", cache_control="Max-Age=604800, Private"), "cache-control"),
    ("hidden", html("", x_robots_tag="Googlebot: NoIndex"), "x-robots-tag"),
    ("crashes", of_json({"success": False, "message": "Internal Server Error"}), "the framework's error page"),
    ("crashes", html("<title>500: Internal Server Error</title><h1>500</h1>"), "the framework's error page"),
    ("soft 404", html("<h1>Aradığınız sayfa bulunamadı.</h1>"), "a soft 404"),
    ("crashes", html("<main><h1>Bir Hata Oluştu</h1></main>"), "the page behind an error boundary"),
    ("crashes", html("<h2>Application error: a client-side exception has occurred</h2>"), "error boundary"),
    ("crashes", html('<html id="__next_error__"><body></body></html>'), "the framework's error page"),
    ("crashes", html("", x_vercel_error="FUNCTION_INVOCATION_TIMEOUT"), "FUNCTION_INVOCATION_TIMEOUT"),
    ("soft 404", html("<title>404: This page could not be found.</title>"), "a soft 404"),
    ("soft 404", html("<h1>Kurs bulunamadı</h1>"), "a soft 404"),
    ("debugging", html('<script src="/_next/static/development/_buildManifest.js"></script>'), "development build"),
    ("debugging", of_json({"environment": "development"}), 'environment is "development"'),
    ("debugging", of_json({"config": {"debug": True}}), "debug is true"),
    ("debugging", html("", x_debug_info="1"), "header x-debug-info"),
    ("garbled", of("Giriş".encode("iso-8859-9"), "text/html; charset=iso-8859-9"), "charset iso-8859-9"),
    ("garbled", of("Giriş".encode("iso-8859-9"), UTF8), "not UTF-8"),
    ("garbled", of("Giriş".encode(), "text/html"), "no charset is given"),
    ("garbled", of("Giriş".encode().decode("cp1252").encode(), UTF8), "mojibake"),
    ("garbled", of("Hoş Geldiniz ğüıİöç".encode().decode("latin-1").encode(), UTF8), "mojibake"),
    ("garbled", of_json({"title": "Tasar\ufffdm"}), "mojibake"),
    ("mixed content", html('<script src="http://cdn.test/a.js"></script>'), "over plain http: cdn.test/a.js"),
    ("mixed content", html('<img src="http://cdn.test/a.png">'), "over plain http"),
    ("mixed content", html('<form action="http://pay.test/x"></form>'), "over plain http"),
    ("hosts", html('<a href="http://localhost:3000/login">x</a>'), "names localhost:3000"),
    ("hosts", of_json({"url": "https://7peducation-staging.vercel.app/api"}), "names 7peducation-staging.vercel.app"),
    ("hosts", html('<link rel="canonical" href="https://staging.7peducation.com/">'), "staging.7peducation.com"),
    ("hosts", of(b"Sitemap: http://10.0.0.7/sitemap.xml", "text/plain"), "names 10.0.0.7"),
    ("hosts", html("", location="https://evil.test/login"), "redirects to evil.test"),
    ("hosts", html("", location="//evil.test/login"), "redirects to evil.test"),
    ("hidden", html('<meta name="robots" content="noindex, nofollow">'), "meta robots"),
    ("hidden", html("", x_robots_tag="noindex"), "x-robots-tag"),
    ("uncompressed", html("x" * 5000), "bytes uncompressed"),
    ("remembered", of_json({}, cache_control="public, s-maxage=60"), "public, s-maxage=60"),
    ("late", Answer("GET", f"{HOST}/api/student/progress", 200, seconds=2.4), "2.4 s"),
    ("late", Answer("POST", f"{HOST}/api/webhooks/stripe", 400, seconds=2.4), "2.4 s"),
    ("late", Answer("GET", f"{HOST}/settings", 200, seconds=2.4), "2.4 s"),
    ("rows", of_json({"data": {"courses": [{}], "total": 2}}), "courses has fewer rows"),
    ("rows", of_json({"transactions": [{}] * 4, "total": 2}), "transactions has more rows"),
    ("rows", of_json({"data": {"enrollments": [{}], "total": 9, "page": 2, "limit": 5}}), "fewer rows"),
    (
        "rows",
        of_json({"data": {"modules": [{"id": "m", "lessons": [{"id": "a"}, {"id": "a"}]}]}}),
        "lessons repeats rows",
    ),
    ("rows", asked("status=active&limit=5", {"enrollments": [{"status": "completed"}]}), "leaves out (status)"),
    ("rows", asked("difficulties=beginner,advanced", {"courses": [{"difficulty": "intermediate"}]}), "(difficulties)"),
    ("rows", asked("price_min=1", {"courses": [{"price": 0}]}), "leaves out (price_min)"),
    ("rows", asked("limit=1", {"transactions": [{}, {}]}), "more rows than its query allows"),
    ("rows", of_json({"data": {"questions": [], "pagination": {"totalItems": 3, "itemsPerPage": 5}}}), "fewer rows"),
]
TITLES = (
    "404: Kayıp müşteriyi geri kazanmak",
    "500 hata ve çözümü",
    "SQL SELECT * FROM ile tanışın",
    "Internal Server Error nedir",
    "TypeError: x is not a function",
    "Bir Hata Oluştu: şimdi ne yapmalı?",
    "FUNCTION_INVOCATION_TIMEOUT: Vercel'de süre sınırı",
    "Parola: 10Adımda güvenli hesap",
    "Aranan müşteri bulunamadı",
    "This page could not be found diyen mağaza",
)
LESSON = """<main><h1>Hata ayıklama</h1><p>Tarayıcıda http://localhost:3000 açın. webpack-hmr ve @vite/client nedir?</p>
<pre>Error: no\n    at POST (/var/task/route.js:9:3)\nTraceback (most recent call last):</pre>
<code>INSERT INTO t; DEBUG_MODE=true; NEXTAUTH_SECRET=abcdef; sk_test_4eC39HqLyjWDarjt; demo@7p.test / Demo1234</code>
<a href="https://dev.mysql.com/doc">MySQL</a> <a href="https://dev.to/7p">dev.to</a></main><footer>Basın: press@7p.test,
ayse.yilmaz@7p.test, 7p@hs01.kep.tr</footer><script>self.__next_f.push([1,"SELECT id FROM t; DEBUG_MODE=true"])</script>
<script type="application/json">{"course":{"id":"c","title":"SELECT * FROM t"}}</script>"""
HEALTHY = [
    *(
        of(
            f"<title>{title} | 7P</title><main><h1>{title}</h1><a>{title}</a></main>".encode(),
            UTF8,
            "/marketplace/kurs",
        )
        for title in TITLES
    ),
    of_json({"data": {"courses": [{"id": title, "title": title, "tags": [title]} for title in TITLES]}}),
    of(LESSON.encode(), UTF8, "/courses/hata/modules/1/lessons/1"),
    of(
        b'{"data":{"query":"SELECT * FROM"}}',
        "application/json",
        "/api/courses/search?q=SELECT+*+FROM",
        cache_control="No-Store",
    ),
    of_json(
        {
            "data": {
                "courses": [{"id": "c", "description": "Yazın: kerem@ogretmen.com.tr ya da http://localhost:3000 açın"}]
            }
        }
    ),
    of_json({"support": "destek.tr@7p.test", "press": "basin@7p.test"}),
    of_json({"access_token": "own"}, cache_control="NO-STORE, Private").__class__(
        "POST",
        f"{HOST}/api/auth/login",
        200,
        httpx.Headers({"content-type": "application/json", "cache-control": "Private"}),
        b'{"access_token": "own"}',
        0.05,
    ),
    html("", cache_control="public, max-age=0, s-maxage=31536000, stale-while-revalidate=31536000"),
    html("", cache_control="no-cache, max-age=31536000"),
    html("", cache_control="public, max-age=3600"),
    html("", x_robots_tag="max-image-preview:none, max-snippet:-1"),
    html("", x_robots_tag="gptbot: noindex"),
    html("", x_debug="0"),
    html("", location="https://www.7peducation.test/login"),
    html(HEALTHY_PAGE, content_encoding="gzip"),
    of_json(HEALTHY_JSON),
    html("", location="/login?callbackUrl=%2Fdashboard"),
    html("", location=f"{HOST}/login"),
    of(b"User-agent: *\nAllow: /\nSitemap: https://7peducation.test/sitemap.xml\n", "text/plain; charset=utf-8"),
    html(f"<script>anon='{token('anon')}';pk='pk_live_4eC39HqLyjWDarjt'</script>"),
    of(b"\xff\xd8\xff\xe0" * 2000, "image/jpeg", cache_control="public, max-age=31536000, immutable"),
    of_json({"success": False, "message": "Geçersiz kimlik"}),
    of_json({"courses": [{"instructor": {"email": "kerem@ogretmen.com.tr"}}]}),
    of_json({"data": ["x" * 5000]}),
    of(b"User-agent: *\nAllow: /\n", "text/plain"),
    of_json({}, cache_control="private, no-cache"),
    of_json({"data": {"courses": [{}], "total": 9, "page": 5, "limit": 2, "has_next": False}}),
    of_json({"data": {"questions": [], "pagination": {"currentPage": 3, "totalItems": 3, "itemsPerPage": 5}}}),
    of_json({"data": {"courses": [{}] * 50, "total": 73, "query": "a"}}),
    of_json({"rows": [{}], "tags": ["a", "a"], "total": 7}),
    asked("status=active", {"enrollments": [{"status": "cancelled"}]}),
    asked("status=all&page=1&limit=1", {"questions": [{"status": "new"}], "total": 1}),
    asked("price_max=90&difficulties=beginner,advanced", {"courses": [{"price": 90, "difficulty": "advanced"}]}),
    asked("limit=x&price_min=&status=", {"courses": [{"price": None, "status": None}]}),
    of_json({"rows": [{}], "total": "12,50"}),
    Answer(
        "GET",
        f"{HOST}/",
        200,
        httpx.Headers({"content-type": UTF8}),
        b"<p>Merhaba</p>" * 300,
        sent=Sent(headers={"accept-encoding": "identity"}),
    ),
]


@pytest.mark.parametrize(("name", "answer", "finding"), FOUND)
def test_a_detector_finds_what_it_is_for(name: str, answer: Answer, finding: str) -> None:
    """One planted flaw, and a finding that names it."""
    assert finding in "\n".join(offenders([answer], DETECTORS[name]))


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_leaves_healthy_answers_alone(name: str) -> None:
    """A gate that cries wolf is switched off."""
    assert offenders(HEALTHY, DETECTORS[name]) == []


def test_every_detector_is_proved_to_find_something() -> None:
    """A detector that cannot be red proves nothing."""
    assert {name for name, _, _ in FOUND} == DETECTORS.keys()


@pytest.mark.parametrize(
    ("name", "answer", "secret"),
    [
        ("secrets", html("<p>sk_live_4eC39HqLyjWDarjtT1zdp7dc</p>"), "4eC39"),
        ("secrets", html("", x_seen="the-bypass-secret"), "bypass-secret"),
        ("credentials", html("<p>demo@7p.test / Demo1234</p>"), "Demo1234"),
        ("private fields", of_json({"password_hash": "$2b$10$x"}), "$2b"),
        ("addresses", html("<p>ayse.yilmaz@gmail.com</p>"), "yilmaz"),
    ],
)
def test_a_finding_does_not_repeat_the_secret(name: str, answer: Answer, secret: str) -> None:
    """Findings appear in logs and reports, which more people read than the page."""
    (found,) = offenders([answer], DETECTORS[name])

    assert secret not in found


def test_without_any_answer_nothing_was_looked_at() -> None:
    """Silence is no proof: a target that is down must not pass fourteen checks."""
    with pytest.raises(NotMeasured, match="no answer to look at"):
        offenders([Answer("GET", HOST, trouble="refused")], known_secrets)


def test_one_answer_that_is_missing_does_not_hide_the_others() -> None:
    """The check is about what was answered; who did not answer is red elsewhere."""
    answers = [Answer("GET", HOST, trouble="timeout"), html("<p>sk_live_4eC39HqLyjWDarjt</p>")]

    assert offenders(answers, known_secrets) == ["GET /login: a Stripe secret key"]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("public, max-age=31536000, immutable", True),
        ("public, max-age=31536000", False),
        ("public, max-age=60, immutable", False),
        ('Immutable, public, Max-Age="63072000"', True),
        ("public, s-maxage=31536000, immutable", False),
        ("no-store", False),
        ("", False),
    ],
)
def test_an_asset_must_be_kept_for_a_year(told: str, kept: bool) -> None:  # noqa: FBT001  (a column of the table)
    """Its address changes with its content."""
    answer = of(b"x", "text/css", "/_next/static/x/app.css", cache_control=told)

    assert (delivery.forgotten(answer) == []) is kept


@pytest.mark.parametrize("before", ["", "x", "_", "7", "ş", "/", ".", " ", "\n", '"', "sk", "file:///"])
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\bsk_live_\w{4,}", "sk_live_abcd"),
        (r"\bPGRST\d{3}\b", "PGRST204"),
        (r"\bfile:///", "file:///"),
        (r"\bab?c", "ac"),
        (r"(?<![\w/.])/home/\w+/\w", "/home/me/x"),
        (r"no assertion", "no assertion"),
    ],
)
def test_a_shape_is_quick_and_finds_the_same(pattern: str, text: str, before: str) -> None:
    """Moving the first assertion of a pattern must not change its findings."""
    found = names_in(before + text, {"it": shape_of(pattern)})

    assert bool(found) == bool(re.search(pattern, before + text))
