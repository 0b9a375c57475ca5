"""The crawl follows the right links, leaves others alone, and ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx
import pytest

from fixtures.checks.answers import Answer
from fixtures.inspection.crawl import Walk, links_of, next_links

HOST = "https://7p.test"
OWN = {"7p.test"}


def page(path: str, *links: str, code: int = 200, title: str = "7P", **headers: str) -> Answer:
    """Return a page with these links."""
    body = "".join(f'<a href="{link}">x</a>' for link in links)
    kind = {"content-type": "text/html; charset=utf-8"} | headers
    return Answer("GET", f"{HOST}{path}", code, httpx.Headers(kind), f"<title>{title}</title>{body}".encode(), 0.1)


def walk_over(pages: Mapping[str, Answer], *, deep: bool = True, most: int = 50) -> tuple[Walk, list[str]]:
    """Follow the links of `/`; return the walk and what was asked."""
    asked: list[str] = []

    def ask(requests: Sequence[str]) -> list[Answer]:
        asked.extend(requests)
        return [pages.get(request.removeprefix("GET "), page("/none", code=404)) for request in requests]

    walk = Walk(ask, OWN, most)
    walk.follow([pages["/"]], deep=deep)
    return walk, asked


def test_a_link_to_nothing_is_named_with_the_page_that_has_it() -> None:
    """Without the page, somebody would have to search for the link."""
    pages = {"/": page("/", "/a"), "/a": page("/a", "/gone", "/soft"), "/soft": page("/soft", title="404")}
    walk, _ = walk_over(pages)

    assert walk.broken() == [
        "/a -> /gone: 404",
        "/a -> /soft: a soft 404: the page says that it is missing, and answers 200",
    ]


def test_links_of_linked_pages_are_followed_only_when_it_goes_deep() -> None:
    """After a deployment there is time for the first step."""
    pages = {"/": page("/", "/a"), "/a": page("/a", "/b"), "/b": page("/b", "/")}

    assert walk_over(pages, deep=False)[1] == ["GET /a"]
    assert walk_over(pages)[1] == ["GET /a", "GET /b"]


def test_a_redirect_is_followed_to_where_it_leads() -> None:
    """A link that moved is no broken link, but where it leads may be."""
    pages = {"/": page("/", "/old"), "/old": page("/old", code=308, location="/gone")}

    assert walk_over(pages, deep=False)[0].broken() == ["/old -> /gone: 404"]


def test_a_server_that_does_not_answer_is_a_broken_link() -> None:
    """Silence is no page either."""
    pages = {"/": page("/", "/late"), "/late": Answer("GET", f"{HOST}/late", trouble="timeout")}

    assert walk_over(pages)[0].broken() == ["/ -> /late: no answer, timeout"]


@pytest.mark.parametrize(
    "link",
    [
        "https://youtube.com/7p",
        "mailto:info@7p.test",
        "tel:+90850",
        "javascript:void(0)",
        "/api/auth/signout",
        "/auth/sign-out",
        "/cikis",
        "/logout?to=/",
        "/_next/static/x.js",
        "//evil.test/",
        "http://[bad",
    ],
)
def test_what_is_left_alone(link: str) -> None:
    """Other sites, other protocols, the API, and whatever may end a session."""
    assert walk_over({"/": page("/", link)})[1] == []


def test_a_walk_ends() -> None:
    """Filters make new addresses without end, and a calendar makes new pages."""
    endless = {f"/day/{day}": page(f"/day/{day}", f"/day/{day + 1}") for day in range(1000)}
    filters = [f"/list?page={number}" for number in range(100)]
    walk, asked = walk_over({"/": page("/", "/day/0", *filters), **endless}, most=20)

    assert len(asked) == 19
    assert sum(request.startswith("GET /list") for request in asked) == 5
    assert walk.left == ["/day/14"]


def test_links_are_read_as_a_browser_reads_them() -> None:
    """Relative to the page, without what stands behind the #, each once."""
    links = links_of(page("/a/b", "c", "../d?x=1#top", "#here", f"{HOST}/a/c", " /e "), OWN)

    assert links == ["/a/c", "/d?x=1", "/a/b", "/e"]


def test_a_walk_can_be_asked_ahead() -> None:
    """Each stage requests the links of the stage before it, each page once; the last stage requests nothing."""
    pages = {
        "/": page("/", "/a", "/b"),
        "/login": page("/login", "/a", "/old"),
        "/a": page("/a", "/deeper"),
        "/b": page("/b"),
        "/old": page("/old", code=308, location="/new"),
        "/new": page("/new", "/deeper"),
    }
    answers = [pages["/"], pages["/login"]]
    stages = []
    while following := next_links(2, 50)(answers):
        stages.append(following)
        answers += [pages[request.removeprefix("GET ")] for request in following]

    assert stages == [["GET /a", "GET /b", "GET /old"], ["GET /new"]]
