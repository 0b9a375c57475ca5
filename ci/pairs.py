"""
Pairs run the same check on candidate and control in turns; this module chooses the checks and judges the rounds.

A pair counts only when every answer of both deployments proved which deployment it came from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx

from ci.causes import Attribution, Circumstances, without_pairs
from ci.comparison import Comparison
from ci.web import new_client
from fixtures.model.paired import LEAST_PAIRS, proves
from fixtures.model.verdict import ACCEPTED, Attempt, Cause, CheckResult, Outcome
from fixtures.run.rate_limits import RATE_LIMITS, WRONG_PASSWORDS
from fixtures.target.target import BYPASS, Target

ROUNDS = 5
SIGNIFICANCE = 0.05
_EVEN = 0.5
# Less than this in a window is used up by a few runs.
_PLENTY = 20
A_KIND = 3
# Seconds in which an address that answers at all has answered.
SILENT_S = 3.0
_JUDGED = ACCEPTED | {Outcome.FAILED}


@dataclass(frozen=True)
class Choice:
    """
    The checks that run again in pairs.

    pairs: five rounds.  single: one round, because of a rate limit.  control: once and on the control alone, because
    no deployment may get a second wrong password.  reasons: why each other check does not run again.
    """

    pairs: list[CheckResult] = field(default_factory=list)
    single: list[CheckResult] = field(default_factory=list)
    control: list[CheckResult] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def choose(
    checks: Iterable[CheckResult],
    left: Mapping[str, int],
    comparison: Comparison,
    most: int = A_KIND,
    proofs: Iterable[CheckResult] = (),
) -> Choice:
    """
    Choose the checks that run again in pairs: P0 first, at most `most` of a kind, within the platform's rate limits.

    left: how much each rate limit still allows, by the verdict; a limit that it does not name is unused.  proofs: the
    checks that run once more on the control and once more on production, for which enough must be left.
    """
    choice = Choice()
    left = {what: left.get(what, rate_limit.amount) for what, rate_limit in RATE_LIMITS.items()}
    for what, amount in sum((Counter(check.spends) for check in proofs), Counter[str]()).items():
        if not is_scarce(what):
            left[what] -= 2 * amount
    for check in sorted(checks, key=lambda check: (check.severity, not check.can_roll_back)):
        chosen = [*choice.pairs, *choice.single]
        if not check.severity.is_urgent:
            reason = "not diagnosed (only P0 and P1 are re-run)"
        elif check.host_bound and comparison.pinned_url is None:
            reason = "not re-run: it needs the production host, where no deployment can be pinned"
        elif WRONG_PASSWORDS in check.spends:
            choice.control.append(check)
            continue
        elif check.asks and all(asked.startswith("vendor ") for asked in check.asks):
            reason = "not re-run: it asks a service that every deployment shares"
        elif sum(other.kind == check.kind for other in chosen) == most:
            reason = f"not diagnosed: the gate re-runs at most {most} checks of a kind"
        else:
            rounds = 1 if _missing(check, ROUNDS, left) else ROUNDS
            if not (missing := _missing(check, rounds, left)):
                (choice.pairs if rounds == ROUNDS else choice.single).append(check)
                left = _without(check, rounds, left)
                continue
            reason = f"not re-run: that would use up the platform's rate limit of {', '.join(missing)}"
        choice.reasons[check.node_id] = reason
    return choice


def is_scarce(what: str) -> bool:
    """Return whether one run uses so much of a rate limit that not every proof run can use it again."""
    return RATE_LIMITS[what].amount < _PLENTY


def _without(check: CheckResult, rounds: int, left: Mapping[str, int]) -> dict[str, int]:
    """Return the rate limits left after so many rounds on both deployments and one proof that production healed."""
    return {what: amount - (2 * rounds + 1) * check.spends.get(what, 0) for what, amount in left.items()}


def _missing(check: CheckResult, rounds: int, left: Mapping[str, int]) -> list[str]:
    after = _without(check, rounds, left)
    return [what for what in check.spends if after.get(what, 0) < 0]


def from_single(
    check: CheckResult, rerun: CheckResult | None, comparison: Comparison, around: Circumstances
) -> Attribution:
    """
    Judge the one pair that the platform's rate limits allow, together with the red attempt of the run itself.

    A check that fails by chance once in ten would be red twice in a row once in a hundred.
    """
    own = [attempt for attempt in check.attempts if attempt.outcome is Outcome.FAILED]
    pairs = _pairs(rerun.attempts if rerun else [], comparison)
    if not pairs or not any(_proved(attempt, comparison.candidate_id) for attempt in own):
        reason = "rate limited, and neither the run nor its one pair proved which deployment answered"
        return without_pairs(check, around, comparison, reason)
    ((candidate, control),) = pairs
    shown = f"{candidate.outcome} again on {comparison.candidate_id}, {control.outcome} on {comparison.control_name}"
    shown += "; a rate limit allows only one pair"
    if candidate.outcome in ACCEPTED:
        return Attribution(Cause.FLAKY, f"not reproduced: {shown}")
    if control.outcome is Outcome.FAILED:
        return _not_the_deployment(check, 1, 1, 1.0, shown, around)
    return Attribution(Cause.DEPLOYMENT, shown)


def from_control(
    check: CheckResult, rerun: CheckResult | None, comparison: Comparison, around: Circumstances
) -> Attribution:
    """Judge the red attempt of the run itself by the one attempt on the control."""
    own = [attempt for attempt in check.attempts if attempt.outcome is Outcome.FAILED]
    again = rerun.attempts if rerun else []
    controls = [attempt for attempt in again if _proved(attempt, comparison.control_id)]
    if not controls or not any(_proved(attempt, comparison.candidate_id) for attempt in own):
        reason = "tried once on each deployment, and one of the two did not prove which deployment answered"
        return without_pairs(check, around, comparison, reason)
    shown = f"red on {comparison.candidate_id}, {controls[0].outcome} on {comparison.control_name}; one try on each"
    if controls[0].outcome is Outcome.FAILED:
        return _not_the_deployment(check, 1, 1, 1.0, shown, around)
    return Attribution(Cause.DEPLOYMENT, shown)


def from_pairs(
    check: CheckResult, rerun: CheckResult | None, comparison: Comparison, around: Circumstances
) -> Attribution:
    """Judge the pairs of one check. rerun: its entry in the paired run's verdict, None where it has none."""
    pairs = _pairs(rerun.attempts if rerun else [], comparison)
    if rerun and not rerun.attempts:
        reason = "no round of it ended; a slow check that proves the fault of the deployment ends all pairs"
        return without_pairs(check, around, comparison, reason)
    if len(pairs) < LEAST_PAIRS and not proves(pairs):
        reason = f"only {len(pairs)} of {ROUNDS} pairs count: the others did not prove which deployment answered"
        return without_pairs(check, around, comparison, reason)
    failed = sum(candidate.outcome is Outcome.FAILED for candidate, _ in pairs)
    failed_before = sum(control.outcome is Outcome.FAILED for _, control in pairs)
    chance = fisher(failed, failed_before, len(pairs))
    before = f"{failed_before}/{len(pairs)} on {comparison.control_name}"
    shown = f"red {failed}/{len(pairs)} on {comparison.candidate_id}, {before}"
    if chance < SIGNIFICANCE:
        return Attribution(Cause.DEPLOYMENT, f"{shown} (p={chance:.3f})")
    return _not_the_deployment(check, failed, failed_before, chance, shown, around)


def _not_the_deployment(
    check: CheckResult, failed: int, failed_before: int, chance: float, shown: str, around: Circumstances
) -> Attribution:
    trouble = around.vendors.get(check.third_party or "")
    if check.third_party and (trouble or (failed_before and chance >= _EVEN)):
        said = f"its status page reports {trouble}" if trouble else "candidate and control fail equally"
        return Attribution(Cause.THIRD_PARTY, f"{check.third_party}: {said}; {shown}")
    if failed_before and chance >= _EVEN:
        return Attribution(Cause.EXISTING, f"{shown}: the control fails too")
    if failed == 0:
        return Attribution(Cause.FLAKY, f"not reproduced: {shown}")
    return Attribution(Cause.UNKNOWN, f"{shown} (p={chance:.3f}): the difference is too small to blame the deployment")


def fisher(failed: int, failed_before: int, rounds: int) -> float:
    """Return the chance (Fisher's exact test, one-sided) of at least this many failures on the candidate."""
    total = failed + failed_before
    ways = math.comb(2 * rounds, total)
    worse = range(failed, min(total, rounds) + 1)
    return sum(math.comb(rounds, k) * math.comb(rounds, total - k) for k in worse if total - k <= rounds) / ways


def _pairs(attempts: list[Attempt], comparison: Comparison) -> list[tuple[Attempt, Attempt]]:
    """Return the rounds in which both deployments were judged and proved that they answered."""
    candidates = [attempt for attempt in attempts if attempt.variant == "candidate"]
    controls = [attempt for attempt in attempts if attempt.variant == "control"]
    both = zip(candidates, controls, strict=False)
    return [
        (candidate, control)
        for candidate, control in both
        if _proved(candidate, comparison.candidate_id) and _proved(control, comparison.control_id)
    ]


def _proved(attempt: Attempt, deployment_id: str | None) -> bool:
    named = set(attempt.deployments)
    return attempt.identified and named == {deployment_id} and attempt.outcome in _JUDGED and attempt.blocker is None


def silence_of_candidate(target: Target, comparison: Comparison) -> Attribution | None:
    """
    Return the cause of missing answers; None where the candidate answers, or nothing is proved.

    Pairs of checks cannot prove it: they count only answers that name their deployment, and silence names nobody. Here
    the candidate's own address and production's are asked together with the control's, several times at once.

    Where the first rounds leave a doubt (some requests are answered, or this machine is busy), twice as many have twice
    the time.
    """
    if comparison.candidate is None or comparison.control is None or comparison.gone:
        return None
    for rounds, seconds in ((ROUNDS, SILENT_S), (2 * ROUNDS, 2 * SILENT_S)):
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
