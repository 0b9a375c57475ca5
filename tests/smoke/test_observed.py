"""What no answer of the whole run may show: signed in, refused, of a POST, of what does not exist. Judged last."""

from __future__ import annotations

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on, follow_up
from fixtures.inspection.detectors import APIS, PAGES, kind_of
from fixtures.inspection.findings import BROKEN, DELIVERY, INSIDE, PERSONAL, SECRETS
from fixtures.inspection.inspected import Inspected
from fixtures.model.routes import readable
from fixtures.site.client import AT_ONCE

from .conftest import crashed

EVERYTHING = depends_on("* /*")
# What has its own checks signed out shows the same signed in, but for these two pages.
READABLE = [route for route in readable() if route not in {*PAGES, *APIS} - {"GET /", "GET /marketplace"}]


def _its_courses(answers: list[Answer]) -> list[str]:
    pages = [answer.page for answer in answers if kind_of(answer) == "text/html"]
    courses = {link for page in pages for link in page.links().values() if link.startswith("/courses/")}
    return [f"GET {link}" for link in sorted(courses)[:AT_ONCE]]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="application-not-loading", needs=("accounts",))
@asks(*READABLE, account="student")
@follow_up(_its_courses, account="student")
@depends_on("GET /courses/*")
def test_every_page_and_route_of_a_student_answers_without_a_crash(
    answers: list[Answer], followed: list[Answer]
) -> None:
    """Every page and route as those who are signed in get it; what they show is judged with everything else, below."""
    assert [answer for answer in (*answers, *followed) if crashed(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", runbook="incident-security", last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_a_secret(inspected: Inspected) -> None:
    """Behind the sign-in and in refusals there are as many readers, and nobody looks there."""
    assert inspected.offenders(SECRETS) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="incident-security", last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_personal_data_of_others(inspected: Inspected) -> None:
    """Addresses, hashes and tokens that belong to somebody else than the one who asked."""
    assert inspected.offenders(PERSONAL) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading", last=True)
@EVERYTHING
def test_no_answer_of_the_run_is_an_error_page_with_a_healthy_status(inspected: Inspected) -> None:
    """An error boundary, a development build, a way to staging: the status is healthy, and users are not served."""
    assert inspected.offenders(BROKEN) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="incident-security", rollback_eligible=False, last=True)
@EVERYTHING
def test_no_answer_of_the_run_shows_internals(inspected: Inspected) -> None:
    """A refused POST is where stack traces and SQL come to light first."""
    assert inspected.offenders(INSIDE) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="performance-optimization", last=True)
@EVERYTHING
def test_every_answer_of_the_run_is_delivered_correctly(inspected: Inspected) -> None:
    """Readable, small, from here, kept by nobody else, in time; and what is missing says 404."""
    assert inspected.offenders(DELIVERY) == []
