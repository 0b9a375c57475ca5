"""The whole path, as a person runs it: fault, red set, decision, exit code, and the platform afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from fixtures.model.verdict import Outcome, Verdict
from fixtures.sandbox.faults import CATALOGUE
from fixtures.sandbox.faults.red_set import surprises
from fixtures.site.catalogue import Course
from fixtures.site.leftovers import Enrolment
from fixtures.state.state import open_state
from tests.selftest.gate.running_gate import Ran, RunningPlatform, run_platform


def _broken(folder: Path, fault: str, stage: str = "postdeploy") -> Iterator[RunningPlatform]:
    with run_platform(folder, fault=fault, stage=stage) as platform:
        yield platform


@pytest.fixture
def healthy(tmp_path: Path) -> Iterator[RunningPlatform]:
    """Return a platform with nothing wrong with it."""
    with run_platform(tmp_path) as platform:
        yield platform


@pytest.fixture
def pages_500(tmp_path: Path) -> Iterator[RunningPlatform]:
    """Return a platform whose newest deployment answers every page with 500."""
    yield from _broken(tmp_path, "pages-500")


def surprises_of(fault: str, ran: Ran) -> list[str]:
    """Return the checks that should be red and are not, and those that are red and should not be."""
    return surprises(CATALOGUE[fault], ran.verdict.checks)


def is_untouched(platform: RunningPlatform) -> bool:
    """Return whether production serves the same deployment and nobody asked for another."""
    return platform.moves == [] and platform.state["production"] == platform.handle.candidate_id


class TestHealthy:
    """The platform has no fault."""

    def test_it_is_kept_and_leaves_no_trace(self, healthy: RunningPlatform) -> None:
        """A run that forgets to cancel an enrolment would fill production by the minute."""
        before = healthy.row_counts()

        ran = healthy.verify()

        assert ran.decided == ("keep", 0), ran.out
        assert set(ran.outcomes.values()) == {Outcome.PASSED}
        assert healthy.row_counts() == before
        assert not (healthy.reports / "leftovers.json").exists()
        assert is_untouched(healthy)
        assert healthy.told == []
        good = open_state(healthy.folder / "state", "sandbox").last_good()
        assert good is not None
        assert good.deployment_id == healthy.handle.candidate_id
        assert set(good.passed) == set(ran.outcomes)

    def test_two_workers_come_to_the_same_verdict(self, healthy: RunningPlatform) -> None:
        """The number of processes that measure is no property of the platform."""
        plan = healthy.folder / "plan.json"
        healthy.end(healthy.command("--list-checks", "--", "-m", "postdeploy", f"--verdict={plan}"))
        before = healthy.row_counts()

        ran = healthy.verify("-n", "2")

        assert ran.decided == ("keep", 0), ran.out
        assert ran.outcomes == {check.node_id: Outcome.PASSED for check in Verdict.read(plan).checks}
        assert healthy.row_counts() == before

    def test_a_course_that_a_journey_is_about_to_enter_is_judged_by_nobody_else(self, healthy: RunningPlatform) -> None:
        """Its page changes in that moment: the button is there, or the student is in."""
        name = "test_pages_and_api_agree_whether_free_enrolment_is_on"
        url = healthy.handle.production_url
        shop = httpx.get(f"{url}/api/courses", trust_env=False).json()["data"]["courses"]
        free = [Course(course["id"], course["title"], 0) for course in shop if not course["price"]]
        planned = [Enrolment(target="sandbox", url=url, role="student", course=course) for course in free]
        healthy.reports.mkdir()
        (healthy.reports / "leftovers.json").write_bytes(msgspec.json.encode(planned))

        ran = healthy.verify("--", "-k", name)

        outcomes = [outcome for node_id, outcome in ran.outcomes.items() if name in node_id]
        assert (len(free) > 1, outcomes) == (True, [Outcome.NOT_APPLICABLE]), ran.out


class TestRollback:
    """The deployment is to blame."""

    @pytest.mark.parametrize("fault", ["pages-500", "not-found"])
    def test_it_is_undone_once_and_production_is_healed(self, fault: str, tmp_path: Path) -> None:
        """
        Exit 1 means that users have the previous deployment back, and that somebody looked.

        Somebody who promotes the bad deployment again gets no second rollback: people must decide.
        """
        with run_platform(tmp_path, fault=fault) as platform:
            bad, good = platform.handle.candidate_id, platform.handle.previous_id

            ran = platform.verify()

            assert ran.decided == ("rollback", 1), ran.out
            assert surprises(CATALOGUE[fault], ran.verdict.checks) == []
            assert surprises_of(fault, ran) == []
            # Some are paired only, for the others no cause is looked for once there is one.
            assert "deployment" in ran.causes.values()
            assert set(ran.causes.values()) <= {"deployment", "unknown"}
            assert platform.state["production"] == good
            assert platform.moves == [(bad, good)]
            assert len(platform.told) == 1
            assert "Resolved" in platform.told[0]
            assert ran.decision["rollback"]["step"] == "healed"
            if fault != "pages-500":
                return
            platform.turn(production=bad)

            again = platform.verify()

            assert again.decided == ("escalate", 5), again.out
            assert "it is tried once" in again.decision["rollback"]["detail"]
            assert platform.state["production"] == bad
            assert platform.moves == [(bad, good)]

    def test_a_rollback_that_vercel_refuses_needs_a_human(self, pages_500: RunningPlatform) -> None:
        """Vercel refuses with 402 (the plan does not allow it): production stays broken, exit 5."""
        pages_500.turn(rollback_status=402)

        ran = pages_500.verify()

        assert ran.decided == ("escalate", 5), ran.out
        assert "402" in ran.decision["rollback"]["detail"]
        assert is_untouched(pages_500)
        assert ["Resolved" in text for text in pages_500.told] == [False]

    @pytest.mark.parametrize("argument", ["--mode=shadow", "--dry-run"])
    def test_only_said(self, pages_500: RunningPlatform, argument: str) -> None:
        """It decides in the same way, so that its score can be read, and changes nothing outside."""
        ran = pages_500.verify(argument)

        assert ran.decided == ("rollback", 1), ran.out
        assert ran.decision["rollback"]["step"] == "would"
        assert is_untouched(pages_500)
        assert pages_500.told == []
        log = pages_500.folder / "state" / "sandbox" / "shadow.json"
        assert log.exists() == (argument == "--mode=shadow")


class TestNoRollback:
    """A rollback would not repair it."""

    @pytest.mark.parametrize(
        ("fault", "decided", "causes"),
        [
            (
                "rls-off-payments",
                ("incident", 4),
                {"test_row_level_security_guards_personal_tables": "existing"},
            ),
            pytest.param(
                "stripe-down",
                ("incident", 4),
                {
                    "test_stripe_answers_through_the_platform": "third-party",
                    "test_health_endpoint_reports_no_failing_check": "existing",
                },
                marks=pytest.mark.proof,  # a minute
            ),
            (
                "unreachable",
                ("hold", 3),
                {
                    "test_health_endpoint_reports_no_failing_check": "runner",
                    "test_home_page_greets_visitors_and_links_to_sign_in": "runner",
                },
            ),
            pytest.param(
                "layout-shift",
                ("alert", 0),
                {"test_content_stays_in_place_while_the_page_loads": "unknown"},
                marks=pytest.mark.proof,
            ),
        ],
    )
    def test_production_is_left_alone(
        self, tmp_path: Path, fault: str, decided: tuple[str, int], causes: dict[str, str]
    ) -> None:
        """Each kind of trouble has an exit code of its own, and none of them touches production."""
        with run_platform(tmp_path, fault=fault) as platform:
            ran = platform.verify()

            assert ran.decided == decided, ran.out
            assert surprises(CATALOGUE[fault], ran.verdict.checks) == []
            assert surprises_of(fault, ran) == []
            assert causes.items() <= ran.causes.items()
            assert is_untouched(platform)

    def test_before_the_promotion_it_is_blocked(self, tmp_path: Path) -> None:
        """Users never meet it: production goes on serving the deployment before."""
        with run_platform(tmp_path, fault="pages-500", stage="predeploy") as platform:
            ran = platform.verify(stage="predeploy")

            assert ran.decided == ("block", 1), ran.out
            assert ran.decision["deployment_id"] == platform.handle.candidate_id
            assert platform.state["production"] == platform.handle.previous_id
            assert platform.moves == []


class TestCannotTell:
    """Never green by accident."""

    def test_nothing_ran(self, healthy: RunningPlatform) -> None:
        """A selection without a check says nothing of the platform."""
        ran = healthy.verify("--", "-k", "nothing_at_all")

        assert ran.decided == ("hold", 3), ran.out
        assert ran.outcomes == {}

    def test_a_fault_of_a_sandbox_that_runs_already(self, healthy: RunningPlatform) -> None:
        """The flag would have no effect, and the run would end with keep."""
        ran = healthy.verify("--fault=health-down")

        assert ran.code == 2
        assert "names a sandbox that runs already" in ran.err

    def test_a_place_that_cannot_hold_the_state(self, pages_500: RunningPlatform) -> None:
        """The gate cannot start without its memory: one line and exit 2, never Python's exit code 1."""
        (pages_500.folder / "state").mkdir()
        (pages_500.folder / "state" / "sandbox").write_text("no directory")

        ran = pages_500.verify()

        assert ran.code == 2, ran.out
        place = pages_500.folder / "state"
        assert f"--state {place}: File exists; name a directory" in ran.err.splitlines()[-1]
        assert is_untouched(pages_500)
