"""The verdict names the due checks that did not run, whatever narrowed the run."""

from __future__ import annotations

import pytest

from tests.selftest.conftest import Stub, Suite

CHECKS = """
@P0
@post
def test_one():
    '''Pass.'''

@P1
@post
@pytest.mark.parametrize("page", ["a", "b"])
def test_two(page):
    '''Pass.'''

@pytest.mark.check(severity="P0", judges="function", runbook="application-health", needs=("payments",))
@post
def test_not_applicable():
    '''Pass.'''

@P0
@pytest.mark.predeploy
def test_of_another_stage():
    '''Pass.'''
"""
OTHER = """
@P0
@post
def test_other():
    '''Pass.'''
"""
HERE, THERE = "tests/smoke/test_small.py", "tests/smoke/test_other.py"


@pytest.fixture
def small(suite: Suite) -> Suite:
    """Return a suite of two files."""
    suite.write(CHECKS)
    suite.write(OTHER, THERE)
    return suite


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_nothing_is_missing_in_a_whole_run(small: Suite, stub: Stub, workers: tuple[str, ...]) -> None:
    """A check of another stage is not due; one that does not apply is in the verdict."""
    verdict = small.run("-m", "postdeploy", "--stage=postdeploy", "--target", stub.url, *workers).verdict

    names = [f"{HERE}::test_{name}" for name in ("not_applicable", "one", "two[chromium-a]", "two[chromium-b]")]
    assert verdict.due == sorted([*names, f"{THERE}::test_other"])
    assert verdict.missing == []


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["-k", "one"], 4),
        (["--deselect", f"{HERE}::test_two"], 2),
        (["-m", "postdeploy and not smoke"], 5),
        ([HERE], 1),
        ([f"{HERE}::test_one", THERE], 1),
        ([f"--ignore={THERE}"], 1),
        (["-n", "1", "-k", "one"], 4),
    ],
)
def test_what_was_left_out_is_missing(small: Suite, stub: Stub, arguments: list[str], missing: int) -> None:
    """A file that was not collected is named by its path."""
    outcome = small.run("-m", "postdeploy", "--stage=postdeploy", "--target", stub.url, *arguments)

    assert len(outcome.verdict.missing) == missing, outcome.verdict.missing
    assert f"{missing} checks that are due at postdeploy were not selected" in outcome.out


def test_an_only_file_and_a_variable_of_the_machine_narrow_too(small: Suite, stub: Stub) -> None:
    """A plain pytest reads PYTEST_ADDOPTS; the gate's does not."""
    (small.folder / "only").write_text(f"{HERE}::test_one\n")
    by_file = small.run("-m", "postdeploy", "--only=only", "--target", stub.url)
    by_variable = small.run("-m", "postdeploy", "--target", stub.url, environment={"PYTEST_ADDOPTS": "-k test_one"})

    assert [len(outcome.verdict.missing) for outcome in (by_file, by_variable)] == [4, 4]


@pytest.mark.parametrize("arguments", [(), ("-n", "1")])
def test_switched_off_assertions_are_refused(small: Suite, stub: Stub, arguments: tuple[str, ...]) -> None:
    """Every check would pass."""
    outcome = small.run("--target", stub.url, *arguments, environment={"PYTHONOPTIMIZE": "1"})

    assert outcome.code == 2
    assert [line for line in outcome.err.splitlines() if line] == [
        "ERROR: PYTHONOPTIMIZE (or python -O) switches assertions off, so no check could fail; unset it and run again"
    ]
