"""
Finds the control: the deployment that the candidate is compared with, and that a rollback returns to.

It is the newest deployment that this suite kept, from its own ledger. Without one it is the newest that has served
production and was not rolled back from; `diagnosis.py` tries the next one where its P0 checks fail now.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice

from fixtures.model.verdict import ACCEPTED, Cause, CheckResult, Outcome, Verdict
from fixtures.state.state import Good, State
from fixtures.target.vercel import MOST_LISTED, Vercel, VercelError
from fixtures.target.vercel_words import Deployment, Project

# So many are tried until one passes P0.
TRIED = 3


@dataclass(frozen=True)
class Control:
    """The control, None: there is none.  source: where it comes from, in words.  others: to try in its place."""

    deployment: Deployment | None = None
    source: str = ""
    good: Good | None = None
    others: tuple[Deployment, ...] = ()


def find_control(
    candidate_id: str, created: int | None, project: Project, vercel: Vercel, state: State, notes: list[str]
) -> Control:
    """
    Find the control of a candidate, and add to the notes how it was found. Raises VercelError, StateError.

    created: when the candidate was, ms since the epoch; None: unknown.
    """
    rejected = {record.deployment_id for record in state.rollbacks() if record.step != "abandoned"} | {candidate_id}
    last = project.last_alias_request
    if last and last.type == "rollback" and last.from_deployment_id:
        rejected.add(last.from_deployment_id)
    good = state.last_good(other_than=candidate_id)
    if good is not None and good.deployment_id not in rejected:
        deployment, gone = look_up(vercel, good.deployment_id)
        if deployment is not None and not gone:
            return Control(deployment, f"last good of run {good.run_id}", good)
        notes.append(f"the last good {good.deployment_id} is {gone}")
    else:
        notes.append("the last-good ledger has no other deployment yet")
    # A newer deployment that has served production was most likely taken away from it.
    older = vercel.deployments(before=created)
    served = (one for one in older if one.has_served and one.can_be_asked and one.id not in rejected)
    found = list(islice(served, TRIED))
    if found:
        source = "newest that served production before"
        notes.append(f"the control is {found[0].id}, the {source.replace('that', 'deployment that')}")
        return Control(found[0], source, others=tuple(found[1:]))
    notes.append(f"none of the {MOST_LISTED} deployments before it has served production: there is no control")
    return Control()


def look_up(vercel: Vercel, deployment_id: str) -> tuple[Deployment | None, str]:
    """Return a deployment, and why it cannot be asked ("" when it can)."""
    try:
        deployment = vercel.deployment(deployment_id)
    except VercelError as error:
        if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            return None, "deleted"
        raise
    return deployment, "" if deployment.can_be_asked else f"not ready ({deployment.state})"


def left_out(check: CheckResult) -> bool:
    """
    Return whether a proof run skipped the check because it does not sign in.

    Proof runs do not sign in again, and try no wrong password unless the run's own was accepted. The check of the
    sign-in itself does sign in, and proves that signing in works.
    """
    rate_limited = any(attempt.blocker is Cause.SELF_INFLICTED for attempt in check.attempts)
    return check.outcome is Outcome.NOT_MEASURED and rate_limited and "sign-ins" not in check.spends


def passes_p0(verdict: Verdict, *, pinned: bool) -> tuple[bool, str]:
    """
    Judge the P0 checks of the rollback target on its own address, and say how it went.

    pinned: whether host-bound checks reached it; without a pin they reach production and prove nothing about it.
    """
    judged = [
        check
        for check in verdict.checks
        if check.outcome is not Outcome.NOT_APPLICABLE and (pinned or not check.host_bound) and not left_out(check)
    ]
    open_ = [f"{check.title}: {check.outcome}" for check in judged if check.outcome not in ACCEPTED]
    if not verdict.complete or not judged:
        return False, "its P0 run ended before the end" if judged else "none of its P0 checks ran"
    return not open_, "; ".join(open_) or f"its {len(judged)} P0 checks passed"
