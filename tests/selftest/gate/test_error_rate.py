"""The comparison of error rates: a few errors in a hundred, that no single check proves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import pytest

from ci.comparison import Comparison
from ci.error_rate import Errors, compare, errors_of, judge
from fixtures.model.verdict import Attempt, Cause, Outcome, Severity
from fixtures.run.rate_limits import RATE_LIMITS
from fixtures.target.target import Target
from fixtures.target.vercel_words import Deployment
from tests.selftest.gate.verdicts import a_check

FAILED, PASSED = Outcome.FAILED, Outcome.PASSED
NAMES = Comparison(candidate_id="dpl_new")
LEFT = {what: limit.amount for what, limit in RATE_LIMITS.items()}


def errors(asked: int, **failed: int) -> Errors:
    """Return a count of requests and of errors by route."""
    return Errors(asked, Counter(failed))


@pytest.mark.parametrize(
    ("candidate", "control", "outcome", "cause"),
    [
        (errors(400, a=7, b=7, c=6), errors(400), FAILED, Cause.DEPLOYMENT),
        (errors(400, a=7, b=7, c=6), errors(400, a=7, b=7, c=6), FAILED, Cause.EXISTING),
        # It may be chance.
        (errors(400, a=2, b=2), errors(400), PASSED, Cause.UNKNOWN),
        # One route is judged by its own checks, unless users need it.
        (errors(400, a=19, b=1), errors(400), PASSED, Cause.UNKNOWN),
        (errors(400, **{"GET /sitemap.xml": 20}), errors(400), PASSED, Cause.UNKNOWN),
        (errors(400, **{"GET /api/courses/{id}": 20}), errors(400), FAILED, Cause.DEPLOYMENT),
        (errors(400), errors(400, a=20, b=20), PASSED, Cause.UNKNOWN),
        (errors(200), errors(200), PASSED, Cause.UNKNOWN),
    ],
)
def test_the_difference_decides(candidate: Errors, control: Errors, outcome: Outcome, cause: Cause) -> None:
    """Chance and a single broken route that nobody needs blame nobody."""
    check, found = judge(candidate, control, NAMES)

    assert (check.outcome, found.cause, check.severity) == (outcome, cause, Severity.P1)
    assert check.can_roll_back
    assert bool(check.attempts[0].symptom) == (outcome is FAILED)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("got: GET https://7p.test/api/courses?page=2 -> 502 in 30 ms", ["GET /api/courses?page=2"]),
        ("got: GET https://7p.test/ -> no answer: timeout in 10000 ms", ["GET /"]),
        ("got: POST https://7p.test/api/enroll/free -> 500 in 30 ms", [""]),
        ("got: GET https://7p.test/ -> 404 in 30 ms", []),
        ("got: GET https://7p.test/api/payments/history -> 501 in 30 ms", []),
    ],
)
def test_only_errors_of_the_server_are_a_reason_to_ask(message: str, shown: list[str]) -> None:
    """A healthy run sends no request for this."""
    red = a_check(outcome=FAILED, attempts=[Attempt(outcome=FAILED, seconds=1.0, message=message)])

    assert errors_of([red]) == shown
    assert not errors_of([a_check(outcome=PASSED, attempts=red.attempts)])


class Site:
    """A deployment on loopback that fails once in `every` requests below `path`; 0: never."""

    def __init__(self, every: int, path: str = "/") -> None:
        self.asked: Counter[str] = Counter()
        lock = Lock()

        class Answers(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805  (the library's name)
                with lock:
                    self.asked[handler.path.partition("?")[0]] += 1
                    below = sum(count for asked, count in self.asked.items() if asked.startswith(path))
                    fails = every and handler.path.startswith(path) and below % every == 0
                handler.send_response(500 if fails else 200)
                handler.send_header("content-length", "0")
                handler.end_headers()

            def log_message(handler, *_: object) -> None:  # noqa: N805
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Return host:port."""
        return f"127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    """Return a candidate that fails once in twenty, and a control that never does."""
    both = [Site(20), Site(0)]
    yield both
    for site in both:
        site.server.shutdown()
        site.server.server_close()


def compared(*sites: Site, seen: Iterable[str] = ()) -> tuple[Outcome, Cause]:
    """Compare a candidate and a control. seen: requests that have failed."""
    deployments = [
        Deployment(id=f"dpl_{site.address[-5:]}", url=site.address, state="READY", created=1) for site in sites
    ]
    comparison = Comparison(
        candidate_id=deployments[0].id, candidate=deployments[0], control=deployments[1], scheme="http"
    )
    check, found = compare(Target(name="x", mode="act", url=f"http://{sites[0].address}"), comparison, seen, LEFT)
    return check.outcome, found.cause


def test_one_request_in_twenty(sites: list[Site]) -> None:
    """Each check alone would be called flaky."""
    candidate, control = sites

    assert compared(candidate, control) == (FAILED, Cause.DEPLOYMENT)
    assert candidate.asked.total() == control.asked.total() == 400
    assert candidate.asked == control.asked
    assert candidate.asked["/api/courses"] <= LEFT["course-lists"] // 2
    assert candidate.asked["/api/courses/search"] <= LEFT["searches"] // 2


def test_a_candidate_without_an_error_is_asked_less(sites: list[Site]) -> None:
    """The control may fail; the deployment is not worse."""
    candidate, control = sites

    assert compared(control, candidate) == (PASSED, Cause.UNKNOWN)
    assert control.asked.total() == 200


def test_requests_that_failed_are_asked_again(sites: list[Site]) -> None:
    """A route with an id is in no table of addresses; one of its requests in ten fails, and no other route does."""
    candidate, control = Site(10, "/api/courses/1"), sites[1]
    seen = ["", "GET /api/courses/1", "GET /api/enrollments"]
    try:
        assert compared(candidate, control, seen=seen) == (FAILED, Cause.DEPLOYMENT)
        assert candidate.asked["/api/courses/1"] == 200
        assert "/api/enrollments" not in candidate.asked
    finally:
        candidate.server.shutdown()
        candidate.server.server_close()
