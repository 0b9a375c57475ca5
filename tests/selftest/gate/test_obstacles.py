"""Obstacles to a verdict: a rolling release, and maintenance that targets.toml declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ci.obstacles import maintenance_page
from fixtures.target.maintenance import Window
from fixtures.target.sandbox_handle import Handle
from fixtures.target.target import Target
from tests.selftest.gate.verdicts import HEALTH, PAGES
from tests.selftest.gate.world import World, a_world
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge

NOTICE = "<title>7P Education</title><h1>Bakım çalışması</h1>"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a world of its own."""
    with a_world(tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture(scope="module")
def running() -> Iterator[RunningEdge]:
    """Return an edge that opens addresses."""
    with run_edge() as running:
        yield running


class TestRollingRelease:
    """Two deployments share the visitors: nothing is undone, and nobody is told of an incident."""

    def release(self, world: World, **changes: object) -> None:
        """Start one."""
        world.running.edge.project.rolling_release = {
            "state": "ACTIVE",
            "currentDeployment": {"id": world.good.id},
            "canaryDeployment": {"id": world.bad.id},
            "activeStage": {"index": 0, "targetPercentage": 10},
            **changes,
        }

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({}, "serves 10 % of the visitors"),
            ({"substate": "PAUSED"}, "in progress, paused:"),
            ({"state": "ADVANCING"}, "serves 10 % of the visitors"),
        ],
        ids=["ten percent", "paused", "in a new word"],
    )
    @pytest.mark.parametrize("red_on", ["bad", "good", "*"])
    def test_it_is_named_in_the_first_line_and_holds(
        self, world: World, changes: dict[str, object], said: str, red_on: str
    ) -> None:
        """Whichever is broken: a rollback would undo the wrong one for most of the visitors."""
        self.release(world, **changes)
        world.suite.broken = {HEALTH: {getattr(world, red_on).id if red_on != "*" else "*"}}

        assert world.run() == 3

        summary = (world.options.reports / "summary.md").read_text()
        assert said in summary.splitlines()[0]
        assert (world.posts, world.state.incidents(), world.state.last_good()) == (0, [], None)

    @pytest.mark.parametrize("state", ["ABORTED", "COMPLETE"])
    def test_one_that_has_ended_changes_nothing(self, world: World, state: str) -> None:
        """One deployment serves everybody again."""
        self.release(world, state=state)

        assert world.run() == 0

    def test_a_candidate_is_judged_before_its_promotion_all_the_same(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only its own address is asked, and nobody shares that."""
        monkeypatch.setenv("SYNTHETIC_DEPLOYMENT", world.running.publish().id)
        self.release(world)

        assert world.run(replace(world.options, command="predeploy")) == 0

    def test_one_that_begins_during_the_run_is_seen(self, world: World) -> None:
        """It is asked for after the checks too."""
        world.suite.broken = {HEALTH: {"*"}}
        world.suite.after = lambda _: self.release(world)

        assert world.run() == 3

    def test_a_canary_that_was_asked_for_is_no_missing_promotion(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Production's alias names the other one."""
        monkeypatch.setenv("SYNTHETIC_DEPLOYMENT", world.good.id)
        self.release(world)

        assert world.run() == 3
        assert "a rolling release is in progress" in world.decision["reasons"][0]


def page(status: int = 200, headers: dict[str, str] | None = None, body: str = NOTICE) -> Response:
    """Return a page."""
    return HTMLResponse(body, status, headers)


async def shop(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer each address with a page of its own."""
    await page(body=f"<h1>Markalar {scope['path']}</h1><p>Bakım gerektirmez</p>")(scope, receive, send)


class TestMaintenancePage:
    """Each way in which platforms say that maintenance is under way."""

    def seen(self, running: RunningEdge, answer: ASGIApp) -> str:
        """Return how an address that answers everything in this way speaks of maintenance."""
        listener = running.do(running.edge.listeners.open(answer))
        return maintenance_page(Target(name="t", url=listener.url, mode="act"), listener.url)

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (page(503), "answers 503 with a maintenance page"),
            (page(503, {"retry-after": "3600"}, "<h1>Birazdan döneriz</h1>"), "answers 503, retry after 3600"),
            (PlainTextResponse("Down for scheduled maintenance", 503), "answers 503 with a maintenance page"),
            (page(), "answers 200 with a maintenance page"),
            (page(body="<title>Scheduled Maintenance</title>"), "answers 200 with a maintenance page"),
            (RedirectResponse("/maintenance"), "leads to /maintenance"),
            (RedirectResponse("https://status.7p.test/bakim?from=/", 302), "leads to https://status.7p.test/bakim"),
            (page(body="<h1>Wir sind gleich zurück</h1>"), 'with "Wir sind gleich zurück", as every address does'),
            (RedirectResponse("/birazdan?from=/"), "leads to /birazdan, as every address does"),
        ],
    )
    def test_seen(self, running: RunningEdge, answer: ASGIApp, said: str) -> None:
        """A page, a rewrite or a redirect."""
        assert said in self.seen(running, answer)

    @pytest.mark.parametrize(
        "answer",
        [
            page(body=""),
            page(503, body="<h1>503 Service Unavailable</h1>"),
            page(500),
            page(404),
            RedirectResponse("/login?callbackUrl=/maintenance"),
            JSONResponse({"status": "maintenance"}),
            shop,
        ],
    )
    def test_not_seen(self, running: RunningEdge, answer: ASGIApp) -> None:
        """A crashed application answers 503 too, and a text may speak of maintenance."""
        assert self.seen(running, answer) == ""


class TestMaintenance:
    """A maintenance page is expected in its declared window only."""

    def show(self, world: World) -> None:
        """Let production show the page, and the checks that need the site be red on it."""
        world.suite.broken = {HEALTH: {world.bad.id}, PAGES: {world.bad.id}}
        world.running.edge.application = page(503)

    def declare(self, world: World, begins: timedelta) -> None:
        """Declare a window of two hours, from a moment before or after now."""
        start = datetime.now(UTC) + begins
        window = Window(begins=start, until=start + timedelta(hours=2), reason="PostgreSQL 17")
        path = world.options.reports.parent / "handle.json"
        handle = msgspec.json.decode(path.read_bytes(), type=Handle)
        msgspec.structs.replace(handle, maintenance=[window]).write(path)

    @pytest.mark.parametrize("begins", [timedelta(hours=-1), timedelta(hours=-2, seconds=5)])
    def test_declared_it_holds_and_the_window_is_named(self, world: World, begins: timedelta) -> None:
        """People know of it; the build behind the page is judged afterwards, also when the window ends meanwhile."""
        self.show(world)
        self.declare(world, begins)

        assert world.run() == 3

        first = (world.options.reports / "summary.md").read_text().splitlines()[0]
        assert "the declared maintenance window" in first
        assert "PostgreSQL 17" in first
        assert (world.posts, world.state.incidents()) == (0, [])

    @pytest.mark.parametrize("begins", [None, timedelta(hours=-3), timedelta(hours=1)])
    def test_undeclared_it_is_an_outage(self, world: World, begins: timedelta | None) -> None:
        """The control answers normally: the deployment is undone."""
        self.show(world)
        if begins is not None:
            self.declare(world, begins)

        assert world.run() == 1
        assert any("judged as an outage" in note for note in world.decision["notes"])

    def test_a_failure_in_the_window_that_shows_no_page_is_a_failure(self, world: World) -> None:
        """The window excuses the page, and nothing else."""
        world.suite.broken = {HEALTH: {world.bad.id}}
        self.declare(world, timedelta(hours=-1))

        assert world.run() == 1

    def test_a_healthy_run_in_the_window_is_kept(self, world: World) -> None:
        """Maintenance may end early."""
        self.declare(world, timedelta(hours=-1))

        assert world.run() == 0
