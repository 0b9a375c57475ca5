"""
Proves that the candidate answers nothing while the control answers.

Pairs of checks cannot prove it: they count only answers that name their deployment, and silence names nobody. Here the
candidate's own address and production's are asked together with the control's, several times within one second.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import httpx

from ci.comparison import Comparison
from ci.pairs import ROUNDS, fisher
from ci.web import new_client
from fixtures.target.target import BYPASS, Target

_SECONDS = 3.0


def of_candidate(target: Target, comparison: Comparison) -> str:
    """Return the evidence that only the candidate is silent; "" where an answer, or a silent control, contradicts."""
    if comparison.candidate is None or comparison.control is None or comparison.gone:
        return ""
    candidate, control = comparison.variant("candidate"), comparison.variant("control")
    # Deployment protection answers in place of a deployment that hangs.
    own = {BYPASS: target.bypass_secret} if target.bypass_secret else {}
    with new_client(_SECONDS) as client, ThreadPoolExecutor(3 * ROUNDS) as pool:
        asked = [
            [pool.submit(_status, client, url, own) for url in (candidate.url, target.url, control.url)]
            for _ in range(ROUNDS)
        ]
        rounds = [[answer.result() for answer in answers] for answers in asked]
    silent = all(own_address is None and production is None for own_address, production, _ in rounds)
    witnessed = all(status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR for *_, status in rounds)
    if not (silent and witnessed):
        return ""
    chance = f"p={fisher(ROUNDS, 0, ROUNDS):.3f}"
    asked_where = f"{candidate.deployment_id}, asked on its own address and on production"
    return f"no answer {ROUNDS}/{ROUNDS} from {asked_where}, 0/{ROUNDS} from {comparison.control_name} ({chance})"


def _status(client: httpx.Client, url: str, headers: Mapping[str, str]) -> int | None:
    """Return the status of an address, None for no complete answer."""
    try:
        return client.get(url, headers=headers).status_code
    except httpx.HTTPError:
        return None
