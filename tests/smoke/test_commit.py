"""The commit and the release that the candidate was built from."""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from fixtures.checks.declarations import depends_on
from fixtures.checks.evidence import Evidence, NotMeasured
from fixtures.run.current_run import Run
from fixtures.site.client import Site
from fixtures.target.candidate import named
from fixtures.target.plugin import deployment_of
from fixtures.target.target import Target
from fixtures.target.vercel import Vercel, VercelError
from fixtures.vendors import commit_status
from fixtures.vendors.commit_status import CommitStatus

if TYPE_CHECKING:
    from fixtures.target.vercel_words import Deployment


@pytest.fixture(scope="session")
def commit(candidate: Deployment | None, target: Target, pytestconfig: pytest.Config) -> str:
    """Return the commit of the deployment that is judged: of the candidate, else of the one that users have."""
    assert target.vercel
    try:
        with closing(Vercel(target.vercel)) as vercel:
            judged = candidate or vercel.deployment(named(deployment_of(pytestconfig) or target.host))
    except VercelError as error:
        reason = f"Vercel does not say which commit users have: {error}"
        raise NotMeasured(reason) from None
    if judged.commit is None:
        reason = f"Vercel names no commit for {judged.id}, because it was not built from GitHub"
        raise NotMeasured(reason)
    return judged.commit


@pytest.fixture(scope="session")
def reported(commit: str, target: Target) -> CommitStatus:
    """Return what GitHub knows about this commit."""
    assert target.github
    return commit_status.ask(target.github, commit)


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P1",
    judges="upkeep",
    runbook="deployment-checklist",
    needs=("vercel", "commit-status"),
    daily=False,
)
@depends_on("vendor github")
def test_the_commit_has_passed_its_own_tests_types_and_scans(
    reported: CommitStatus, run: Run, evidence: Evidence
) -> None:
    """A build whose tests, types or dependencies failed works until users find the broken part."""
    evidence.attach("commit", "\n".join([reported.sha, *reported.lines()]).encode(), ".txt")

    assert reported.failed == []
    # Before the promotion there is time to wait for the rest.
    if reported.unknown and run.stage == "predeploy":
        reason = f"{reported.sha[:12]} has not passed: {'; '.join(reported.unknown)}"
        raise NotMeasured(reason)


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P2",
    judges="upkeep",
    runbook="deployment-checklist",
    needs=("vercel", "commit-status"),
    daily=False,
)
@depends_on("vendor github")
def test_the_commit_that_users_have_was_tested(reported: CommitStatus) -> None:
    """Users try out a build that nobody has tested: its checks were cancelled, are still running, or never began."""
    assert reported.unfinished == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P2",
    judges="upkeep",
    runbook="key-metrics-dashboard",
    needs=("vercel", "sentry"),
    third_party="sentry",
    daily=False,
)
@depends_on("vendor sentry")
def test_sentry_knows_the_release(commit: str, site: Site, target: Target) -> None:
    """Sentry cannot count the errors of an unknown release: its error rate is zero and looks healthy."""
    assert target.sentry
    sentry = target.sentry
    route = f"GET {sentry.api}/api/0/organizations/{sentry.organization}/releases/{commit}/"
    release = site.ask(route, headers={"authorization": f"Bearer {sentry.token}"})

    if release.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        reason = f"Sentry refuses the token, make one with org:read: {release.exchange()}"
        raise NotMeasured(reason)
    assert release.status == HTTPStatus.OK
