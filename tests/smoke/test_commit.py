"""The commit and the release that the candidate was built from, checked before users get it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from fixtures.checks.declarations import depends_on
from fixtures.checks.evidence import Evidence, NotMeasured
from fixtures.site.client import Site
from fixtures.target.target import Target
from fixtures.vendors import commit_status

if TYPE_CHECKING:
    from fixtures.target.vercel_words import Deployment


@pytest.fixture
def commit(candidate: Deployment | None) -> str:
    """Return the candidate's commit."""
    if candidate is None or candidate.commit is None:
        reason = "Vercel names no commit for the candidate, because it was not built from GitHub"
        raise NotMeasured(reason)
    return candidate.commit


@pytest.mark.predeploy
@pytest.mark.check(
    severity="P1",
    judges="upkeep",
    runbook="deployment-checklist",
    needs=("vercel", "commit-status"),
    daily=False,
)
@depends_on("vendor github")
def test_the_commit_has_passed_its_own_tests_types_and_scans(commit: str, target: Target, evidence: Evidence) -> None:
    """A build whose tests, types or dependencies failed works until users find the broken part."""
    assert target.github
    status = commit_status.ask(target.github, commit)
    evidence.attach("commit", "\n".join([commit, *status.lines()]).encode(), ".txt")

    assert status.failed == []
    if status.unknown:
        reason = f"{commit[:12]} has not passed: {'; '.join(status.unknown)}"
        raise NotMeasured(reason)


@pytest.mark.predeploy
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
