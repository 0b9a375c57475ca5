"""
Finds out which deployments leave requests without an answer: only the candidate, or the control too.

Pairs of checks cannot prove it: they count only answers that name their deployment, and silence names nobody. Here the
candidate's own address and production's are asked together with the control's, several times at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import httpx

from ci.causes import Attribution
from ci.comparison import Comparison
from ci.pairs import ROUNDS, SIGNIFICANCE, fisher
from ci.web import new_client
from fixtures.model.verdict import Cause
from fixtures.site.client import BYPASS
from fixtures.target.target import Target

SECONDS = 3.0


def of_candidate(target: Target, comparison: Comparison) -> Attribution | None:
    """
    Return the cause of missing answers; None where the candidate answers, or nothing is proved.

    Where the first rounds leave a doubt (some requests are answered, or this machine is busy), twice as many have twice
    the time.
    """
    if comparison.candidate is None or comparison.control is None or comparison.gone:
        return None
    for rounds, seconds in ((ROUNDS, SECONDS), (2 * ROUNDS, 2 * SECONDS)):
        lost, lost_by_control = _lost(target, comparison, rounds, seconds)
        certain = lost == rounds or rounds > ROUNDS
        chance = fisher(lost, 0, rounds)
        shown = (
            f"no answer {lost}/{rounds} from {comparison.candidate_id}, asked on its own address and on production, "
            f"{lost_by_control}/{rounds} from {comparison.control_name}"
        )
        if lost == 0:
            return None
        if lost_by_control == 0 and certain and chance < SIGNIFICANCE:
            return Attribution(Cause.DEPLOYMENT, f"{shown} (p={chance:.3f})")
    return Attribution(Cause.EXISTING, f"{shown}: the control fails too") if lost == lost_by_control == rounds else None


def _lost(target: Target, comparison: Comparison, rounds: int, seconds: float) -> tuple[int, int]:
    """Return how many requests candidate and control left unanswered; the candidate at both of its addresses."""
    candidate, control = comparison.variant("candidate"), comparison.variant("control")
    # Deployment protection answers in place of a deployment that hangs.
    own = {BYPASS: target.bypass_secret} if target.bypass_secret else {}
    with new_client(seconds) as client, ThreadPoolExecutor(3 * rounds) as pool:
        asked = [
            [pool.submit(status_of, client, url, own, seconds) for _ in range(rounds)]
            for url in (candidate.url, target.url, control.url)
        ]
        at_own, at_production, at_control = [[answer.result() for answer in answers] for answers in asked]
    # A control that fails is no witness.
    witnesses = sum(status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR for status in at_control)
    return min(at_own.count(None), at_production.count(None)), rounds - witnesses


def status_of(client: httpx.Client, url: str, headers: Mapping[str, str], seconds: float) -> int | None:
    """Return the status of an address, None for no complete answer."""
    try:
        return client.get(url, headers=headers, extensions={"seconds": seconds}).status_code
    except httpx.HTTPError:
        return None
