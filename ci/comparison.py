"""
The two deployments of a comparison: the candidate that is judged, and the control.

The control is the newest deployment that this suite kept, from its own ledger; when the ledger has none yet, the newest
that served production before, and the report says so. A deployment that was rolled back from is never a control.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from fixtures.state.state import Good, State
from fixtures.target.candidate import CandidateUnreadyError, find, named
from fixtures.target.target import Target
from fixtures.target.variants import Variant
from fixtures.target.vercel import Deployment, Project, Vercel, VercelError

PINNED = "a rollback pins production: a new deployment goes live only when somebody promotes it by hand"


@dataclass(frozen=True)
class Comparison:
    """
    The candidate, the control, and how each is asked.

    candidate: the deployment that is judged; None when Vercel does not know it any more or was not asked.
    gone: why it cannot be asked on its own address, in words; "": it can.  good: the ledger's entry of the control.
    pinned_url: the production host, where a deployment can be pinned on it.  scheme: of deployments' own addresses.
    """

    candidate_id: str | None = None
    candidate: Deployment | None = None
    gone: str = ""
    control: Deployment | None = None
    control_source: str = ""
    good: Good | None = None
    pinned_url: str | None = None
    scheme: str = "https"
    project: Project | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def control_id(self) -> str | None:
        """Id of the control, None: there is none."""
        return self.control.id if self.control else None

    @property
    def control_name(self) -> str:
        """The control for a sentence."""
        return f"{self.control_id} ({self.control_source})" if self.control else "no control"

    def variant(self, name: str) -> Variant:
        """Return the candidate or the control for a paired run; raises LookupError when it cannot be asked."""
        deployment = self.candidate if name == "candidate" else self.control
        if deployment is None:
            msg = f"there is no {name}"
            raise LookupError(msg)
        url = f"{self.scheme}://{deployment.url}"
        return Variant(name=name, url=url, deployment_id=deployment.id, pinned_url=self.pinned_url, own_address=True)


def identify(target: Target, stage: str, asked: str | None, vercel: Vercel) -> tuple[str | None, str | None]:
    """
    Find out which deployment is judged: before its promotion the one that was asked for, afterwards production's.

    Returns its id, None where the alias of production names none, and the problem when it must not be judged. Raises
    VercelError, and UsageError where another must be named.
    """
    if stage == "predeploy":
        handle = target.handle
        try:
            return find(target, asked or (handle.candidate_id if handle else None), vercel).id, None
        except CandidateUnreadyError as error:
            return None, str(error)
    if asked and not asked.startswith("dpl_"):
        asked = vercel.deployment(named(asked)).id
    candidate = vercel.production_id(target.host)
    if asked and candidate != asked:
        return candidate, f"asked to verify {asked}, but production serves {candidate}: it was never promoted"
    return candidate, None


def survey(target: Target, stage: str, candidate_id: str | None, vercel: Vercel, state: State) -> Comparison:
    """Look the candidate and its control up. Raises VercelError, StateError."""
    project = vercel.project()
    candidate, gone = _look_up(vercel, candidate_id) if candidate_id else (None, "")
    notes = [PINNED] if project.auto_assign_custom_domains is False else []
    control, source, good = None, "", None
    if stage == "predeploy":
        serving = vercel.production_id(target.host)
        control, source = (_look_up(vercel, serving)[0] if serving else None), "serves production"
    elif candidate_id:
        control, source, good = _control(candidate_id, candidate, vercel, state, notes)
    return Comparison(
        candidate_id=candidate_id,
        candidate=None if gone else candidate,
        gone=gone,
        control=control,
        control_source=source,
        good=good,
        pinned_url=target.url if "skew-protection" in target.capabilities else None,
        scheme=urlsplit(target.url).scheme,
        project=project,
        notes=notes,
    )


def _control(
    candidate_id: str, candidate: Deployment | None, vercel: Vercel, state: State, notes: list[str]
) -> tuple[Deployment | None, str, Good | None]:
    rejected = {record.deployment_id for record in state.rollbacks() if record.step != "abandoned"} | {candidate_id}
    good = state.last_good(other_than=candidate_id)
    if good is not None and good.deployment_id not in rejected:
        deployment, gone = _look_up(vercel, good.deployment_id)
        if deployment is not None and not gone:
            return deployment, f"last good of run {good.run_id}", good
        notes.append(f"the last good {good.deployment_id} is {gone}")
    else:
        notes.append("the last-good ledger has no other deployment yet")
    before = candidate.created if candidate else None
    for deployment in vercel.deployments():
        older = before is None or deployment.created < before
        if older and deployment.substate == "PROMOTED" and deployment.id not in rejected:
            notes.append(f"the control is {deployment.id}, the newest deployment that served production before")
            return deployment, "newest that served production before", None
    notes.append("no earlier deployment has served production: there is no control and no rollback target")
    return None, "", None


def _look_up(vercel: Vercel, deployment_id: str) -> tuple[Deployment | None, str]:
    """Return a deployment, and why it cannot be asked ("" when it can)."""
    try:
        deployment = vercel.deployment(deployment_id)
    except VercelError as error:
        if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            return None, "deleted"
        raise
    return deployment, "" if deployment.state == "READY" else f"not ready ({deployment.state})"
