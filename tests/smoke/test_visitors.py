"""
The same routes for visitors of other sorts: the suite's own requests are always those of one and the same visitor.

A middleware, an experiment or a cache that treats one sort of visitors otherwise fails for them alone.
"""

from __future__ import annotations

from http import HTTPStatus

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.5 Mobile/15E148 Safari/604.1"
)
# What analytics, advertisements, a consent bar and a language switch leave in a browser.
LEFT = "_ga=GA1.1.1790000000.1780000000; _fbp=fb.1.1780000000000.42; cookie-consent=accepted; NEXT_LOCALE=tr"
ENGLISH = {"accept-language": "en-US,en;q=0.9"}
FOREIGN = {"accept-language": "de-DE,de;q=0.9,*;q=0.5"}
ARABIC = {"accept-language": "ar-SA,ar;q=0.9,en;q=0.7"}
RUSSIAN = {"accept-language": "ru-RU,ru;q=0.9"}
ANY = {"accept-language": "*"}
# Scripts, robots and some privacy tools send none.
NONE = {"accept-language": ""}
MANY = {"accept-language": "fr-CH, fr;q=0.9, en;q=0.8, az;q=0.7, ku;q=0.5, zh-Hant-TW;q=0.4, x-klingon;q=0.1, *;q=0.1"}
ON_A_PHONE = {"user-agent": PHONE}
RETURNING = {"cookie": LEFT, "if-none-match": '"7p-verify"'}
# As the failure names them: with the header by which a person asks the same again.
SORTS = (
    "who prefers English (accept-language: en-US)",
    "who prefers German (accept-language: de-DE)",
    "on a phone (user-agent: … Mobile … Safari)",
    "who was here before (cookie: _ga, _fbp, cookie-consent, NEXT_LOCALE; if-none-match)",
)
LANGUAGES = (
    "who prefers Arabic (accept-language: ar-SA)",
    "who prefers no language (no accept-language)",
    "who prefers Russian (accept-language: ru-RU)",
    "who takes any language (accept-language: *)",
    "who reads many languages (accept-language: fr-CH, …, x-klingon, *)",
)
SIGN_IN = ("GET /", "GET /login", "GET /api/auth/csrf", "GET /api/auth/session", "GET /api/courses")
OTHERS = ("GET /register", "GET /marketplace", "GET /api/auth/providers")
# The list of courses is left out where a rate limit would end the re-runs of these checks.
START = SIGN_IN[:-1]
RARELY = ("GET /", "GET /login", "GET /register", "GET /api/auth/session")
OWN = ("GET /dashboard", "GET /api/enrollments", "GET /api/student/progress")
CAMPAIGN = "utm_source=bulten&utm_medium=email&gclid=7p-verify"


def _lost(answers: list[Answer], sorts: tuple[str, ...] = SORTS) -> list[str]:
    """Return the answers that their visitor cannot use; a way to another address is usable."""
    each = len(answers) // len(sorts)
    return [
        f"{answer.exchange()}{'' if answer.content else ', without a body,'} for a visitor {sorts[number // each]}"
        for number, answer in enumerate(answers)
        if answer.status >= HTTPStatus.BAD_REQUEST or (answer.status == HTTPStatus.OK and not answer.content)
    ]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="application-not-loading")
@asks(*SIGN_IN, headers=ENGLISH)
@asks(*SIGN_IN, headers=FOREIGN)
@asks(*SIGN_IN, headers=ON_A_PHONE)
@asks(*SIGN_IN, headers=RETURNING)
def test_visitors_of_every_sort_reach_the_sign_in(answers: list[Answer]) -> None:
    """Every user with a phone, another language or old cookies is locked out while our own requests succeed."""
    assert _lost(answers) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks(*OTHERS, headers=ENGLISH)
@asks(*OTHERS, headers=FOREIGN)
@asks(*OTHERS, headers=ON_A_PHONE)
@asks(*OTHERS, headers=RETURNING)
@asks(*OTHERS, headers=ARABIC)
def test_visitors_of_every_sort_reach_the_other_public_pages(answers: list[Answer]) -> None:
    """The platform wins no new user with a phone, another language or old cookies."""
    assert _lost(answers, (*SORTS, LANGUAGES[0])) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="function", runbook="application-not-loading")
@asks("GET /api/courses", *START, headers=ARABIC)
@asks("GET /api/courses", *START, headers=NONE)
def test_visitors_without_turkish_reach_the_sign_in(answers: list[Answer]) -> None:
    """A middleware that chooses texts by language fails for the languages that nobody has tried."""
    assert _lost(answers, LANGUAGES[:2]) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks(*RARELY, headers=RUSSIAN)
@asks(*RARELY, headers=ANY)
@asks(*RARELY, headers=MANY)
def test_visitors_of_any_language_reach_the_public_pages(answers: list[Answer]) -> None:
    """The same for rarer headers."""
    assert _lost(answers, LANGUAGES[2:]) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(*OWN, headers=ENGLISH, account="student")
@asks(*OWN, headers=ARABIC, account="student")
@asks(*OWN, headers=ON_A_PHONE, account="student")
def test_students_of_every_sort_reach_their_courses(answers: list[Answer]) -> None:
    """The sign-in works for them, and nothing after it."""
    assert _lost(answers, (SORTS[0], LANGUAGES[0], SORTS[2])) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@asks(f"GET /?{CAMPAIGN}", f"GET /login?{CAMPAIGN}", f"GET /register?{CAMPAIGN}")
def test_visitors_of_a_campaign_reach_its_pages(answers: list[Answer]) -> None:
    """The links of mails and advertisements have parameters; the money for them is lost."""
    assert _lost(answers, ("who follows a campaign's link",)) == []
