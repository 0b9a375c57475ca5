"""The REST calls of the edge, as the real API was recorded: shapes, refusals, and the knobs that break it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from fixtures.sandbox.edge.deployments import Deployment
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge


@pytest.fixture
def running() -> Iterator[RunningEdge]:
    """Return an edge of its own."""
    with run_edge() as running:
        yield running


@pytest.fixture
def good(running: RunningEdge) -> Deployment:
    """Return the deployment that served production before."""
    return running.publish(promote=True)


@pytest.fixture
def bad(running: RunningEdge, good: Deployment) -> Deployment:
    """Return the deployment that production serves now."""
    assert good.ready_substate == "PROMOTED"
    return running.publish(promote=True)


def project(running: RunningEdge) -> dict[str, object]:
    """Return the project as the API shows it."""
    answer = running.call("GET", f"/v9/projects/{running.edge.project.name}", {"rollbackInfo": "true"})
    content: dict[str, object] = answer.json()
    return content


def roll_back(running: RunningEdge, deployment: Deployment) -> int:
    """Request a rollback; return the status of the answer."""
    path = f"/v9/projects/{running.edge.project.id}/rollback/{deployment.id}"
    return running.call("POST", path, body={}).status_code


def job_status(running: RunningEdge, *, while_in: tuple[str, ...] = ("pending", "in-progress")) -> str:
    """Poll the alias job until it leaves the given states or ten seconds are over; return its state."""
    until = time.monotonic() + 10
    while True:
        request = project(running)["lastAliasRequest"]
        assert isinstance(request, dict)
        if request["jobStatus"] not in while_in or time.monotonic() > until:
            return str(request["jobStatus"])


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic abc", "Bearer"])
def test_a_stranger_is_refused(running: RunningEdge, authorization: str | None) -> None:
    """Every call needs the token, and the refusal is Vercel's error object."""
    headers = {"authorization": authorization} if authorization else {}

    answer = running.client.get(f"{running.api.url}/v2/user", headers=headers)

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["code"] == "forbidden"


def test_the_user_names_the_default_team_of_a_team_project(running: RunningEdge) -> None:
    """The CLI takes its scope from this field."""
    personal = running.call("GET", "/v2/user").json()["user"]
    running.edge.project.team = {"id": "team_7p", "slug": "7p", "name": "7P"}
    member = running.call("GET", "/v2/user").json()["user"]

    assert (personal["id"], "defaultTeamId" in personal) == (running.edge.project.user["id"], False)
    assert (member["version"], member["defaultTeamId"]) == ("northstar", "team_7p")
    assert running.call("GET", "/teams/team_7p").json()["slug"] == "7p"
    assert [team["id"] for team in running.call("GET", "/v1/teams").json()["teams"]] == ["team_7p"]


def test_another_scope_is_refused(running: RunningEdge, good: Deployment) -> None:
    """A token of one team sees nothing of another."""
    assert running.call("GET", f"/v13/deployments/{good.id}", {"teamId": "team_other"}).status_code == 403


def test_a_deployment_is_found_by_id_by_host_and_by_alias(
    running: RunningEdge, good: Deployment, bad: Deployment
) -> None:
    """The API names the alias's deployment for a production host: the independent proof of a rollback."""
    hosts = [good.id, good.url, running.edge.production_listener.address]

    found = [running.call("GET", f"/v13/deployments/{host}").json() for host in hosts]

    assert [row["id"] for row in found] == [good.id, good.id, bad.id]
    assert (found[0]["readyState"], found[0]["readySubstate"], found[0]["target"]) == (
        "READY",
        "PROMOTED",
        "production",
    )
    assert found[0]["meta"]["githubCommitSha"] == good.build.commit
    assert "team" not in found[0]


def test_an_unknown_and_a_deleted_deployment_are_not_found(running: RunningEdge, good: Deployment) -> None:
    """A deployment past its retention cannot be a rollback target."""
    good.deleted = True
    running.edge.production = None
    names = ["dpl_unknown", good.id, good.url, running.edge.production_listener.address]

    answers = [running.call("GET", f"/v13/deployments/{name}") for name in names]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert {answer.json()["error"]["code"] for answer in answers} == {"not_found"}


def test_the_list_is_newest_first_filtered_and_paged(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """Only a deployment that served production and does not now is offered as a rollback target."""
    staged, preview = running.publish(), running.publish("preview")

    def listed(**query: str) -> list[str]:
        rows = running.call("GET", "/v6/deployments", {"projectId": running.edge.project.id, **query}).json()
        assert all(newer["created"] > older["created"] for newer, older in pairwise(rows["deployments"]))
        return [row["uid"] for row in rows["deployments"]]

    assert listed() == [preview.id, staged.id, bad.id, good.id]
    assert listed(target="production", state="READY") == [staged.id, bad.id, good.id]
    assert listed(rollbackCandidate="true") == [good.id]
    assert listed(sha=bad.build.commit) == [bad.id]
    assert listed(until=str(bad.created)) == [good.id]
    assert listed(since=str(staged.created), limit="1") == [preview.id]
    page = running.call("GET", "/v6/deployments", {"limit": "2"}).json()["pagination"]
    assert page == {"count": 2, "next": staged.created, "prev": None}


def test_the_project_is_found_by_id_and_by_name(running: RunningEdge, good: Deployment) -> None:
    """`rollingRelease` is absent while there is none: the key would change how the CLI promotes."""
    by_id = running.call("GET", f"/v9/projects/{running.edge.project.id}").json()

    assert by_id == project(running)
    assert by_id["targets"]["production"]["id"] == good.id
    assert by_id["autoAssignCustomDomains"] is True
    assert "rollingRelease" not in by_id
    assert running.call("GET", "/v9/projects/other").status_code == 404


def test_a_rollback_is_a_job_and_its_end_moves_the_alias(
    running: RunningEdge, good: Deployment, bad: Deployment
) -> None:
    """201 only means that the request was accepted; alias, project and traffic follow."""
    before = int(time.time() * 1000)
    running.edge.job_seconds = 1.0

    status = roll_back(running, good)
    at_once = running.served()
    ended = job_status(running)
    after = project(running)
    request = after["lastAliasRequest"]

    assert (status, at_once, ended, running.served()) == (201, bad.id, "succeeded", good.id)
    assert isinstance(request, dict)
    assert (request["type"], request["fromDeploymentId"], request["toDeploymentId"]) == ("rollback", bad.id, good.id)
    assert before <= request["requestedAt"] <= int(time.time() * 1000)
    assert after["autoAssignCustomDomains"] is False


def test_after_a_rollback_a_push_stays_staged_until_a_promote(
    running: RunningEdge, good: Deployment, bad: Deployment
) -> None:
    """The next fix is not live until somebody promotes it."""
    roll_back(running, good)
    job_status(running)
    fix = running.publish(promote=True)
    staged = (running.served(), fix.ready_substate)

    promoted = running.call("POST", f"/v10/projects/{running.edge.project.id}/promote/{fix.id}", body={})
    job_status(running)

    assert staged == (good.id, "STAGED")
    assert promoted.status_code == 201
    assert (running.served(), fix.ready_substate) == (fix.id, "PROMOTED")
    assert project(running)["autoAssignCustomDomains"] is True
    assert bad.ready_substate == "PROMOTED"


def test_the_reason_is_kept_and_can_be_changed(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """A team reads in Vercel why production was rolled back."""
    path = f"/projects/{running.edge.project.id}/rollback/{good.id}"
    running.call("POST", f"/v9{path}", {"description": "health down"}, {})
    first = project(running)["rollbackDescription"]
    changed = running.call("PATCH", f"/v1{path}/update-description", body={"description": "gate: P0"})
    second = project(running)["rollbackDescription"]

    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["description"], changed.status_code, second["description"]) == ("health down", 200, "gate: P0")
    assert bad.id != good.id


def test_auto_assign_can_be_switched(running: RunningEdge) -> None:
    """A person switches it back on by hand after undoing a rollback."""
    path = f"/v9/projects/{running.edge.project.id}"

    answer = running.call("PATCH", path, body={"autoAssignCustomDomains": False})
    wrong = running.call("PATCH", path, body={"autoAssignCustomDomains": "no"})

    assert (answer.status_code, answer.json()["autoAssignCustomDomains"]) == (200, False)
    assert wrong.status_code == 400


def test_every_way_to_ask_for_production_agrees(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """Four calls name the current deployment."""
    host = running.edge.production_listener.address
    path = f"/projects/{running.edge.project.id}/production-deployment"

    assert running.call("GET", path).json()["deployment"]["id"] == bad.id
    assert running.call("GET", f"/v4/aliases/{host}").json()["deploymentId"] == bad.id
    aliases = [running.call("GET", f"/v2/deployments/{known.id}/aliases").json()["aliases"] for known in (good, bad)]
    assert [[row["alias"] for row in rows] for rows in aliases] == [[], [host]]
    assert running.call("GET", "/v4/aliases/other.test").status_code == 404
    assert running.call("GET", f"/v11/deployments/{bad.id}/builds").json() == {"builds": []}


@pytest.mark.parametrize("status", [400, 402, 403, 409, 410, 422, 500])
def test_a_planned_refusal_moves_nothing(running: RunningEdge, good: Deployment, bad: Deployment, status: int) -> None:
    """`rollback_status` answers every rollback with this status until it is reset."""
    running.edge.rollback_status = status

    refused = [roll_back(running, good) for _ in range(2)]
    running.edge.rollback_status = None

    assert refused == [status, status]
    assert running.edge.alias_requests[-1].to_id == bad.id
    assert roll_back(running, good) == 201


def test_429_says_how_long_to_wait_and_passes(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """`rollback_status_times` limits how often the refusal comes."""
    running.edge.rollback_status, running.edge.rollback_status_times, running.edge.retry_after_s = 429, 1, 7
    path = f"/v9/projects/{running.edge.project.id}/rollback/{good.id}"

    first, second = running.call("POST", path, body={}), running.call("POST", path, body={})

    assert (first.status_code, first.headers["retry-after"], second.status_code) == (429, "7", 201)
    assert running.edge.production in {good.id, bad.id}


def test_a_repeated_request_is_one_and_another_is_refused_while_it_runs(
    running: RunningEdge, good: Deployment, bad: Deployment
) -> None:
    """The CLI repeats a request after a 5xx: that must not be a second rollback."""
    running.edge.job_outcome = "stuck"

    statuses = [roll_back(running, good), roll_back(running, good)]
    other = running.call("POST", f"/v10/projects/{running.edge.project.id}/promote/{bad.id}", body={})

    assert statuses == [201, 201]
    assert [job.kind for job in running.edge.alias_requests] == ["promote", "promote", "rollback"]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")


def test_a_deleted_a_staged_and_a_preview_deployment_are_no_targets(
    running: RunningEdge, good: Deployment, bad: Deployment
) -> None:
    """A rollback target has served production and still exists."""
    good.deleted = True
    targets = [good, running.publish(), running.publish("preview")]

    assert [roll_back(running, target) for target in targets] == [410, 422, 422]
    assert running.served() == bad.id


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_job_can_end_without_moving_anything(
    running: RunningEdge, good: Deployment, bad: Deployment, outcome: str
) -> None:
    """An accepted request is not yet a rollback."""
    running.edge.job_outcome = "failed" if outcome == "failed" else "skipped"

    status = roll_back(running, good)

    assert (status, job_status(running), running.served()) == (201, outcome, bad.id)


def test_a_stuck_job_never_ends(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """Only the gate's own time limit ends the wait."""
    running.edge.job_outcome = "stuck"
    roll_back(running, good)

    assert job_status(running, while_in=("pending",)) == "in-progress"
    assert running.served() == bad.id


def test_a_stale_request_still_names_the_bad_build(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """The real CLI reports success in this case and names the wrong deployment."""
    running.edge.stale_alias_request = True

    roll_back(running, good)
    request = project(running)["lastAliasRequest"]

    assert isinstance(request, dict)
    assert (request["type"], request["toDeploymentId"], request["jobStatus"]) == ("promote", bad.id, "succeeded")


def test_the_platform_s_clock_can_be_off(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """The CLI does not see a request whose time is three minutes old by our clock."""
    running.edge.clock_skew_s = -600
    roll_back(running, good)
    request = project(running)["lastAliasRequest"]

    assert isinstance(request, dict)
    assert request["requestedAt"] < (time.time() - 500) * 1000
    assert request["fromDeploymentId"] == bad.id


def test_a_domain_that_cannot_be_moved_fails_the_job(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """One domain may have moved while another still serves the bad build."""
    running.edge.domains = ["www.7peducation.test"]
    running.edge.failed_aliases = ["www.7peducation.test"]
    roll_back(running, good)

    state = job_status(running)
    path = f"/v9/projects/{running.edge.project.id}/rollback/aliases"
    failed = running.call("GET", path, {"failedOnly": "true", "limit": "20"}).json()["aliases"]
    every = running.call("GET", path).json()["aliases"]

    assert state == "failed"
    assert [(row["alias"]["alias"], row["status"]) for row in failed] == [("www.7peducation.test", "failed")]
    assert [row["status"] for row in every] == ["completed", "failed"]
    assert bad.id != running.served()


def test_traffic_can_lag_behind_a_job_that_succeeded(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """The API names the new deployment while users still meet the old one."""
    running.edge.propagation_s = 2.0
    roll_back(running, good)
    job_status(running)
    named = running.call("GET", f"/v13/deployments/{running.edge.production_listener.address}").json()["id"]
    at_first = running.served()
    until = time.monotonic() + 10
    while running.served() != good.id and time.monotonic() < until:
        pass

    assert (named, at_first, running.served()) == (good.id, bad.id, good.id)


def test_a_rolling_release_queues_a_promote_and_a_rollback_aborts_it(
    running: RunningEdge, good: Deployment, bad: Deployment
) -> None:
    """202 means that the promote waits for the active release."""
    running.edge.project.rolling_release = {"state": "ACTIVE", "queuedDeploymentId": None}
    shown = project(running)["rollingRelease"]

    promoted = running.call("POST", f"/v10/projects/{running.edge.project.id}/promote/{bad.id}", body={})
    running.edge.project.rolling_release = {"state": "ACTIVE"}
    roll_back(running, good)
    job_status(running)
    path = f"/v1/projects/{running.edge.project.id}/rolling-release"

    assert shown == {"state": "ACTIVE", "queuedDeploymentId": None}
    assert promoted.status_code == 202
    assert running.call("GET", path).json() == {"rollingRelease": None}


def test_the_request_log_names_who_answered(running: RunningEdge, good: Deployment, bad: Deployment) -> None:
    """These rows are the basis of the error rate; a query string never gets into them."""
    running.client.get(f"{running.edge.production_url}/courses?code=gizli")
    running.client.get(f"{running.edge.production_url}/crash")
    running.client.get(good.base_url)

    def rows(**query: str) -> list[dict[str, object]]:
        content = running.call("GET", "/api/logs/request-logs", {"projectId": running.edge.project.id, **query}).json()
        assert content["hasMoreRows"] is False
        listed: list[dict[str, object]] = content["rows"]
        return listed

    assert [row["requestPath"] for row in rows()] == ["/", "/crash", "/courses"]
    assert [row["requestPath"] for row in rows(statusCode="5xx")] == ["/crash"]
    assert [row["requestPath"] for row in rows(deploymentId=bad.id)] == ["/crash", "/courses"]
    assert rows(startDate=str(int(time.time() * 1000) + 60_000)) == []
    assert rows(statusCode="500")[0]["logs"] == [{"level": "error", "message": "FUNCTION_INVOCATION_FAILED"}]


def test_an_unknown_call_is_an_error_object(running: RunningEdge) -> None:
    """A call that this stand-in lacks must not look like success."""
    answer = running.call("POST", "/v1/projects", body={})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
