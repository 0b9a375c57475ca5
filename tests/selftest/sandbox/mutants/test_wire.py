"""Each rule of the wire breaks what its sentence says, for those whom it names, and nothing on a healthy build."""

from __future__ import annotations

import gzip
import time
from functools import partial
from typing import Any

import pytest

from fixtures.sandbox.mutants.harmful import caching, visitors, wire
from fixtures.sandbox.mutants.served import File, Served
from fixtures.sandbox.mutants.subjects import Named, Page
from tests.selftest.sandbox.mutants.asking import Asking, Oracle, prove, rules_of, samples
from tests.selftest.sandbox.running_app import RunningApp

PHONE = {"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605 Mobile/15E148"}
BOT = {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
BROWSER = {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}
TURKISH = {"accept-language": "tr-TR,tr;q=0.9"}


def _is_lost(asking: Asking, part: Served) -> bool:
    return asking.is_lost(part)


def _is_silent(asking: Asking, part: Served) -> bool:
    """Nobody waits longer than this for a healthy answer of a sandbox."""
    return asking.get(part, patience=0.4).status == 0


def _only(yes: dict[str, Any], no: dict[str, Any] | None = None) -> Oracle:
    """Make an oracle: lost to requests with `yes`, not to those with `no`."""

    def shows(asking: Asking, part: Served) -> bool:
        return asking.is_lost(part, **yes) and not asking.is_lost(part, **(no or {}))

    return shows


def _in_a_language(asking: Asking, part: Served) -> bool:
    asked = [{"accept-language": f"{language}-XX,{language};q=0.9"} for language in ("en", "de", "ar")]
    return any(asking.is_lost(part, headers=headers) for headers in asked) and not asking.is_lost(part, headers=TURKISH)


def _has_another_cookie(asking: Asking, part: Served) -> bool:
    cookies = [{name: "1"} for name in ("_ga", "_fbp", "cookie-consent", "NEXT_LOCALE")]
    return any(asking.is_lost(part, cookies=jar) for jar in cookies) and not asking.is_lost(part)


def _now_and_then(asking: Asking, part: Served) -> bool:
    lost = [asking.is_lost(part) for _ in range(40)]
    return any(lost) and not all(lost)


def _instance(asking: Asking, _: Named) -> bool:
    answers = [asking.ask("GET", "/login").status for _ in range(40)]
    return 2 <= sum(status != 200 or not status for status in answers) <= 8 or _broken(asking)


def _broken(asking: Asking) -> bool:
    return 2 <= sum(not asking.ask("GET", "/login").content for _ in range(40)) <= 8


def _group(asking: Asking, part: Served) -> bool:
    return any(asking.is_lost(part, cookies={"group": str(number)}) for number in range(3)) and not asking.is_lost(
        part, cookies={"group": "1"}
    )


def _head(asking: Asking, part: Served) -> bool:
    account = asking.visitor(part) or None
    answer = asking.ask("HEAD", asking.address(part.route), account=account)
    healthy = len(asking.get(part).content)
    return answer.status != 200 or (healthy > 0 and answer.headers.get("content-length") == "0")


def _signed_in(asking: Asking, part: Served) -> bool:
    return asking.is_lost(part, "student")


def _anonymous(asking: Asking, part: Served) -> bool:
    return asking.is_lost(part, "") and not asking.is_lost(part, "student")


def _second_visit(asking: Asking, part: Served) -> bool:
    first = asking.get(part)
    cookies = dict(line.partition(";")[0].split("=", 1) for line in first.headers.get_list("set-cookie"))
    return not asking.is_lost(part) and asking.is_lost(part, cookies=cookies)


def _known_copy(asking: Asking, page: Page) -> bool:
    tag = asking.get(page).headers["etag"]
    return asking.get(page, headers={"if-none-match": tag}).status != 304


def _after_a_minute(asking: Asking, part: Served) -> bool:
    platform = asking.app.platform
    young = asking.is_lost(part)
    platform.clock = lambda: time.time() + 90
    try:
        return not young and asking.is_lost(part)
    finally:
        platform.clock = time.time


def _many_requests(asking: Asking, _: Named) -> bool:
    answers = [asking.ask("GET", "/api/ping").status for _ in range(160)]
    return 500 not in answers[:150] and 500 in answers[150:]


def _query(asking: Asking, part: Served) -> bool:
    answer = asking.ask("GET", asking.address(part.route) + "?utm_source=mail")
    return answer.status != 200 or not answer.content


def _outside_browsers(asking: Asking, part: Served) -> bool:
    return asking.is_lost(part) and not asking.is_lost(part, headers=BROWSER)


def _its_content(asking: Asking, page: Page) -> bool:
    shell, content = asking.get(page), asking.content(page)
    return shell.status == 200 and (content.status != 200 or not content.content)


def _cookies_grow(asking: Asking, named: Named) -> bool:
    jar: dict[str, str] = {}
    for _ in range(12):
        answer = asking.ask("GET", "/login" if named.name == "pages" else "/api/courses", cookies=jar)
        if answer.status == 494:
            return True
        jar |= dict(line.partition(";")[0].split("=", 1) for line in answer.headers.get_list("set-cookie"))
    return False


def _broken_letters(asking: Asking, part: Served) -> bool:
    text = asking.get(part).text
    return "Ã" in text or "Ä" in text


def _charset(asking: Asking, page: Page) -> bool:
    answer = asking.get(page)
    return "Eğitim" not in answer.content.decode(answer.headers["content-type"].partition("charset=")[2], "replace")


def _twice_compressed(asking: Asking, part: Served) -> bool:
    content = asking.get(part).content
    return content[:2] == b"\x1f\x8b" and bool(gzip.decompress(content))


def _circle(asking: Asking, part: Served) -> bool:
    address, seen = asking.address(part.route), set[str]()
    while address not in seen:
        seen.add(address)
        answer = asking.ask("GET", address)
        if answer.status not in {302, 307, 308}:
            return False
        address = answer.headers["location"].removeprefix(asking.app.url)
    return True


def _elsewhere(asking: Asking, part: Served) -> bool:
    place = asking.get(part).headers.get("location", asking.app.url)
    return not place.startswith(("/", asking.app.url))


def _forbidden(asking: Asking, directive: Named) -> bool:
    return f"{directive.name} 'none'" in asking.get("GET /").headers["content-security-policy"]


def _shared(asking: Asking, part: Served) -> bool:
    answer = asking.content(part) if hasattr(part, "client") else asking.get(part, "student")
    lines = [
        answer.headers.get(name, "") for name in ("cache-control", "cdn-cache-control", "vercel-cdn-cache-control")
    ]
    return any(word in line for line in lines for word in ("public", "s-maxage", "max-age=6"))


def _given_to_the_next(asking: Asking, part: Served) -> bool:
    ask = asking.content if hasattr(part, "client") else asking.get
    own, others = ask(part, "student"), ask(part, "")
    return others.status == 200 and others.content == own.content


def _never_anew(asking: Asking, part: Served) -> bool:
    before = asking.get(part).text
    asking.app.rows("UPDATE public.courses SET title = title || '!'")
    try:
        return asking.get(part).text == before
    finally:
        asking.app.rows("UPDATE public.courses SET title = left(title, -1)")


def _without_query(asking: Asking, part: Served) -> bool:
    base = asking.address(part.route).partition("?")[0]
    first, other = (asking.ask("GET", f"{base}?{words}").content for words in ("q=marka&limit=1", "q=veri&limit=2"))
    return first == other


def _content_only(asking: Asking, page: Page) -> bool:
    return asking.get(page).type == "text/x-component"


def _a_year(asking: Asking, page: Page) -> bool:
    return "immutable" in asking.get(page).headers["cache-control"]


def _never_changes(asking: Asking, page: Page) -> bool:
    return asking.get(page, headers={"if-none-match": '"of an old build"'}).status == 304


def _each_time(asking: Asking, file: File) -> bool:
    return asking.get(file).headers["cache-control"] == "no-store"


def _mixed_up(asking: Asking, part: Served) -> bool:
    alone = {name: asking.get(part, name).content for name in ("student", "instructor")}
    for _ in range(5):
        answers = asking.at_once([partial(asking.get, part, name) for name in alone])
        if [answer.content for answer in answers] != list(alone.values()):
            return True
    return False


TABLE: dict[str, tuple[Any, ...]] = {
    "body-emptied": (_is_lost, "home", "dashboard"),
    "answers-an-error": (_is_lost, "home", "api-courses", "app.css", "sitemap.xml"),
    "is-not-found": (_is_lost, "courses-slug", "api-enrollments", "hero.jpg"),
    "refuses-everybody": (_is_lost, "login", "api-health"),
    "closes": (_is_lost, "register", "api-auth-session", "router.js"),
    "torn": (_is_lost, "home", "api-courses-id", "app.js"),
    "never-answers": (_is_silent, "login"),
    "stalls": (_is_silent, "home", "app.css"),
    "a-page-instead": (_is_lost, "api-courses", "login.js"),
    "the-home-page-instead": (
        lambda asking, page: "7p Platformuna" in asking.get(page).text,
        "login",
        "settings",
    ),
    "another-type": (_is_lost, "home", "api-courses", "app.js"),
    "downloaded": (
        lambda asking, page: "attachment" in asking.get(page).headers.get("content-disposition", ""),
        "login",
    ),
    "another-charset": (_charset, "home", "login"),
    "letters-broken": (_broken_letters, "home", "api-courses"),
    "compressed-unannounced": (_twice_compressed, "home", "api-ping", "hero.jpg"),
    "of-an-old-build": (_is_lost, "home", "dashboard"),
    "redirects-in-a-circle": (_circle, "home", "register", "api-courses"),
    "redirects-elsewhere": (_elsewhere, "login", "api-courses"),
    "loads-itself-again": (lambda asking, page: "refresh" in asking.get(page).headers, "register"),
    "own-policy-forbids": (_forbidden, "script-src", "img-src"),
    "may-be-kept-by-all": (_shared, "api-enrollments", "dashboard"),
    "is-given-to-the-next": (_given_to_the_next, "api-enrollments", "dashboard"),
    "is-never-made-anew": (_never_anew, "api-courses", "api-enrollments"),
    "is-kept-without-its-query": (_without_query, "api-courses", "api-courses-search"),
    "is-the-content-only": (_content_only, "dashboard", "auth-verify-email"),
    "is-kept-for-a-year": (_a_year, "home", "dashboard"),
    "never-changes-for-browsers": (_never_changes, "login"),
    "is-loaded-each-time": (_each_time, "app.css"),
    "two-visitors-mixed-up": (_mixed_up, "api-auth-profile", "api-enrollments"),
    "one-request-in-a-few-fails": (_now_and_then, "home", "api-courses"),
    "one-request-in-ten-fails": (_now_and_then, "login", "api-auth-session"),
    "one-of-many-instances-fails": (_instance, "ten", "fifteen"),
    "one-visitor-in-three-fails": (_group, "home", "api-courses"),
    "fails-on-phones": (_only({"headers": PHONE}), "login", "marketplace"),
    "fails-in-a-language": (_in_a_language, "home", "api-courses"),
    "fails-for-head": (_head, "home", "api-courses"),
    "fails-once-signed-in": (_signed_in, "home", "marketplace"),
    "fails-without-a-session": (_anonymous, "home", "api-courses"),
    "fails-at-the-second-visit": (_second_visit, "home", "api-courses"),
    "fails-for-a-known-copy": (_known_copy, "home", "dashboard"),
    "fails-after-a-minute": (_after_a_minute, "home", "api-courses"),
    "fails-after-many-requests": (_many_requests, "memory"),
    "fails-with-a-query": (_query, "home", "api-courses"),
    "fails-in-browsers": (_only({"headers": BROWSER}), "home", "api-courses"),
    "fails-outside-browsers": (_outside_browsers, "api-health", "robots.txt"),
    "fails-for-crawlers": (_only({"headers": BOT}), "home", "robots.txt"),
    "its-content-fails": (_its_content, "dashboard", "auth-reset-password"),
    "fails-beside-another-cookie": (_has_another_cookie, "home", "api-courses"),
    "cookies-grow": (_cookies_grow, "pages", "api"),
}


@pytest.mark.parametrize(("rule", "subject"), samples(TABLE))
def test_a_mutant_of_the_wire_is_noticed(running: RunningApp, rule: str, subject: str) -> None:
    """A request that the sentence names fails, and succeeds on a healthy build."""
    prove(running, TABLE, rule, subject)


def test_every_rule_of_the_wire_has_an_oracle() -> None:
    """The table lacks none."""
    assert set(TABLE) == rules_of(wire, caching, visitors)
