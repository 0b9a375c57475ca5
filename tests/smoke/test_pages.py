"""The public pages, as the server sends them."""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.checks.evidence import MissingError, NotMeasured
from fixtures.checks.parsed_html import SUBMITS
from fixtures.inspection.guards import REDIRECTS, is_at_login, leads_to_login
from fixtures.site.places import known_courses

from .conftest import AtOnce, its_assets

USER = "form input[type=email], form input[type=text], form input[type=tel], form input:not([type])"
SUBMIT = f"form :is({SUBMITS}), :is({SUBMITS})[form]"


def _leads_to(answer: Answer, path: str) -> bool:
    return any(urlsplit(address).path == path for address in answer.page.addresses())


def _offers(answers: list[Answer]) -> list[str]:
    return [f"GET /marketplace/{course.slug}" for course in known_courses(answers[-1])[:1]]


def _is_own(url: str, address: str) -> bool:
    """Whether an address is that of a page; its query, its last slash and a language before it may differ."""
    try:
        paths = [urlsplit(one).path for one in (url, urljoin(url, address))]
    except ValueError:  # an address that no browser can open either
        return False
    own, named = (re.sub(r"^/[a-z]{2}(?=/|$)", "", path).rstrip("/") for path in paths)
    return own == named


def _need(answer: Answer, elements: dict[str, bool]) -> None:
    """Raise MissingError with the elements that users work with and that the page does not have."""
    missing = [name for name, is_there in elements.items() if not is_there]
    if missing:
        msg = f"{answer.exchange()} has no {', no '.join(missing)}"
        raise MissingError(msg)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", effect="sign-in", runbook="application-not-loading")
@asks("GET /")
def test_home_page_greets_visitors_and_links_to_sign_in(answer: Answer) -> None:
    """Without the home page no visitor finds the sign-in."""
    assert answer.status == HTTPStatus.OK
    assert answer.page.text != ""
    assert answer.page.addresses() != []
    _need(answer, {"link to /login": _leads_to(answer, "/login")})


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="authentication-issues")
@asks("GET /", "GET /login")
def test_visitors_find_the_registration(answers: list[Answer]) -> None:
    """The platform wins no new user when no public page leads to the registration."""
    assert any(_leads_to(answer, "/register") for answer in answers)


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P3", judges="contract", runbook="deployment-checklist")
@asks("GET /", "GET /login", "GET /register", "GET /marketplace")
def test_pages_name_their_language(answers: list[Answer]) -> None:
    """A screen reader chooses its voice by it."""
    pages = [page for page in answers if page.status == HTTPStatus.OK]

    assert pages != []
    assert [page for page in pages if (page.page.language or "").partition("-")[0] != "tr"] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="deployment-checklist")
@asks("GET /", "GET /login", "GET /register", "GET /marketplace")
@asks("GET /api/courses?limit=100")
@follow_up(_offers)
@depends_on("GET /marketplace/*")
def test_a_canonical_address_is_that_of_its_page(answers: list[Answer], followed: list[Answer]) -> None:
    """Search engines forget a page that calls another one the real one."""
    pages = [page for page in (*answers[:-1], *followed) if page.status == HTTPStatus.OK]
    named = [(page, address) for page in pages for address in page.page.values("link[rel=canonical]", "href")]

    assert [f"{page.exchange()} names {address}" for page, address in named if not _is_own(page.url, address)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", effect="sign-in", runbook="authentication-issues")
@asks("GET /login")
def test_login_page_offers_its_form(answer: Answer) -> None:
    """Without the form no user can sign in."""
    assert answer.status == HTTPStatus.OK
    assert answer.page.text != ""
    _need(
        answer,
        {
            "field for the address": answer.page.count(USER) > 0,
            "field for the password": answer.page.count("form input[type=password]") > 0,
            "button that sends the form": answer.page.count(SUBMIT) > 0,
        },
    )


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues")
@asks("GET /dashboard")
def test_dashboard_sends_anonymous_visitors_to_the_login(answer: Answer, at_once: AtOnce) -> None:
    """An open dashboard shows somebody's data; a dashboard that fails locks everyone out."""
    ends = [answer] if leads_to_login(answer) else at_once.follow([answer])

    assert [end for end in ends if not is_at_login(end)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="authentication-issues")
@asks("GET /dashboard")
def test_the_login_knows_where_a_visitor_wanted_to_go(answer: Answer) -> None:
    """Without the way back a visitor who followed a link ends on the dashboard, and has to find the page again."""
    if answer.code not in REDIRECTS:
        reason = f"no redirect: {answer.exchange()}"
        raise NotMeasured(reason)

    wanted = parse_qs(urlsplit(answer.headers["location"]).query).get("callbackUrl", [""])
    assert urlsplit(wanted[0]).path == "/dashboard"


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks("GET /")
@follow_up(its_assets)
@depends_on("GET /_next/static/*")
def test_stylesheets_and_scripts_of_the_home_page_are_served(answer: Answer, followed: list[Answer]) -> None:
    """Nobody trusts an unstyled page with a card, and without scripts no button works."""
    assert answer.page.assets() != []
    assert [asset for asset in followed if asset.status != HTTPStatus.OK or not asset.content] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="application-not-loading")
@asks("GET /7p-verify-boyle-bir-sayfa-yok")
def test_unknown_pages_answer_404(answer: Answer) -> None:
    """A missing page that answers 200 fills search engines with empty pages and hides broken links."""
    assert answer.status == HTTPStatus.NOT_FOUND


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="deployment-checklist")
@asks("GET /robots.txt")
def test_robots_keep_private_areas_out_of_search_engines(answer: Answer) -> None:
    """Without it search engines list the admin addresses; if it disallows `/`, the shop disappears from them."""
    assert answer.status == HTTPStatus.OK
    rules = {" ".join(line.split()) for line in answer.text.splitlines()}

    expected = {"Disallow: /admin", "Disallow: /dashboard", "Disallow: /api/"}
    assert sorted(expected - rules) == []
    assert "Disallow: /" not in rules


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="authentication-issues")
@asks("GET /register", "GET /login")
def test_register_page_offers_its_form(answers: list[Answer]) -> None:
    """Without the form the platform wins no new user."""
    answer, sign_in = answers
    assert answer.status == HTTPStatus.OK
    assert answer.page.text != sign_in.page.text
    assert answer.page.text != ""
    _need(
        answer,
        {
            "field for the address": answer.page.count(USER) > 0,
            "field for the password": answer.page.count("form input[type=password]") > 0,
            "button that sends the form": answer.page.count(SUBMIT) > 0,
        },
    )


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="authentication-issues")
@asks(
    "GET /auth/reset-password",
    "GET /auth/verify-email",
    "GET /auth/verification-success",
    "GET /auth/verification-error",
)
def test_account_pages_open(answers: list[Answer]) -> None:
    """Every mail about an account links to one of these pages; the browser renders their content."""
    assert [answer for answer in answers if answer.status != HTTPStatus.OK] == []
