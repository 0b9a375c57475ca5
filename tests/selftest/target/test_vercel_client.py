"""The client of Vercel's API: the requests that it repeats, those that it must not repeat, and its secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from fixtures.target.targets_file import VercelAccess
from fixtures.target.vercel import Vercel, VercelError
from fixtures.target.vercel_words import Deployment
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge

TOKEN = "secret-token-1234"  # noqa: S105  (it is to be looked for)
PROJECT = {"id": "prj_1", "name": "7peducation"}


@dataclass
class Api:
    """Gives its answers in turn, the last one for ever; keeps the requests and the client's waits between them."""

    answers: list[Callable[[httpx.Request], httpx.Response]]
    requests: list[httpx.Request] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)

    def client(self, team: str | None = None, deadline: float = 10) -> Vercel:
        """Return a client of it that does not really wait."""
        access = VercelAccess(api="https://api.test", project="7peducation", token=TOKEN, team=team)
        return Vercel(access, deadline=deadline, transport=httpx.MockTransport(self), sleep=self.waits.append)


def says(status: int, body: object = None, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """Return an answer."""
    return lambda _: httpx.Response(status, json=body, headers=headers)


def error(status: int, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """Return an error in Vercel's form."""
    return says(status, {"error": {"code": "odd", "message": "An odd thing"}}, **headers)


def unreachable(_request: httpx.Request) -> httpx.Response:
    """Refuse the connection."""
    message = "refused"
    raise httpx.ConnectError(message)


def silent(_request: httpx.Request) -> httpx.Response:
    """Take the request and never answer."""
    message = "timed out"
    raise httpx.ReadTimeout(message)


def test_a_read_is_asked_again_after_5xx_429_and_silence() -> None:
    """Retry-After is kept."""
    api = Api([error(500), error(429, **{"retry-after": "2"}), silent, unreachable, says(200, PROJECT)])

    with api.client() as vercel:
        assert vercel.project().id == "prj_1"

    assert len(api.requests) == 5
    assert api.waits[1] == 2


def test_a_wait_beyond_the_deadline_is_not_waited() -> None:
    """A rollback cannot wait an hour for a rate limit."""
    api = Api([error(429, **{"retry-after": "3600"})])

    with api.client() as vercel, pytest.raises(VercelError, match="429 odd: An odd thing"):
        vercel.project()

    assert api.waits == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 422])
def test_a_refusal_is_final(status: int) -> None:
    """The error carries Vercel's own words."""
    api = Api([error(status)])

    with api.client() as vercel, pytest.raises(VercelError) as refused:
        vercel.rollback("prj_1", "dpl_1", "why")

    assert (refused.value.status, refused.value.code, refused.value.ambiguous) == (status, "odd", False)
    assert len(api.requests) == 1


@pytest.mark.parametrize("answer", [error(500), silent], ids=["500", "no answer"])
def test_a_rollback_that_may_have_been_accepted_is_not_repeated_blindly(
    answer: Callable[[httpx.Request], httpx.Response],
) -> None:
    """The caller has to look at the alias first."""
    api = Api([answer, says(201)])

    with api.client() as vercel, pytest.raises(VercelError) as unclear:
        vercel.rollback("prj_1", "dpl_1", "why")

    assert unclear.value.ambiguous
    assert len(api.requests) == 1


@pytest.mark.parametrize("answer", [unreachable, error(429)], ids=["not connected", "429"])
def test_a_rollback_that_was_certainly_not_accepted_is_asked_again(
    answer: Callable[[httpx.Request], httpx.Response],
) -> None:
    """The second request names the same explicit deployment."""
    api = Api([answer, says(201)])

    with api.client(team="team_1") as vercel:
        vercel.rollback("prj_1", "dpl_1", "why")

    request = api.requests[-1]
    assert (request.method, request.url.path, request.content) == ("POST", "/v9/projects/prj_1/rollback/dpl_1", b"{}")
    assert dict(request.url.params) == {"teamId": "team_1", "description": "why"}


@pytest.mark.parametrize("body", [b"<html>", b'{"name": "no id"}', b"\xff"])
def test_an_answer_that_cannot_be_read(body: bytes) -> None:
    """The error says in words that Vercel's answer is unreadable."""
    api = Api([lambda _: httpx.Response(200, content=body)])

    with api.client() as vercel, pytest.raises(VercelError, match="unreadable"):
        vercel.project()


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ({"jobStatus": "canceled", "type": "rollback", "toDeploymentId": "dpl_1", "requestedAt": 1}, "canceled"),
        ({"jobStatus": None, "type": "restore", "toDeploymentId": 7, "requestedAt": "today"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_an_alias_job_in_words_that_nobody_documented_is_read(last: dict[str, object], status: str) -> None:
    """The gate needs the project to undo a bad deployment; the last job only matters once it is ours."""
    api = Api([says(200, PROJECT | {"lastAliasRequest": last, "autoAssignCustomDomains": "yes"})])

    with api.client() as vercel:
        project = vercel.project()

    assert project.id == "prj_1"
    assert project.auto_assign_custom_domains is None
    assert project.last_alias_request is not None
    assert project.last_alias_request.job_status == status


def test_a_row_that_cannot_be_read_hides_no_other() -> None:
    """One odd deployment in the list must not leave the gate without one to go back to."""
    good = {"uid": "dpl_1", "url": "x.vercel.app", "readyState": "REVIEWING", "readySubstate": "CANARY", "created": 1}
    api = Api([says(200, PROJECT), says(200, {"deployments": [None, {"uid": "dpl_2"}, {"url": "y.vercel.app"}, good]})])

    with api.client() as vercel:
        (found,) = vercel.deployments()

    assert (found.id, found.state, found.substate) == ("dpl_1", "REVIEWING", "CANARY")


@pytest.mark.parametrize(
    ("words", "asked", "served"),
    [
        ({}, True, False),
        ({"readyState": "READY", "readySubstate": "PROMOTED"}, True, True),
        ({"readyState": "READY", "readySubstate": "STAGED", "isRollbackCandidate": True}, True, False),
        ({"readyState": "READY", "readySubstate": "ROLLING"}, True, False),
        ({"readyState": "ERROR", "readySubstate": None}, False, False),
        ({"readyState": "SERVING", "readySubstate": "LIVE", "isRollbackCandidate": True}, True, True),
        ({"readyState": "SERVING", "readySubstate": "LIVE"}, True, False),
        ({"readyState": 7, "readySubstate": ["PROMOTED"], "target": "prod"}, True, False),
    ],
)
def test_only_a_documented_no_counts_against_a_deployment(
    words: dict[str, object], *, asked: bool, served: bool
) -> None:
    """Vercel adds words without notice; a state that this suite does not know is shown by the deployment's answers."""
    found = Deployment.of({"uid": "dpl_1", "url": "x.vercel.app", **words})

    assert (found.can_be_asked, found.has_served) == (asked, served)


@pytest.mark.parametrize(
    ("target", "environment"),
    [("production", "production"), (None, "preview"), ("staging", "preview"), ("live", "production")],
)
def test_a_target_in_a_new_word_is_not_taken_for_a_preview(target: str | None, environment: str) -> None:
    """A preview has other variables."""
    assert Deployment.of({"uid": "dpl_1", "url": "x.vercel.app", "target": target}).environment == environment


def page(*created: int, following: int | None) -> Callable[[httpx.Request], httpx.Response]:
    """Return a page of the list."""
    rows = [{"uid": f"dpl_{one}", "url": f"{one}.vercel.app", "created": one} for one in created]
    return says(200, {"deployments": rows, "pagination": {"count": len(rows), "next": following, "prev": None}})


def test_the_list_is_read_a_page_after_the_other() -> None:
    """Twenty-five builds may lie between two that served production, and a page has its end."""
    api = Api([says(200, PROJECT), page(9, 8, following=8), page(7, 6, following=6), page(5, following=None)])

    with api.client() as vercel:
        found = [row.created for row in vercel.deployments(before=10)]

    assert found == [9, 8, 7, 6, 5]
    assert [request.url.params.get("until") for request in api.requests[1:]] == ["10", "8", "6"]


def test_a_page_is_asked_for_when_it_is_needed() -> None:
    """The first page has the control nearly always."""
    api = Api([says(200, PROJECT), page(9, 8, following=8)])

    with api.client() as vercel:
        assert next(iter(vercel.deployments())).created == 9

    assert len(api.requests) == 2


@pytest.mark.parametrize("following", [[8, 8], list(range(5000, 0, -1))], ids=["a circle", "thousands of pages"])
def test_the_list_has_an_end(following: list[int]) -> None:
    """A list that never ends must not hold the gate up: 2000 deployments are read at most."""
    api = Api([says(200, PROJECT), *(page(9, following=one) for one in following)])

    with api.client() as vercel:
        assert len(list(vercel.deployments())) <= 20


ACTIVE = {"state": "ACTIVE", "canaryDeployment": {"id": "dpl_new"}, "currentDeployment": {"id": "dpl_old"}}


@pytest.mark.parametrize(
    ("release", "said"),
    [
        (None, None),
        (ACTIVE | {"state": "COMPLETE"}, None),
        (ACTIVE | {"state": "ABORTED", "activeStage": {"targetPercentage": 10}}, None),
        (ACTIVE | {"activeStage": {"targetPercentage": 10}}, "dpl_new serves 10 % of the visitors, dpl_old the others"),
        (ACTIVE | {"substate": "PAUSED"}, "in progress, paused: dpl_new serves a part of the visitors"),
        # A new word for a state is judged by what goes with it.
        (ACTIVE | {"state": "ADVANCING", "activeStage": {"targetPercentage": 12.5}}, "dpl_new serves 12.5 %"),
        (ACTIVE | {"state": "PREPARED", "activeStage": None}, None),
        ({"state": "ACTIVE", "canaryDeployment": {"id": 7}, "currentDeployment": "?"}, "None serves a part"),
    ],
)
def test_a_rolling_release_in_progress(release: dict[str, object] | None, said: str | None) -> None:
    """Two deployments answer production then, and a verdict about both proves nothing about either."""
    api = Api([says(200, {"rollingRelease": release})])

    with api.client() as vercel:
        found = vercel.rolling_release("prj_1")

    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize("status", [402, 403, 404])
def test_a_plan_without_rolling_releases_has_none(status: int) -> None:
    """They belong to the larger plans."""
    with Api([error(status)]).client() as vercel:
        assert vercel.rolling_release("prj_1") is None


def test_the_token_is_nowhere() -> None:
    """No repr and no error contains the token."""
    api = Api([error(403)])

    with api.client() as vercel, pytest.raises(VercelError) as refused:
        vercel.project()

    assert api.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in f"{vercel!r} {refused.value!r} {refused.value}"


class TestAgainstTheEdge:
    """The same calls, answered by the sandbox's Vercel."""

    @pytest.fixture
    def running(self) -> Iterator[RunningEdge]:
        """Return an edge of its own."""
        with run_edge() as running:
            yield running

    @pytest.fixture
    def vercel(self, running: RunningEdge) -> Iterator[Vercel]:
        """Return a client of it."""
        with Vercel(
            VercelAccess(api=running.api.url, project=running.edge.project.name, token=running.edge.token)
        ) as vercel:
            yield vercel

    def test_deployments_newest_first(self, running: RunningEdge, vercel: Vercel) -> None:
        """A staged one has never served; previews are not listed."""
        first = running.publish(promote=True)
        second = running.publish(promote=True)
        staged = running.publish()
        running.publish("preview")

        found = list(vercel.deployments())

        assert [(row.id, row.substate) for row in found] == [
            (staged.id, "STAGED"),
            (second.id, "PROMOTED"),
            (first.id, "PROMOTED"),
        ]
        assert found[0].commit == staged.build.commit

    def test_the_alias(self, running: RunningEdge, vercel: Vercel) -> None:
        """The alias may name a deleted deployment, or none."""
        host = running.edge.production_listener.address
        assert vercel.production_id(host) is None
        deployment = running.publish(promote=True)
        deployment.deleted = True

        assert vercel.production_id(host) == deployment.id
        with pytest.raises(VercelError, match="404"):
            vercel.deployment(deployment.id)

    def test_a_wrong_token(self, running: RunningEdge) -> None:
        """The error is a refusal, and not an empty alias."""
        with (
            Vercel(VercelAccess(api=running.api.url, project="7peducation", token="".join(reversed(TOKEN)))) as vercel,
            pytest.raises(VercelError, match="403"),
        ):
            vercel.production_id(running.edge.production_listener.address)
