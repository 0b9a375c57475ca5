"""The handing over of a run from one of its processes to the others."""

from __future__ import annotations

import pytest

from fixtures.model.verdict import Outcome
from tests.selftest.conftest import ROOT, Stub, Suite

# Noted while the conftest is imported, ahead of every plugin's pytest_configure.
CONFTEST = """
import os

OURS = {name: value for name, value in os.environ.items() if name.startswith("SYNTHETIC_")}
"""
CHECKS = """
import os

@post
@P1
@pytest.mark.parametrize("number", range(4))
def test_environment(number, target, pytestconfig):
    (conftest,) = [one for one in pytestconfig.pluginmanager.get_plugins() if hasattr(one, "OURS")]
    assert {name: value for name, value in os.environ.items() if name.startswith("SYNTHETIC_")} == conftest.OURS
    assert target.url.startswith("http://")
"""


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
@pytest.mark.parametrize("target", ["stub", "sandbox"])
def test_the_environment_is_no_message_bus(suite: Suite, stub: Stub, target: str, workers: list[str]) -> None:
    """Modules of one process pass values directly, xdist passes them to workers: no variable is set for it."""
    (suite.folder / "conftest.py").write_text((ROOT / "conftest.py").read_text(encoding="utf-8") + CONFTEST)
    suite.write(CHECKS)

    outcome = suite.run("-m", "postdeploy", "--target", stub.url if target == "stub" else target, *workers)

    assert {check.outcome for check in outcome.verdict.checks} == {Outcome.PASSED}, outcome.out
    assert len(outcome.verdict.checks) == 4


def test_workers_join_the_run_of_their_controller(suite: Suite, stub: Stub) -> None:
    """They share one directory and one id: a request that one of them spent counts for all."""
    suite.write(
        """
@post
@P1
@pytest.mark.parametrize("number", range(6))
def test_note(number, run):
    run.spend("searches")
    assert run.id == "the-run"
"""
    )

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, "-n2", environment={"SYNTHETIC_RUN_ID": "the-run"})

    assert outcome.code == pytest.ExitCode.OK, outcome.out
    assert (outcome.verdict.run_id, outcome.verdict.spent) == ("the-run", {"searches": 6})
