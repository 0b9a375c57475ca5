"""Every fault is caught by the checks that it names, and reddens nothing that it cannot reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from ci.bench.fault_matrix import read_golden
from fixtures.outcomes import CheckResult, Outcome, Verdict
from fixtures.sandbox.faults import CATALOGUE, Fault, nearest
from fixtures.sandbox.faults.red_set import is_named, may_be_red, surprises
from fixtures.sandbox.handle import VARIABLE, Handle
from fixtures.sandbox.process import HANDLE, start_process
from fixtures.sides import Side, write_sides

from .conftest import ROOT, environment_of_a_run

# Answers that are held back for seconds, many times over, are proved in the golden matrix only.
SLOW = {"courses-slow"}
BUILDS = [fault for fault in CATALOGUE.values() if fault.build is not None and fault.name not in SLOW]
# The platform's own limit of 100 course lists a minute binds what one sandbox can be asked.
GROUP = 6


@pytest.fixture(scope="session")
def checks(tmp_path_factory: pytest.TempPathFactory) -> list[CheckResult]:
    """Return every check with what it depends on."""
    verdict = tmp_path_factory.mktemp("plan") / "verdict.json"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--list-checks"]
    command.append(f"--verdict={verdict}")
    subprocess.run(command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, timeout=60, check=True)
    return Verdict.read(verdict).checks


def test_every_fault_names_checks_that_exist(checks: list[CheckResult]) -> None:
    """A check that was renamed would leave its fault uncaught, and nobody would notice."""
    unknown = {
        fault.name: must
        for fault in CATALOGUE.values()
        for must in fault.must
        if not any(is_named(must, check.node_id) for check in checks)
    }

    assert unknown == {}


def test_every_check_has_a_fault_that_must_turn_it_red(checks: list[CheckResult]) -> None:
    """A check that was never red proves nothing."""
    named = [must for fault in CATALOGUE.values() for must in fault.must]
    reached = [fault for fault in CATALOGUE.values() if fault.belongs == "deployment"]
    unproved = [
        check.node_id
        for check in checks
        if not any(is_named(must, check.node_id) for must in named)
        and not any(may_be_red(fault, check) for fault in reached)
    ]

    assert unproved == []


def test_the_golden_matrix_is_complete_and_agrees_with_the_catalogue(checks: list[CheckResult]) -> None:
    """`python -m ci.bench.fault_matrix NAME` writes a row; a change of it is read in review."""
    golden = read_golden()
    wanted = {name: fault.decision.value for name, fault in CATALOGUE.items()}
    assert {name: row.decision for name, row in golden.items()} == wanted

    wrong = {name: surprises(fault, _as_run(checks, golden[name].red)) for name, fault in CATALOGUE.items()}
    assert {name: lines for name, lines in wrong.items() if lines} == {}


def _as_run(checks: list[CheckResult], red: dict[str, str]) -> list[CheckResult]:
    known = {check.node_id: check for check in checks}
    return [msgspec.structs.replace(known[node_id], outcome=Outcome.FAILED) for node_id in red]


@pytest.mark.parametrize(
    "faults",
    [BUILDS[first : first + GROUP] for first in range(0, len(BUILDS), GROUP)],
    ids=lambda faults: f"{faults[0].name}..{faults[-1].name}",
)
def test_broken_builds_side_by_side(faults: list[Fault], tmp_path: Path) -> None:
    """Every smoke check on every broken build, each at an address of its own."""
    directory = tmp_path / "sandbox"
    with start_process(directory, stage="postdeploy", fault=None) as sandbox:
        sides = [_published(sandbox.handle, fault) for fault in faults]
        write_sides(tmp_path / "sides.json", [_healthy(sandbox.handle), *sides])
        verdict = _run_smoke(tmp_path, directory / HANDLE)

    assert [check.node_id for check in _on_side(verdict, "healthy") if check.outcome is not Outcome.PASSED] == []
    smoke = frozenset({"smoke"})
    wrong = {fault.name: surprises(fault, _on_side(verdict, fault.name), kinds=smoke) for fault in faults}
    assert {name: lines for name, lines in wrong.items() if lines} == {}


def _published(handle: Handle, fault: Fault) -> Side:
    answer = httpx.post(
        f"{handle.control_url}/break",
        json={"fault": fault.name, "promote": False},
        headers={"authorization": f"Bearer {handle.control_token}"},
        trust_env=False,
    )
    deployment = answer.raise_for_status().json()
    return Side(name=fault.name, url=deployment["url"], deployment_id=deployment["deployment"])


def _healthy(handle: Handle) -> Side:
    return Side(name="healthy", url=handle.candidate_url, deployment_id=handle.candidate_id)


def _run_smoke(folder: Path, handle: Path) -> Verdict:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "postdeploy and smoke", "-q"]
    command += [f"--sides={folder / 'sides.json'}", f"--reports={folder / 'reports'}"]
    environment = environment_of_a_run() | {VARIABLE: str(handle)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}, done.stdout + done.stderr
    return Verdict.read(folder / "reports" / "verdict.json")


def _on_side(verdict: Verdict, name: str) -> list[CheckResult]:
    """Return the checks as one side saw them."""
    seen = []
    for check in verdict.checks:
        outcomes = [attempt.outcome for attempt in check.attempts if attempt.side == name]
        if outcomes:
            seen.append(msgspec.structs.replace(check, outcome=outcomes[0]))
    return seen


def test_a_fault_that_is_not_there_is_named_with_its_neighbour() -> None:
    """A typing mistake is one line with what was meant."""
    problem = nearest("helth-down")

    assert problem is not None
    assert "did you mean health-down?" in problem
