"""Data that a run writes is recorded, removed, and named when it remains; against a loopback platform."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.evidence import NotApplicable, NotMeasured
from fixtures.run.current_run import RUN, Run
from fixtures.site import leftovers
from fixtures.site.catalogue import Course
from fixtures.site.client import Site
from fixtures.site.leftovers import Enrolment, Ledger, clean_up
from fixtures.target.plugin import RUNNING, TARGET, Running
from fixtures.target.target import Target
from fixtures.target.variants import Variant
from tests.selftest.site.conftest import COURSE, Platform, VariantOf


def test_free_course_can_still_be_cancelled_after_a_lesson(on_variant: VariantOf, own_target: Target) -> None:
    """Below a quarter of its lessons the platform lets go: the journey must not choose what it cannot undo."""
    site, sessions = on_variant()

    assert leftovers.find_free_course(site, own_target, sessions.of("student").cookies) == COURSE


def _find(on_variant: VariantOf, target: Target) -> Course:
    site, sessions = on_variant()
    return leftovers.find_free_course(site, target, sessions.of("student").cookies)


def test_a_student_who_had_every_free_course_enrols_in_none(
    on_variant: VariantOf, platform: Platform, own_target: Target
) -> None:
    """The platform enrols nobody twice, also not after a cancellation, so that the journey would fail for that."""
    platform.enrolments = {"e-1": COURSE.id, "e-2": "c-short"}
    with pytest.raises(NotApplicable, match="every free course"):
        _find(on_variant, own_target)


@pytest.mark.parametrize(
    ("prices", "lessons", "says"),
    [
        ({"c-short": 499.0, "c-free": 499.0}, 12, "none is free"),
        ({"c-short": 0.5, "c-free": 0.5}, 12, "none is free"),
        ({}, 4, "2 are free, and none of these has 5 lessons"),
    ],
)
def test_a_shop_without_a_free_course_has_nothing_to_enrol_in(
    on_variant: VariantOf, platform: Platform, own_target: Target, prices: dict[str, float], lessons: int, says: str
) -> None:
    """Editors put a price on every course, or keep the free one short: a decision, and no failure."""
    platform.prices |= prices
    platform.lessons["c-free"] = lessons
    with pytest.raises(NotApplicable, match=says):
        _find(on_variant, own_target)


def test_nobody_looks_for_a_free_course_while_free_enrolment_is_off(
    on_variant: VariantOf, platform: Platform, own_target: Target
) -> None:
    """A flag that is off is a choice of the platform, and no journey that broke."""
    platform.free_enrolment = False
    with pytest.raises(NotApplicable, match="free enrolment is off"):
        _find(on_variant, own_target)


def test_an_empty_shop_is_right_only_where_the_target_says_so(
    on_variant: VariantOf, platform: Platform, own_target: Target
) -> None:
    """A new database has no courses; on other targets an empty list may be a fault."""
    platform.lessons = {}
    with pytest.raises(NotMeasured, match="give loopback empty-catalogue"):
        _find(on_variant, own_target)
    with pytest.raises(NotApplicable, match="as loopback allows"):
        _find(on_variant, replace(own_target, capabilities=frozenset({"empty-catalogue"})))


def test_cancelling_is_proved_by_reading(on_variant: VariantOf, platform: Platform) -> None:
    """Only the course that was named is left."""
    site, sessions = on_variant()
    platform.enrolments = {"e-1": "c-paid", "e-2": COURSE.id}

    assert leftovers.cancel(site, sessions.of("student").cookies, COURSE) is None
    assert platform.enrolments == {"e-1": "c-paid"}
    assert leftovers.cancel(site, sessions.of("student").cookies, COURSE) is None


def test_what_cannot_be_cancelled_says_why(on_variant: VariantOf, platform: Platform) -> None:
    """A refusal, or a list that cannot be read, is a line for a person."""
    site, sessions = on_variant()
    cookies = sessions.of("student").cookies
    platform.enrolments, platform.cancel_status = {"e-2": COURSE.id}, 400

    assert "DELETE " in str(leftovers.cancel(site, cookies, COURSE))
    assert " -> 400 in " in str(leftovers.cancel(site, cookies, COURSE))
    assert "/api/enrollments?limit=50 -> 401" in str(leftovers.cancel(site, {}, COURSE))


def test_ledger_outlives_the_run_until_it_is_empty(own_run: Run, tmp_path: Path) -> None:
    """A run that is killed between the write and the clean-up leaves its announcement to the next one."""
    entry = Enrolment(target="loopback", url="http://x", role="student", course=COURSE)
    Ledger(own_run).add(entry)
    Ledger(own_run).add(entry)
    (tmp_path / "next").mkdir()
    later = Ledger(Run(id="r2", stage="daily", directory=tmp_path / "next", reports=own_run.reports))

    assert later.entries() == [entry]
    later.remove(entry)
    assert later.entries() == []
    assert not later.path.exists()


@pytest.fixture
def config(platform: Platform, own_run: Run, own_target: Target) -> pytest.Config:
    """Return as much of a session's configuration as the janitor reads."""
    stash = pytest.Stash()
    variant = Variant(name="target", url=platform.url, deployment_id="dpl_1")
    stash[RUN], stash[TARGET], stash[RUNNING] = own_run, own_target, Running(own_target, variant)
    return cast("pytest.Config", SimpleNamespace(stash=stash))


def _announce(run: Run, target: Target, name: str | None = None, role: str = "student") -> Enrolment:
    entry = Enrolment(target=name or target.name, url=target.url, role=role, course=COURSE)
    Ledger(run).add(entry)
    return entry


def test_janitor_removes_what_this_run_and_earlier_ones_announced(
    config: pytest.Config, platform: Platform, own_run: Run, own_target: Target
) -> None:
    """Afterwards neither the platform nor the ledger knows of it; another target's entries wait for their run."""
    platform.enrolments = {"e-1": "c-paid", "e-2": COURSE.id}
    _announce(own_run, own_target)
    others = _announce(own_run, own_target, name="elsewhere")

    assert clean_up(config) == []
    assert platform.enrolments == {"e-1": "c-paid"}
    assert Ledger(own_run).entries() == [others]


def test_janitor_names_what_is_left_and_keeps_it(
    config: pytest.Config, platform: Platform, own_run: Run, own_target: Target
) -> None:
    """Somebody has to be told, and the next run has to try again."""
    platform.enrolments, platform.cancel_status = {"e-2": COURSE.id}, 400
    entry = _announce(own_run, own_target)
    lines = clean_up(config)

    assert [line.partition(": DELETE ")[0] for line in lines] == [
        f"student is still enrolled in {COURSE.title} on {platform.url}"
    ]
    assert Ledger(own_run).entries() == [entry]


def test_a_torn_ledger_is_put_aside_and_named(config: pytest.Config, own_run: Run, own_target: Target) -> None:
    """The next write must not lose what a person can still read in it."""
    own_run.reports.mkdir()
    Ledger(own_run).path.write_text('[{"target": "loop')

    (line,) = clean_up(config)
    entry = _announce(own_run, own_target)

    assert "leftovers.torn cannot be read" in line
    assert Ledger(own_run).entries() == [entry]
    assert Ledger(own_run).torn.read_text() == '[{"target": "loop'


def test_janitor_that_cannot_sign_in_says_so(config: pytest.Config, own_run: Run, own_target: Target) -> None:
    """An account that is gone cannot clean up after itself."""
    _announce(own_run, own_target, role="other_student")

    assert [line.rpartition(": ")[2] for line in clean_up(config)] == [
        "the target loopback has no account other_student"
    ]


def test_janitor_forgets_a_sandbox_that_has_ended(config: pytest.Config, own_run: Run) -> None:
    """The database ended with the sandbox, so the janitor sends no request and starts nothing."""
    _announce(own_run, Target(name="sandbox", url="http://127.0.0.1:1", mode="act"))
    del config.stash[RUNNING]
    config.stash[TARGET] = Target(name="sandbox", url="sandbox", mode="act")

    assert clean_up(config) == []
    assert Ledger(own_run).entries() == []


def test_answers_that_nobody_gave_are_named(own_run: Run, own_target: Target) -> None:
    """The clean-up of an unreachable platform reports, and does not raise."""
    seen: list[Answer] = []
    with httpx.Client(trust_env=False) as client:
        variant = Variant(name="target", url="http://127.0.0.1:1")
        site = Site(client, own_target, variant, own_run, seen.append)

        assert "no answer: refused" in str(leftovers.cancel(site, {}, COURSE))
    assert [answer.trouble for answer in seen] == ["refused"]
