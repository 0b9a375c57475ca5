"""Access: every guarded route and page of routes.toml refuses every visitor who has no right to it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.inspection.guards import knows_somebody, let_in, open_pages
from fixtures.model.routes import NOBODY, OF_ITS_KIND, guarded, probe, route_of, routes
from fixtures.site.accounts import EXPIRED, OUTDATED, SESSION_COOKIES, Session

from .conftest import AtOnce
from .test_inspected import of_their_course

# The route counts its rate limit before its guard; the check of the enrolment flag asks it once.
RATE_LIMITED = "POST /api/enroll/free"
READS = guarded("GET")
BODY_FIRST = [probe(name) for name, route in routes().items() if route.body_first]
# What a route wants that reads the body before it asks who is there; the course does not exist.
OF_NOBODY = {"type": "course", "courseId": NOBODY, "action": "cancel"}
WRITES = [route for route in guarded("POST", "PUT", "PATCH", "DELETE") if route not in {RATE_LIMITED, *BODY_FIRST}]
# Every route has its own guard. The library checks the session: one that nobody signed is tried on every route, the
# other forgeries on the routes that pages use.
USED = {probe(name) for name, route in routes().items() if set(route.checks) - OF_ITS_KIND or route.waiver}
READS_IN_USE, WRITES_IN_USE = ([route for route in asked if route in USED] for asked in (READS, WRITES))
PAGES = guarded("GET", pages=True)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ABOVE_STUDENTS = [*guarded(*METHODS, role="instructor"), *guarded(*METHODS, role="admin")]

_TOKENS = {
    "garbage": "7p-verify",
    # {"alg":"none"} . {"role":"admin","email":"7p-verify@7peducation.test"}
    "unsigned": "eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4iLCJlbWFpbCI6IjdwLXZlcmlmeUA3cGVkdWNhdGlvbi50ZXN0In0.",
    "outdated": OUTDATED,
}
FORGED = {
    name: {"cookie": "; ".join(f"{cookie}={token}" for cookie in SESSION_COOKIES)}
    | {"authorization": f"Bearer {token}"}
    for name, token in _TOKENS.items()
}
# A role in every place except the session, and the header by which Next.js knows its own subrequests.
CLAIMED = {
    "x-user-role": "admin",
    "x-user-id": NOBODY,
    "x-middleware-subrequest": ":".join(["middleware"] * 5),
    "cookie": "role=admin; userRole=admin; isAdmin=true",
}


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*READS)
def test_guarded_routes_refuse_anonymous_callers(answers: list[Answer]) -> None:
    """Without the guard, anyone reads other people's records: a data breach from the first minute."""
    assert let_in(answers) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*WRITES, json={})
@asks(*BODY_FIRST, json=OF_NOBODY)
def test_anonymous_callers_change_nothing(answers: list[Answer]) -> None:
    """Without the guard, anyone publishes courses, cancels enrolments and refunds money."""
    assert let_in(answers) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*PAGES)
def test_guarded_pages_send_anonymous_visitors_to_the_login(answers: list[Answer], at_once: AtOnce) -> None:
    """A page that redirects and sends its content along has shown the content all the same."""
    assert open_pages(answers, at_once.follow) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*READS_IN_USE, headers=FORGED["garbage"])
@asks(*READS, headers=FORGED["unsigned"])
def test_an_invented_session_opens_no_route(answers: list[Answer]) -> None:
    """A guard that only looks for a cookie lets in every visitor who sets one."""
    assert let_in(answers) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*PAGES, headers=FORGED["garbage"])
def test_an_invented_session_opens_no_page(answers: list[Answer], at_once: AtOnce) -> None:
    """Pages are guarded by middleware, routes by their own code: one can break without the other."""
    assert open_pages(answers, at_once.follow) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*WRITES_IN_USE, json={}, headers=FORGED["garbage"])
@asks(*BODY_FIRST, json=OF_NOBODY, headers=FORGED["garbage"])
def test_an_invented_session_changes_nothing(answers: list[Answer]) -> None:
    """Routes that write have a guard of their own, and its failure costs money."""
    assert let_in(answers) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*READS_IN_USE, headers=CLAIMED)
def test_a_claimed_role_opens_no_route(answers: list[Answer]) -> None:
    """Any visitor can send the headers and cookies by which a proxy or another service names a role."""
    assert let_in(answers) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*PAGES, headers=CLAIMED)
def test_a_claimed_role_opens_no_page(answers: list[Answer], at_once: AtOnce) -> None:
    """Next.js before 15.2.3 skipped its middleware for every request that claimed to be a subrequest."""
    assert open_pages(answers, at_once.follow) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks("GET /api/auth/session", *READS_IN_USE, account=EXPIRED)
def test_an_expired_session_opens_no_route(answers: list[Answer]) -> None:
    """A session that never ends works for everyone who finds it: in a backup, a log, a sold computer."""
    session, *routes = answers

    assert not knows_somebody(session), session
    assert let_in(routes) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks(*PAGES, account=EXPIRED)
def test_an_expired_session_opens_no_page(answers: list[Answer], at_once: AtOnce) -> None:
    """A page that accepts a cookie longer than the routes do shows data that the routes refuse."""
    assert open_pages(answers, at_once.follow) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@asks("GET /api/auth/session", "GET /api/enrollments", "GET /api/admin/courses", headers=FORGED["unsigned"])
@asks("GET /api/auth/session", "GET /api/enrollments", "GET /api/admin/courses", headers=FORGED["outdated"])
def test_unsigned_sessions_are_refused(answers: list[Answer]) -> None:
    """A platform that accepts unsigned sessions makes anyone who can write one an administrator."""
    sessions = [answer for answer in answers if answer.url.endswith("/session")]

    assert [session for session in sessions if knows_somebody(session)] == []
    assert let_in(answer for answer in answers if answer not in sessions) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", needs=("accounts",))
@depends_on("GET /api/auth/session", *(read.partition("?")[0] for read in READS))
def test_an_altered_session_is_refused(at_once: AtOnce, signed_in: Session) -> None:
    """A person who can change one letter of a session unnoticed can also change its role."""
    # Some bits of the last letter may mean nothing, so another letter is changed.
    altered = {name: f"{text[:-9]}{'AB'[text[-9] == 'A']}{text[-8:]}" for name, text in signed_in.cookies.items()}

    own = list[str]()
    with suppress(AssertionError):  # a list that nobody can read is judged elsewhere
        own = of_their_course(at_once.ask(["GET /api/enrollments"], cookies=signed_in.cookies))
    own = [request for request in own if routes()[route_of(request)].guard]

    session, *guarded_ones = at_once.ask(("GET /api/auth/session", *READS, *own), cookies=altered)

    assert not knows_somebody(session), session
    assert let_in(guarded_ones) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", needs=("accounts",))
@asks(*ABOVE_STUDENTS, account="student")
def test_students_reach_no_route_of_the_administration(answers: list[Answer]) -> None:
    """Without this guard a student publishes courses, refunds payments, or reads unpublished content."""
    assert let_in(answers) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security", needs=("accounts",))
@asks(*ABOVE_STUDENTS, account="student", headers=CLAIMED)
def test_students_gain_no_role_by_claiming_it(answers: list[Answer]) -> None:
    """The role must come from the session of a signed-in student, and from nowhere else."""
    assert let_in(answers) == []
