"""
The two deployments of a comparison: the candidate that is judged, and the control.

`control.py` finds the control.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from ci.control import Control, find_control, look_up
from fixtures.state.state import Good, State
from fixtures.target.candidate import CandidateUnreadyError, find, named
from fixtures.target.target import Target
from fixtures.target.variants import Variant
from fixtures.target.vercel import Vercel
from fixtures.target.vercel_words import Deployment, Project

PINNED = "a rollback pins production: a new deployment goes live only when somebody promotes it by hand"


@dataclass(frozen=True)
class Comparison:
    """
    The candidate, the control, and how each is asked.

    candidate: the deployment that is judged; None when Vercel does not know it any more or was not asked.
    gone: why it cannot be asked on its own address, in words; "": it can.  good: the ledger's entry of the control.
    others: to try in place of a control that does not pass P0.
    pinned_url: the production host, where a deployment can be pinned on it.  scheme: of deployments' own addresses.
    """

    candidate_id: str | None = None
    candidate: Deployment | None = None
    gone: str = ""
    control: Deployment | None = None
    control_source: str = ""
    good: Good | None = None
    others: tuple[Deployment, ...] = ()
    pinned_url: str | None = None
    scheme: str = "https"
    project: Project | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def control_id(self) -> str | None:
        """Id of the control, None: there is none."""
        return self.control.id if self.control else None

    def with_next_control(self) -> Comparison | None:
        """Return it with the next deployment as its control; None: there is no other."""
        if not self.others:
            return None
        name = f"{self.control_source}, after {self.control_id} did not pass P0"
        return replace(self, control=self.others[0], control_source=name, others=self.others[1:])

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
    candidate, gone = look_up(vercel, candidate_id) if candidate_id else (None, "")
    notes = [PINNED] if project.auto_assign_custom_domains is False else []
    found = Control()
    if stage == "predeploy":
        serving = vercel.production_id(target.host)
        found = Control(look_up(vercel, serving)[0] if serving else None, "serves production")
    elif candidate_id:
        created = (candidate.created if candidate else 0) or None
        found = find_control(candidate_id, created, project, vercel, state, notes)
    return Comparison(
        candidate_id=candidate_id,
        candidate=None if gone else candidate,
        gone=gone,
        control=found.deployment,
        control_source=found.source,
        good=found.good,
        others=found.others,
        pinned_url=target.url if "skew-protection" in target.capabilities else None,
        scheme=urlsplit(target.url).scheme,
        project=project,
        notes=notes,
    )
