"""
The deployment that is judged before its promotion: asked for by id or address, known by Vercel, on its own address.

No pytest here: the gate looks the candidate up, and so does a plain `pytest -m predeploy`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlsplit

from ci.vercel import Deployment, Vercel, VercelError
from fixtures.sides import DEPLOYMENT_VARIABLE
from fixtures.targets import Target, UsageError


class CandidateUnreadyError(Exception):
    """The candidate cannot be asked yet, or Vercel does not tell where: nothing can be said of it. One line."""


@dataclass(frozen=True)
class Candidate:
    """
    One deployment that can be asked.

    url: its immutable address, no trailing slash.  environment: whose variables it was built with.
    commit, branch: as GitHub knows them; None where it was not built from there.
    """

    id: str
    url: str
    environment: Literal["production", "preview"]
    commit: str | None = None
    branch: str | None = None
    aliases: tuple[str, ...] = ()

    def at_home(self, target: Target) -> Target:
        """Return the target with the URL where this candidate's users are: a preview's are on its own address."""
        moves = self.environment == "preview" and target.host not in self.aliases
        return replace(target, url=self.url) if moves else target


def named(asked: str) -> str:
    """Return the id or host that Vercel knows: what was asked for, without scheme and path."""
    return (urlsplit(asked).netloc if "://" in asked else asked).rstrip("/")


def need(asked: str | None) -> str:
    """Return what was asked for; raises UsageError where nothing was."""
    if not asked:
        msg = f"{DEPLOYMENT_VARIABLE} is not set: predeploy judges one deployment; name it by its id (dpl_…) or its URL"
        raise UsageError(msg)
    return asked


def find(target: Target, asked: str | None, vercel: Vercel) -> Candidate:
    """Look the candidate up; raises UsageError where another must be named, CandidateUnreadyError."""
    asked = need(asked)
    try:
        deployment = vercel.deployment(named(asked))
        _refuse_foreign(deployment, asked, vercel)
    except VercelError as error:
        if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            msg = f"{DEPLOYMENT_VARIABLE}={asked}: Vercel knows no such deployment of {target.name}; see `vercel ls`"
            raise UsageError(msg) from error
        msg = f"the candidate {asked} cannot be looked up: {error}"
        raise CandidateUnreadyError(msg) from error
    if deployment.state != "READY":
        msg = f"the candidate {deployment.id} is {deployment.state}, not READY: verify it when it has been built"
        raise CandidateUnreadyError(msg)
    return Candidate(
        id=deployment.id,
        url=f"{urlsplit(target.url).scheme}://{deployment.url}",
        environment="production" if deployment.target == "production" else "preview",
        commit=deployment.commit,
        branch=deployment.branch,
        aliases=deployment.aliases,
    )


def look_up(target: Target, asked: str | None) -> Candidate:
    """Look the candidate up with a client of its own; raises like `find`, LookupError without Vercel."""
    if target.vercel is None:
        msg = f"{target.name} has no capability vercel"
        raise LookupError(msg)
    with Vercel(target.vercel) as vercel:
        return find(target, asked, vercel)


def _refuse_foreign(deployment: Deployment, asked: str, vercel: Vercel) -> None:
    """Refuse what one token sees besides: the checks of one project say nothing of another's deployment."""
    if deployment.project_id in {None, vercel.project_name}:
        return
    own = vercel.project().id
    if deployment.project_id != own:
        msg = f"{DEPLOYMENT_VARIABLE}={asked}: it belongs to project {deployment.project_id}, the target is {own}"
        raise UsageError(msg)
