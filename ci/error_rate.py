"""
Compares how often candidate and control fail over the same requests: a few errors in a hundred prove no single check.

The gate asks only after a red check has shown a server error or no answer, and its cause stayed open.
"""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx

from ci.causes import Attribution
from ci.comparison import Comparison
from ci.pairs import fisher
from ci.web import new_client
from fixtures.model.routes import route_of, routes
from fixtures.model.runbook import runbook
from fixtures.model.verdict import Attempt, Cause, CheckResult, Judges, Outcome, Severity
from fixtures.run.rate_limits import RATE_LIMITED
from fixtures.target.target import Target
from fixtures.target.variants import Variant, headers_for

NODE_ID = "gate::error_rate"
TITLE = "errors are no more frequent than on the control"
_FIRST, _ALL = 200, 400
_SIGNIFICANCE = 0.001
_SECTION = "key-metrics-dashboard"
_EVEN = 0.5
_TIMEOUT = 3.0
# Seconds for all requests; the rates are compared over those that were sent until then.
_DEADLINE = 20.0
_AT_ONCE = 8
# 501 says that a function is switched off.
_ERROR = re.compile(r"(?:GET \w+://[^/\s]+(?P<path>/\S*) )?-> (?:5(?!01)\d\d\b|no answer)")
_NEEDS = {"GET /api/courses/search": "?q=7p"}


@dataclass
class Errors:
    """The requests that one deployment was sent, and the errors by route."""

    asked: int = 0
    failed: Counter[str] = field(default_factory=Counter)


def errors_of(checks: Iterable[CheckResult]) -> list[str]:
    """Return the requests that answered a red check with a server error or not at all; "" for one that is no GET."""
    red = [check for check in checks if check.outcome is Outcome.FAILED]
    texts = ["\n".join([*check.asked, *(attempt.message for attempt in check.attempts)]) for check in red]
    paths = [found["path"] for text in texts for found in _ERROR.finditer(text)]
    return list(dict.fromkeys(f"GET {path}" if path else "" for path in paths))


def compare(
    target: Target, comparison: Comparison, seen: Iterable[str], left: Mapping[str, int]
) -> tuple[CheckResult, Attribution]:
    """
    Ask both deployments the same public routes in turns, and judge the difference.

    200 requests to each, 400 after an error of the candidate. seen: requests that failed in the run; every second
    request is one of them.  left: the rest of the platform's rate limits.
    Raises LookupError where one of them cannot be asked.
    """
    variants = [comparison.variant("candidate"), comparison.variant("control")]
    counted = [Errors(), Errors()]
    plan = _plan([request for request in seen if is_public(route_of(request))], left)
    until = time.monotonic() + _DEADLINE
    with new_client(_TIMEOUT) as client, ThreadPoolExecutor(_AT_ONCE) as pool:
        for amount in (_FIRST, _ALL - _FIRST):
            for request in itertools.takewhile(lambda _: time.monotonic() < until, itertools.islice(plan, amount)):
                answers = [pool.submit(_fails, client, request, target, variant) for variant in variants]
                for errors, answer in zip(counted, answers, strict=True):
                    errors.asked += 1
                    errors.failed[route_of(request)] += answer.result()
            if not counted[0].failed.total():
                break
    return judge(counted[0], counted[1], comparison)


def judge(candidate: Errors, control: Errors, comparison: Comparison) -> tuple[CheckResult, Attribution]:
    """
    Judge the errors of both: the deployment is to blame where the difference is no chance.

    Where one route has most of the errors, it must be one that users need: the others are judged by their own checks.
    """
    failed, before = candidate.failed.total(), control.failed.total()
    chance = fisher(failed, before, candidate.asked)
    shown = f"{failed}/{candidate.asked} requests failed on {comparison.candidate_id}, "
    shown += f"{before}/{control.asked} on {comparison.control_name} (p={chance:.1e})"
    counts = failed > 0 and _counts(candidate.failed)
    if chance < _SIGNIFICANCE and counts:
        cause = Cause.DEPLOYMENT
    elif chance >= _EVEN and before and counts:
        cause = Cause.EXISTING
    else:
        return _result(Outcome.PASSED, shown), Attribution(Cause.UNKNOWN, shown)
    worst = ", ".join(f"{route} {count}" for route, count in candidate.failed.most_common(3))
    return _result(Outcome.FAILED, f"{shown}: {worst}"), Attribution(cause, shown)


def _counts(failed: Counter[str]) -> bool:
    """Whether several routes fail, or one that is P0 or P1."""
    ((worst, count),) = failed.most_common(1)
    known = routes().get(worst)
    return 2 * count <= failed.total() or (known is not None and known.severity.is_urgent)


def is_public(route: str) -> bool:
    """Whether everybody may ask for this route of the table, and gets more than a file."""
    known = routes().get(route)
    return known is not None and route.startswith("GET /") and known.guard is None and "/_next/" not in route


def _plan(seen: list[str], left: Mapping[str, int]) -> Iterator[str]:
    """Return public requests, in turns, within the rate limits; half of each stays for the run itself."""
    rest = {what: amount // 2 for what, amount in left.items()}
    public = itertools.cycle(name + _NEEDS.get(name, "") for name in routes() if is_public(name) and "{" not in name)
    failing = itertools.cycle(seen)
    in_turns = itertools.chain.from_iterable(zip(failing, public, strict=False)) if seen else public
    for request in in_turns:
        limit = RATE_LIMITED.get(request.partition("?")[0])
        if limit and rest.get(limit, 0) <= 0:
            continue
        if limit:
            rest[limit] -= 1
        yield request


def _fails(client: httpx.Client, request: str, target: Target, variant: Variant) -> bool:
    """Whether the answer is a server error, or there is none."""
    url = variant.url + request.removeprefix("GET ")
    try:
        answer = client.get(url, headers=headers_for(url, target, variant))
    except httpx.HTTPError:
        return True
    return answer.is_server_error and answer.status_code != HTTPStatus.NOT_IMPLEMENTED


def _result(outcome: Outcome, shown: str) -> CheckResult:
    symptom = shown if outcome is Outcome.FAILED else ""
    return CheckResult(
        node_id=NODE_ID,
        title=TITLE,
        kind="smoke",
        severity=Severity.P1,
        section=_SECTION,
        judges=Judges.FUNCTION,
        outcome=outcome,
        # Only Vercel has a control to compare with.
        first_action=runbook().sections[_SECTION].first_step({"vercel"}),
        attempts=[Attempt(outcome=outcome, seconds=0.0, message=shown, symptom=symptom)],
    )
