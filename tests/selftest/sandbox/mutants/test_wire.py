"""Each rule of the wire breaks what its sentence says, for those whom it names, and nothing on a healthy build."""

from __future__ import annotations

import gzip
import time
from typing import Any

import pytest

from fixtures.sandbox.mutants.harmful import caching, visitors, wire
from fixtures.sandbox.mutants.subjects import Named
from tests.selftest.sandbox.mutants.asking import Asking, prove, rules_of, samples
from tests.selftest.sandbox.running_app import RunningApp

PHONE = {"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605 Mobile/15E148"}
BOT = {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
BROWSER = {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}
TURKISH = {"accept-language": "tr-TR,tr;q=0.9"}


def is_lost(asking: Asking, part: Any) -> bool:
    return asking.is_lost(part)


def is_silent(asking: Asking, part: Any) -> bool:
    """Nobody waits longer than this for a healthy answer of a sandbox."""
    return asking.get(part, patience=0.4).status == 0


def _only(yes: dict[str, Any], no: dict[str, Any] | None = None) -> Any:
    """Make an oracle: lost to requests with `yes`, not to those with `no`."""

    def shows(asking: Asking, part: Any) -> bool:
        return asking.is_lost(part, **yes) and not asking.is_lost(part, **(no or {}))

    return shows


def in_a_language(asking: Asking, part: Any) -> bool:
    asked = [{"accept-language": f"{language}-XX,{language};q=0.9"} for language in ("en", "de", "ar")]
    return any(asking.is_lost(part, headers=headers) for headers in asked) and not asking.is_lost(part, headers=TURKISH)


def has_another_cookie(asking: Asking, part: Any) -> bool:
    cookies = [{name: "1"} for name in ("_ga", "_fbp", "cookie-consent", "NEXT_LOCALE")]
    return any(asking.is_lost(part, cookies=jar) for jar in cookies) and not asking.is_lost(part)


def now_and_then(asking: Asking, part: Any) -> bool:
    lost = [asking.is_lost(part) for _ in range(40)]
    return any(lost) and not all(lost)


def instance(asking: Asking, _: Named) -> bool:
    answers = [asking.ask("GET", "/login").status for _ in range(40)]
    return 2 <= sum(status != 200 or not status for status in answers) <= 8 or _broken(asking)


def _broken(asking: Asking) -> bool:
    return 2 <= sum(not asking.ask("GET", "/login").content for _ in range(40)) <= 8


def group(asking: Asking, part: Any) -> bool:
    return any(asking.is_lost(part, cookies={"group": str(number)}) for number in range(3)) and not asking.is_lost(
        part, cookies={"group": "1"}
    )


def head(asking: Asking, part: Any) -> bool:
    account = asking.visitor(part) or None
    answer = asking.ask("HEAD", asking.address(part.route), account=account)
    healthy = len(asking.get(part).content)
    return answer.status != 200 or (healthy > 0 and answer.headers.get("content-length") == "0")


def signed_in(asking: Asking, part: Any) -> bool:
    return asking.is_lost(part, "student")


def anonymous(asking: Asking, part: Any) -> bool:
    return asking.is_lost(part, "") and not asking.is_lost(part, "student")


def second_visit(asking: Asking, part: Any) -> bool:
    first = asking.get(part)
    cookies = dict(line.partition(";")[0].split("=", 1) for line in first.headers.get_list("set-cookie"))
    return not asking.is_lost(part) and asking.is_lost(part, cookies=cookies)


def known_copy(asking: Asking, page: Any) -> bool:
    tag = asking.get(page).headers["etag"]
    return asking.get(page, headers={"if-none-match": tag}).status != 304


def after_a_minute(asking: Asking, part: Any) -> bool:
    platform = asking.app.platform
    young = asking.is_lost(part)
    platform.clock = lambda: time.time() + 90
    try:
        return not young and asking.is_lost(part)
    finally:
        platform.clock = time.time


def many_requests(asking: Asking, _: Named) -> bool:
    answers = [asking.ask("GET", "/api/ping").status for _ in range(160)]
    return 500 not in answers[:150] and 500 in answers[150:]


def query(asking: Asking, part: Any) -> bool:
    answer = asking.ask("GET", asking.address(part.route) + "?utm_source=mail")
    return answer.status != 200 or not answer.content


def outside_browsers(asking: Asking, part: Any) -> bool:
    return asking.is_lost(part) and not asking.is_lost(part, headers=BROWSER)


def its_content(asking: Asking, page: Any) -> bool:
    shell, content = asking.get(page), asking.content(page)
    return shell.status == 200 and (content.status != 200 or not content.content)


def cookies_grow(asking: Asking, named: Named) -> bool:
    jar: dict[str, str] = {}
    for _ in range(12):
        answer = asking.ask("GET", "/login" if named.name == "pages" else "/api/courses", cookies=jar)
        if answer.status == 494:
            return True
        jar |= dict(line.partition(";")[0].split("=", 1) for line in answer.headers.get_list("set-cookie"))
    return False


def broken_letters(asking: Asking, part: Any) -> bool:
    text = asking.get(part).text
    return "Ã" in text or "Ä" in text


def charset(asking: Asking, page: Any) -> bool:
    answer = asking.get(page)
    return "Eğitim" not in answer.content.decode(answer.headers["content-type"].partition("charset=")[2])


def twice_compressed(asking: Asking, part: Any) -> bool:
    content = asking.get(part).content
    return content[:2] == b"\x1f\x8b" and bool(gzip.decompress(content))


def circle(asking: Asking, part: Any) -> bool:
    address, seen = asking.address(part.route), set[str]()
    while address not in seen:
        seen.add(address)
        answer = asking.ask("GET", address)
        if answer.status not in {302, 307, 308}:
            return False
        address = answer.headers["location"].removeprefix(asking.app.url)
    return True


def elsewhere(asking: Asking, part: Any) -> bool:
    place = asking.get(part).headers.get("location", asking.app.url)
    return not place.startswith(("/", asking.app.url))


def shared(asking: Asking, part: Any) -> bool:
    answer = asking.content(part) if hasattr(part, "client") else asking.get(part, "student")
    lines = [
        answer.headers.get(name, "") for name in ("cache-control", "cdn-cache-control", "vercel-cdn-cache-control")
    ]
    return any(word in line for line in lines for word in ("public", "s-maxage", "max-age=6"))


def given_to_the_next(asking: Asking, part: Any) -> bool:
    ask = asking.content if hasattr(part, "client") else asking.get
    own, anonymous = ask(part, "student"), ask(part, "")
    return anonymous.status == 200 and anonymous.content == own.content


def never_anew(asking: Asking, part: Any) -> bool:
    before = asking.get(part).text
    asking.app.rows("UPDATE public.courses SET title = title || '!'")
    try:
        return asking.get(part).text == before
    finally:
        asking.app.rows("UPDATE public.courses SET title = left(title, -1)")


def without_query(asking: Asking, part: Any) -> bool:
    base = asking.address(part.route).partition("?")[0]
    first, other = (asking.ask("GET", f"{base}?{words}").content for words in ("q=marka&limit=1", "q=veri&limit=2"))
    return first == other


def content_only(asking: Asking, page: Any) -> bool:
    return asking.get(page).type == "text/x-component"


def a_year(asking: Asking, page: Any) -> bool:
    return "immutable" in asking.get(page).headers["cache-control"]


def never_changes(asking: Asking, page: Any) -> bool:
    return asking.get(page, headers={"if-none-match": '"of an old build"'}).status == 304


def each_time(asking: Asking, file: Any) -> bool:
    return asking.get(file).headers["cache-control"] == "no-store"


def mixed_up(asking: Asking, part: Any) -> bool:
    alone = {name: asking.get(part, name).content for name in ("student", "instructor")}
    for _ in range(5):
        answers = asking.at_once([lambda name=name: asking.get(part, name) for name in alone])
        if [answer.content for answer in answers] != list(alone.values()):
            return True
    return False


TABLE: dict[str, tuple[Any, ...]] = {
    "body-emptied": (is_lost, "home", "dashboard"),
    "answers-an-error": (is_lost, "home", "api-courses", "app.css", "sitemap.xml"),
    "is-not-found": (is_lost, "courses-slug", "api-enrollments", "hero.jpg"),
    "refuses-everybody": (is_lost, "login", "api-health"),
    "closes": (is_lost, "register", "api-auth-session", "router.js"),
    "torn": (is_lost, "home", "api-courses-id", "app.js"),
    "never-answers": (is_silent, "login"),
    "stalls": (is_silent, "home", "app.css"),
    "a-page-instead": (is_lost, "api-courses", "login.js"),
    "the-home-page-instead": (
        lambda asking, page: "7p Platformuna" in asking.get(page).text,
        "login",
        "settings",
    ),
    "another-type": (is_lost, "home", "api-courses", "app.js"),
    "downloaded": (
        lambda asking, page: "attachment" in asking.get(page).headers.get("content-disposition", ""),
        "login",
    ),
    "another-charset": (charset, "home", "login"),
    "letters-broken": (broken_letters, "home", "api-courses"),
    "compressed-unannounced": (twice_compressed, "home", "api-ping", "hero.jpg"),
    "of-an-old-build": (is_lost, "home", "dashboard"),
    "redirects-in-a-circle": (circle, "home", "register", "api-courses"),
    "redirects-elsewhere": (elsewhere, "login", "api-courses"),
    "loads-itself-again": (lambda asking, page: "refresh" in asking.get(page).headers, "register"),
    "may-be-kept-by-all": (shared, "api-enrollments", "dashboard"),
    "is-given-to-the-next": (given_to_the_next, "api-enrollments", "dashboard"),
    "is-never-made-anew": (never_anew, "api-courses", "api-enrollments"),
    "is-kept-without-its-query": (without_query, "api-courses", "api-courses-search"),
    "is-the-content-only": (content_only, "dashboard", "auth-verify-email"),
    "is-kept-for-a-year": (a_year, "home", "dashboard"),
    "never-changes-for-browsers": (never_changes, "login"),
    "is-loaded-each-time": (each_time, "app.css"),
    "two-visitors-mixed-up": (mixed_up, "api-auth-profile", "api-enrollments"),
    "one-request-in-a-few-fails": (now_and_then, "home", "api-courses"),
    "one-request-in-ten-fails": (now_and_then, "login", "api-auth-session"),
    "one-of-many-instances-fails": (instance, "ten", "fifteen"),
    "one-visitor-in-three-fails": (group, "home", "api-courses"),
    "fails-on-phones": (_only({"headers": PHONE}), "login", "marketplace"),
    "fails-in-a-language": (in_a_language, "home", "api-courses"),
    "fails-for-head": (head, "home", "api-courses"),
    "fails-once-signed-in": (signed_in, "home", "marketplace"),
    "fails-without-a-session": (anonymous, "home", "api-courses"),
    "fails-at-the-second-visit": (second_visit, "home", "api-courses"),
    "fails-for-a-known-copy": (known_copy, "home", "dashboard"),
    "fails-after-a-minute": (after_a_minute, "home", "api-courses"),
    "fails-after-many-requests": (many_requests, "memory"),
    "fails-with-a-query": (query, "home", "api-courses"),
    "fails-in-browsers": (_only({"headers": BROWSER}), "home", "api-courses"),
    "fails-outside-browsers": (outside_browsers, "api-health", "robots.txt"),
    "fails-for-crawlers": (_only({"headers": BOT}), "home", "robots.txt"),
    "its-content-fails": (its_content, "dashboard", "auth-reset-password"),
    "fails-beside-another-cookie": (has_another_cookie, "home", "api-courses"),
    "cookies-grow": (cookies_grow, "pages", "api"),
}


@pytest.mark.parametrize(("rule", "subject"), samples(TABLE))
def test_a_mutant_of_the_wire_is_noticed(running: RunningApp, rule: str, subject: str) -> None:
    """A request that the sentence names fails, and succeeds on a healthy build."""
    prove(running, TABLE, rule, subject)


def test_every_rule_of_the_wire_has_an_oracle() -> None:
    """The table lacks none."""
    assert set(TABLE) == rules_of(wire, caching, visitors)
