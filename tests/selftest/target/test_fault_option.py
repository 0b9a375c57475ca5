"""`--fault` is refused in one place: what it says, and that nobody is asked for a name that cannot be meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.model.toml_tables import UsageError
from fixtures.sandbox.faults import CATALOGUE, nearest
from fixtures.target.sandbox_process import problem_of_fault, refuse_fault
from fixtures.target.target import Target, load
from tests.selftest.conftest import Suite

SANDBOX = load("sandbox", environ={})


def _unasked(name: str) -> str:
    return pytest.fail(f"the sandbox was asked for {name}")


def test_only_the_sandbox_can_be_broken() -> None:
    """The name is not looked up: it is not what is wrong."""
    elsewhere = Target(name="production", url="https://x.test", mode="act")

    with pytest.raises(UsageError, match="--fault x: only the sandbox can be broken; drop --target production"):
        refuse_fault("x", elsewhere, _unasked)


def test_a_sandbox_that_runs_is_not_broken(running_handle: Target) -> None:
    """A fault is built in when a sandbox starts."""
    with pytest.raises(UsageError, match="--fault x: SYNTHETIC_SANDBOX names a sandbox that runs already"):
        refuse_fault("x", running_handle, _unasked)


@pytest.fixture
def running_handle() -> Target:
    """Return a target whose sandbox runs; which one does not matter."""
    return replace(SANDBOX, handle=object())  # type: ignore[arg-type]  # only whether there is one is looked at


def test_the_look_up_has_the_last_word() -> None:
    """It is handed in by the caller, for the target's room knows no fault."""
    refuse_fault("x", SANDBOX, lambda _: None)

    with pytest.raises(UsageError, match="--fault x: no such fault"):
        refuse_fault("x", SANDBOX, lambda _: "no such fault")


@pytest.mark.parametrize("name", ["helth-down", "--stage", "", min(CATALOGUE)])
def test_the_sandbox_tells_another_process_what_is_wrong_with_a_name(name: str) -> None:
    """A plain pytest asks it this way, in the words of the gate, and starts none."""
    assert problem_of_fault(name) == nearest(name)


def test_pytest_does_not_load_the_sandbox(suite: Suite) -> None:
    """A run against production has nothing of it in its process, with or without a fault in mind."""
    suite.write("@post\n@P0\ndef test_one():\n    import sys\n    assert 'fixtures.sandbox' not in sys.modules\n")

    outcome = suite.run("-m", "postdeploy", "--target", "http://127.0.0.1:9")

    assert outcome.code == pytest.ExitCode.OK, outcome.out
