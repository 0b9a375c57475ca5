"""What no answer of the whole run may show: signed in, refused, of a POST, of what does not exist. Judged last."""

from __future__ import annotations

import pytest

from fixtures.accounts import Session
from fixtures.declarations import touches
from fixtures.detectors import APIS, PAGES
from fixtures.findings import BROKEN, DELIVERY, INSIDE, PERSONAL, SECRETS
from fixtures.observations import Observed
from fixtures.routes import readable
from fixtures.site import AT_ONCE

from .conftest import AtOnce, crashed

EVERYTHING = touches("* /*")
# What has its own checks signed out shows the same signed in, but for these two pages.
READABLE = [route for route in readable() if route not in {*PAGES, *APIS} - {"GET /", "GET /marketplace"}]


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="application-not-loading", needs=("accounts",))
@touches(*READABLE, "GET /courses/*")
def test_nothing_that_a_student_may_read_crashes(at_once: AtOnce, signed_in: Session) -> None:
    """Every page and route as those who are signed in get it; what they show is judged with everything else, below."""
    answers = at_once.ask(READABLE, cookies=signed_in.cookies)
    pages = [answer.page for answer in answers if answer.headers.get("content-type", "").startswith("text/html")]
    courses = {link for page in pages for link in page.links().values() if link.startswith("/courses/")}
    opened = at_once.ask([f"GET {link}" for link in sorted(courses)[:AT_ONCE]], cookies=signed_in.cookies)

    assert [answer for answer in (*answers, *opened) if crashed(answer)] == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", runbook="incident-security", last=True)
@EVERYTHING
def test_nothing_that_was_seen_gives_a_secret_away(observed: Observed) -> None:
    """Behind the sign-in and in refusals there are as many readers, and nobody looks there."""
    assert observed.offenders(SECRETS) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="incident-security", last=True)
@EVERYTHING
def test_nothing_that_was_seen_tells_of_other_people(observed: Observed) -> None:
    """Addresses, hashes and tokens that belong to somebody else than the one who asked."""
    assert observed.offenders(PERSONAL) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", runbook="application-not-loading", last=True)
@EVERYTHING
def test_nothing_that_was_seen_is_broken_behind_its_status(observed: Observed) -> None:
    """An error boundary, a development build, a way to staging: the status is healthy, and users are not served."""
    assert observed.offenders(BROKEN) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="incident-security", rollback_eligible=False, last=True)
@EVERYTHING
def test_nothing_that_was_seen_tells_how_it_is_made(observed: Observed) -> None:
    """A refused POST is where stack traces and SQL come to light first."""
    assert observed.offenders(INSIDE) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P2", runbook="performance-optimization", last=True)
@EVERYTHING
def test_everything_that_was_seen_arrived_as_it_should(observed: Observed) -> None:
    """Readable, small, from here, kept by nobody else, in time; and what is missing says 404."""
    assert observed.offenders(DELIVERY) == []
