"""
Content that no answer of the whole run may show: signed-in pages, refusals, POSTs, and wrong ids.

These checks run last, when all other smoke checks have their answers.
"""

from __future__ import annotations

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.inspection.detectors import APIS, PAGES
from fixtures.inspection.inspected import BROKEN, DELIVERY, INSIDE, PERSONAL, SECRETS, Inspected
from fixtures.model.routes import readable

from .conftest import crashed

EVERYTHING = depends_on("* /*")
# The others look the same to a student.
READABLE = [route for route in readable() if route not in {*PAGES, *APIS}]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="function", runbook="application-not-loading", needs=("accounts",))
@asks(*READABLE, account="student")
def test_every_page_and_route_of_a_student_answers_without_a_crash(answers: list[Answer]) -> None:
    """A signed-in student meets the crash at the first click; the checks below judge the content of these answers."""
    assert [answer for answer in answers if crashed(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_a_secret(inspected: Inspected) -> None:
    """Answers behind the sign-in and refusals have many readers, and nobody tests them by name."""
    assert inspected.offenders(SECRETS) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security", last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_personal_data_of_others(inspected: Inspected) -> None:
    """An e-mail address, hash or token of somebody else is a data breach."""
    assert inspected.offenders(PERSONAL) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", last=True)
@EVERYTHING
def test_no_answer_of_the_run_is_an_error_page_with_a_healthy_status(inspected: Inspected) -> None:
    """The status is healthy, and users see an error page, a development build or links to staging."""
    assert inspected.offenders(BROKEN) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security", last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_internals(inspected: Inspected) -> None:
    """Stack traces and SQL show first in the answer to a refused POST."""
    assert inspected.offenders(INSIDE) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", judges="contract", runbook="performance-optimization", last=True)
@EVERYTHING
def test_every_answer_of_the_run_is_delivered_correctly(inspected: Inspected) -> None:
    """Users read wrong letters, wait, or leave the platform when one of the rules of delivery is broken."""
    assert inspected.offenders(DELIVERY) == []
