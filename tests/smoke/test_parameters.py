"""Every parameter that routes.toml documents, with a legal value, as a visitor who may ask."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks
from fixtures.model.routes import is_invented, with_parameters

from .conftest import AtOnce, crashed

OPEN = with_parameters(None)
STUDENTS = with_parameters("student")
NOT_TAKEN = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}


def _failed(answer: Answer) -> bool:
    """Whether the route crashes, or refuses a query of legal values only."""
    return crashed(answer) or (answer.status in NOT_TAKEN and not is_invented(answer.url))


def _alone(answers: list[Answer], at_once: AtOnce) -> list[Answer]:
    """Return the answers to the parameters that fail alone too; the failed answer itself where none does."""
    found: list[Answer] = []
    for answer in filter(_failed, answers):
        parts = urlsplit(answer.url)
        asked = [f"GET {parts.path}?{parameter}" for parameter in parts.query.split("&")]
        single = at_once.ask(asked, cookies=answer.sent.cookies) if len(asked) > 1 else []
        found += [one for one in single if _failed(one)] or [answer]
    return found


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", spends={"searches": 2})
@asks(*OPEN)
def test_every_parameter_is_accepted(answers: list[Answer], at_once: AtOnce) -> None:
    """A visitor who filters, sorts or turns a page meets an error; the same route without the parameter works."""
    assert _alone(answers, at_once) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(*STUDENTS, account="student")
def test_every_parameter_of_a_students_routes_is_accepted(answers: list[Answer], at_once: AtOnce) -> None:
    """A student who filters a list meets an error; the same route without the parameter works."""
    assert _alone(answers, at_once) == []
