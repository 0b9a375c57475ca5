"""Every fault is caught by the checks that it names, and turns no unrelated check red."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pkgutil import walk_packages

import msgspec
import pytest

from ci.bench.fault_matrix import read_golden
from fixtures.model.routes import overlaps, pattern, routes
from fixtures.model.verdict import CheckResult, Outcome, Verdict
from fixtures.sandbox import faults
from fixtures.sandbox.faults import CATALOGUE, Fault, nearest
from fixtures.sandbox.faults.red_set import is_named, may_be_red, surprises
from tests.selftest.conftest import ROOT, environment_of_a_run

# On loopback there is neither a name nor a certificate: test_addresses.py has a server of its own for these.
OUT_OF_REACH = ("the target lacks: dns", "the target lacks: tls")


@pytest.fixture(scope="session")
def checks(tmp_path_factory: pytest.TempPathFactory) -> list[CheckResult]:
    """Return every check with its dependencies."""
    verdict = tmp_path_factory.mktemp("plan") / "verdict.json"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--list-checks"]
    command.append(f"--verdict={verdict}")
    subprocess.run(command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, timeout=60, check=True)
    return Verdict.read(verdict).checks


def test_the_catalogue_holds_every_fault_that_is_written() -> None:
    """Nobody would notice a fault with a used name, or in a module that no list names: it would never run."""
    modules = [importlib.import_module(found.name) for found in walk_packages(faults.__path__, f"{faults.__name__}.")]
    written = [fault for module in modules for fault in vars(module).values() if isinstance(fault, Fault)]

    assert sorted(fault.name for fault in written) == sorted(CATALOGUE)


def test_every_fault_names_checks_that_exist(checks: list[CheckResult]) -> None:
    """A renamed check would leave its fault uncaught, and nobody would notice."""
    unknown = {
        fault.name: must
        for fault in CATALOGUE.values()
        for must in fault.must
        if not any(is_named(must, check.node_id) for check in checks)
    }

    assert unknown == {}


def test_every_fault_affects_routes_that_exist() -> None:
    """A renamed route would leave its fault without effect, or the red checks of it without an excuse."""
    # A page that nobody has is asked as well.
    known = [*routes(), "GET /7p-verify-no-such-page"]
    unknown = {
        (fault.name, affected)
        for fault in CATALOGUE.values()
        for affected in fault.affects
        if re.match(r"[A-Z*]+ /", affected)
        and not any(overlaps(affected, route) or pattern(route).fullmatch(affected) for route in known)
    }

    assert unknown == set()


def test_every_check_has_a_fault_that_must_turn_it_red(checks: list[CheckResult]) -> None:
    """A check that was never red proves nothing."""
    named = [must for fault in CATALOGUE.values() for must in fault.must]
    # A fault that names no check may turn every one red, and proves none.
    reached = [fault for fault in CATALOGUE.values() if fault.belongs == "deployment" and fault.must]
    unproved = [
        check.node_id
        for check in checks
        if check.reason not in OUT_OF_REACH
        and not any(is_named(must, check.node_id) for must in named)
        and not any(may_be_red(fault, check) for fault in reached)
    ]

    assert unproved == []


def test_the_golden_matrix_is_complete_and_agrees_with_the_catalogue(checks: list[CheckResult]) -> None:
    """`python -m ci.bench.fault_matrix NAME` writes a row; a reviewer reads its changes."""
    golden = read_golden()
    right = {name: row.decision == CATALOGUE[name].decision.value for name, row in golden.items()}
    assert right == {name: not fault.missed for name, fault in CATALOGUE.items()}

    wrong = {name: surprises(fault, _as_run(checks, golden[name].red)) for name, fault in CATALOGUE.items()}
    assert {name: lines for name, lines in wrong.items() if lines} == {}


def _as_run(checks: list[CheckResult], red: dict[str, str]) -> list[CheckResult]:
    known = {check.node_id: check for check in checks}
    return [msgspec.structs.replace(known[node_id], outcome=Outcome.FAILED) for node_id in red]


@pytest.mark.parametrize(
    ("bench", "name", "says"),
    [
        ("fault_matrix", "nosuch", "nosuch: no such fault; `ci/verify --list-faults` shows them all"),
        ("database_crosstalk", "nosuch", "nosuch: no such fault; `ci/verify --list-faults` shows them all"),
        ("database_crosstalk", "health-down", "health-down: a fault of the deployment, not of the database"),
    ],
)
def test_a_bench_names_the_fault_that_it_does_not_know(bench: str, name: str, says: str) -> None:
    """It names the wrong name only, not the hundreds of right ones."""
    command = [sys.executable, "-m", f"ci.bench.{bench}", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.endswith(says)] != []
    assert len(done.stderr) < 300


def test_a_fault_that_is_not_there_is_named_with_its_neighbour() -> None:
    """A typing mistake gets one line with the nearest name."""
    problem = nearest("helth-down")

    assert problem is not None
    assert "did you mean health-down?" in problem


def test_every_failure_of_the_past_is_played_as_the_readme_says() -> None:
    """Past failures happen again; this test remembers whether the suite would notice them."""
    readme = (ROOT / "fixtures" / "sandbox" / "README.md").read_text(encoding="utf-8")
    told = {
        name: sorted(re.findall(r"`([a-z0-9-]+)`", faults))
        for name, faults in re.findall(r"^\| (F\d+) \|.*\| ([^|]+) \|$", readme, re.MULTILINE)
    }
    played = {name: sorted(fault.name for fault in CATALOGUE.values() if name in fault.inspected) for name in told}

    assert list(told) == [f"F{number}" for number in range(1, 19)]
    assert told == played
    assert [name for name, faults in played.items() if not faults] == []


def test_smoke_checks_are_proved_by_more_than_the_past(checks: list[CheckResult]) -> None:
    """The next failure is one that never happened before."""
    smoke = [check.node_id for check in checks if check.kind == "smoke"]
    new = [
        fault.name
        for fault in CATALOGUE.values()
        if not fault.inspected and any(is_named(must, node_id) for must in fault.must for node_id in smoke)
    ]

    assert len(new) >= 45
