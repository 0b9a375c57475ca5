"""The public pages, as the server sends them."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.checks.evidence import NotMeasured
from fixtures.inspection.guards import REDIRECTS, is_at_login, leads_to_login

from .conftest import AtOnce, its_assets


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="application-not-loading")
@asks("GET /")
def test_home_page_greets_visitors_and_links_to_sign_in(answer: Answer) -> None:
    """Without the home page no visitor finds sign-in or registration."""
    assert answer.status == HTTPStatus.OK
    assert answer.page.headings(1) == ["7p Platformuna Hoş Geldiniz!"]
    assert answer.page.language == "tr"
    links = answer.page.links()
    expected = {"Giriş Yap": "/login", "Hesap Oluştur": "/register", "Kontrol Paneli": "/dashboard"}
    assert [
        name for name, to in expected.items() if not any(name in text and to == links[text] for text in links)
    ] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="authentication-issues")
@asks("GET /login")
def test_login_page_offers_its_form(answer: Answer) -> None:
    """Without the form no user can sign in; a fallback page with a demo account has another heading."""
    assert answer.status == HTTPStatus.OK
    page = answer.page
    assert page.headings(1) == ["7P Education Giriş"]
    assert (page.count("input[type=email]"), page.count("input[type=password]")) == (1, 1)
    # A sign may stand before the words.
    assert any("Giriş Yap" in name for name in page.texts("button"))
    assert any("Kayıt olun" in text and to == "/register" for text, to in page.links().items())


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
@asks("GET /register")
def test_register_page_offers_its_form(answer: Answer) -> None:
    """Without the form the platform wins no new user."""
    assert answer.status == HTTPStatus.OK
    page = answer.page
    assert "Yeni hesap oluşturun" in page.headings(2)
    fields = ("#fullName", "#email", "#password", "#confirmPassword")
    assert [field for field in fields if page.count(f"input{field}") != 1] == []
    assert any("Hesap oluştur" in name for name in page.texts("button"))


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
