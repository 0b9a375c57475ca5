"""The environment and arguments of each pytest run."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ci.runs import RunError, Runs
from fixtures.target.variants import Variant
from tests.selftest.gate.verdicts import HEALTH, Ended, a_check, a_verdict

CONTROL = Variant(name="control", url="http://127.0.0.1:1", deployment_id="dpl_old")


class Started:
    """Keeps the environment of every run that is started."""

    def __init__(self) -> None:
        self.environs: list[Mapping[str, str]] = []

    def launch(self, _arguments: Sequence[str], environ: Mapping[str, str], _log: Path | None) -> Ended:
        """Start nothing."""
        self.environs.append(environ)
        return Ended()


@pytest.fixture
def started() -> Started:
    """Return the object that keeps the environments."""
    return Started()


@pytest.fixture
def runs(tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Return the runs of a stage, which the gate itself was started for with a deployment and a repository."""
    for name in ("DEPLOYMENT", "RERUN", "PLATFORM_REPO"):
        monkeypatch.setenv(f"SYNTHETIC_{name}", "the gate's own")
    (tmp_path / "private").mkdir()
    return Runs(
        stage="postdeploy",
        target="sandbox",
        run_id="7",
        directory=tmp_path / "private",
        reports=tmp_path / "reports",
        platform_repo=tmp_path / "platform",
        launch=started.launch,
    )


def _told(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables by which a run knows the gate that started it."""
    names = ("RUN_ID", "RUN_DIR", "DEPLOYMENT", "RERUN", "PLATFORM_REPO")
    return {name: environ.get(f"SYNTHETIC_{name}") for name in names}


def test_each_run_is_told_whom_it_judges_and_what_it_belongs_to(runs: Runs, started: Started, tmp_path: Path) -> None:
    """A re-run does not sign in again, and the control is not looked up under the candidate's name."""
    runs.all_checks("dpl_new")
    runs.prove_control([HEALTH], CONTROL)
    runs.pairs([a_check()], CONTROL, CONTROL, rounds=1)

    belongs = {"RUN_ID": "7", "RUN_DIR": str(tmp_path / "private"), "PLATFORM_REPO": str(tmp_path / "platform")}
    assert [_told(environ) for environ in started.environs] == [
        belongs | {"DEPLOYMENT": "dpl_new", "RERUN": None},
        belongs | {"DEPLOYMENT": None, "RERUN": "1"},
        belongs | {"DEPLOYMENT": "dpl_old", "RERUN": "1"},
    ]


def test_what_a_killed_browser_leaves_goes_with_the_gate(runs: Runs, started: Started, tmp_path: Path) -> None:
    """Its profile holds the session of a student."""
    runs.all_checks(None)

    assert [environ["TMPDIR"] for environ in started.environs] == [str(tmp_path / "private")]


@pytest.mark.parametrize("begun", [True, False], ids=["half a verdict", "none"])
def test_a_disk_that_fills_during_the_run_is_the_reason(runs: Runs, begun: bool) -> None:  # noqa: FBT001
    """A hold without a reason sends a person to look for an outage."""
    run = runs.all_checks(None)
    if begun:
        a_verdict(complete=False, run_id="7").write(runs.reports / "verdict.json")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(RunError, match=r"exit code 1; --reports .*: cannot be written to \(File too large\)"):
            run.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
