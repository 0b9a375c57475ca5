"""The refusal of `--fault`, in one place for the gate and for pytest."""

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
    """The name is not looked up, because it is not the mistake."""
    elsewhere = Target(name="production", url="https://x.test", mode="act")

    with pytest.raises(UsageError, match="--fault x: only the sandbox can be broken; drop --target production"):
        refuse_fault("x", elsewhere, _unasked)


def test_a_sandbox_that_runs_is_not_broken(running_handle: Target) -> None:
    """A sandbox gets its fault when it starts."""
    with pytest.raises(UsageError, match="--fault x: SYNTHETIC_SANDBOX names a sandbox that runs already"):
        refuse_fault("x", running_handle, _unasked)


@pytest.fixture
def running_handle() -> Target:
    """Return a target whose sandbox runs; which one does not matter."""
    return replace(SANDBOX, handle=object())  # type: ignore[arg-type]  # only whether there is one is looked at


def test_the_look_up_has_the_last_word() -> None:
    """The caller passes it in, because the target's room knows no fault."""
    refuse_fault("x", SANDBOX, lambda _: None)

    with pytest.raises(UsageError, match="--fault x: no such fault"):
        refuse_fault("x", SANDBOX, lambda _: "no such fault")


@pytest.mark.parametrize("name", ["helth-down", "--stage", "", min(CATALOGUE)])
def test_the_sandbox_tells_another_process_what_is_wrong_with_a_name(name: str) -> None:
    """A plain pytest asks the sandbox's program, gets the gate's text, and starts no sandbox."""
    assert problem_of_fault(name) == nearest(name)


def test_pytest_does_not_load_the_sandbox(suite: Suite) -> None:
    """A run against production has no code of the sandbox in its process."""
    suite.write("@post\n@P0\ndef test_one():\n    import sys\n    assert 'fixtures.sandbox' not in sys.modules\n")

    outcome = suite.run("-m", "postdeploy", "--target", "http://127.0.0.1:9")

    assert outcome.code == pytest.ExitCode.OK, outcome.out
