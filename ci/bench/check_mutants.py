"""
Mutates the checks and the gate's own code, and looks whether anything notices it.

    .venv/bin/python -m pip install -e '.[mutation]'                cosmic-ray, which makes the mutants
    .venv/bin/python -m ci.bench.check_mutants                      a sample of 60; some ten seconds each
    .venv/bin/python -m ci.bench.check_mutants --seed 2 --count 90

A mutant of a check is noticed when the check's result changes: on the healthy sandbox, or with one of the faults that
have to turn it red. A mutant of the gate is noticed by a self-test that fails. The others survive: each is a check that
cannot fail, a code path that no fault reaches, or a change without an effect. People read the list of survivors in
ci/bench/results/check_mutants.json. Ends with 0 however many there are: it measures.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec

from ci.bench.machine_class import stamp
from fixtures.model.verdict import Verdict, write_atomically
from fixtures.sandbox.faults import CATALOGUE
from fixtures.target.sandbox_handle import SANDBOX_VARIABLE
from fixtures.target.sandbox_process import HANDLE, start_process

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "ci" / "bench" / "results" / "check_mutants.json"
KINDS = ("smoke", "database", "journeys")
GATE = ("ci/gate.py", "ci/causes.py")
SELF_TESTS = ("test_gate.py", "test_causes.py", "test_diagnosis.py", "test_pairs.py")
# Of a helper that many checks of a module use.
_MOST_FAULTS = 4
_LIMIT_S = 240.0
# A mark or a decorator that is gone changes which checks there are, and the tables of the self-tests compare that.
_LEFT_OUT = ("core/RemoveDecorator", "core/VariableReplacer", "core/VariableInserter")


class Survivor(msgspec.Struct):
    """A change that nothing noticed. tried: the faults that ran with it, or the self-tests."""

    place: str
    operator: str
    change: list[str]
    tried: list[str]


class Results(msgspec.Struct):
    """The results of one sample. unjudged: mutants of checks that no fault turns red when they run alone."""

    seed: int
    tried: int
    noticed: int
    unjudged: list[str]
    survivors: list[Survivor]
    measured_on: dict[str, object]


@dataclass
class Oracle:
    """
    Runs checks in a copy of the project.

    known: the outcomes of the code as it is, by checks and fault.
    """

    copy: Path
    known: dict[tuple[str, str, str], dict[str, str]] = field(default_factory=dict)

    def outcomes(self, checks: str, stage: str, fault: str = "") -> dict[str, str]:
        """Run the checks of a file, or one of them, on a sandbox; return outcomes by name."""
        with tempfile.TemporaryDirectory(prefix="7p-mutated-") as name:
            directory = Path(name)
            with start_process(directory / "sandbox", stage=stage, fault=fault or None):
                environ = {**os.environ, SANDBOX_VARIABLE: str(directory / "sandbox" / HANDLE)}
                given = ["-m", stage, f"--stage={stage}", "--target=sandbox", f"--reports={directory}", "--all"]
                self._pytest([*given, *checks.split()], environ)
            try:
                verdict = Verdict.read(directory / "verdict.json")
            except (OSError, msgspec.MsgspecError):
                return {"the run": "no verdict"}
            return {check.node_id: str(check.outcome) for check in verdict.checks}

    def before(self, checks: str, stage: str, fault: str = "") -> dict[str, str]:
        """Return the outcomes of the code as it is."""
        key = (checks, stage, fault)
        if key not in self.known:
            self.known[key] = self.outcomes(*key)
        return self.known[key]

    def self_tests_pass(self) -> bool:
        """Whether the self-tests of the gate notice nothing."""
        return self._pytest(["-x", "-q", *(f"tests/selftest/gate/{name}" for name in SELF_TESTS)], os.environ) == 0

    def _pytest(self, arguments: list[str], environ: Mapping[str, str]) -> int:
        command = [sys.executable, "-m", "pytest", *arguments]
        try:
            return subprocess.run(  # noqa: S603  (our own command)
                command,
                cwd=self.copy,
                env=dict(environ),
                capture_output=True,
                timeout=_LIMIT_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return -1


def specs(paths: list[Path]) -> list[MutationSpec]:
    """Return every mutation that cosmic-ray knows for these files."""
    with tempfile.TemporaryDirectory() as directory, use_db(str(Path(directory) / "work"), WorkDB.Mode.create) as db:
        init(paths, db, {})
        found = [mutation for item in db.work_items for mutation in item.mutations]
    return [one for one in found if not one.operator_name.startswith(_LEFT_OUT) and _is_code(one)]


def _is_code(spec: MutationSpec) -> bool:
    """Whether the mutation is in the body of a test or of a helper; a constant's line has no definition."""
    return bool(spec.definition_name)


def faults_of(file: Path, definition: str) -> list[str]:
    """Return faults that have to turn a check red; of a helper, faults of the checks that name it."""
    tree = ast.parse(file.read_text())
    tests = {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    naming = {name for name, test in tests.items() if definition in _names_in(test)}
    wanted = {definition} & tests.keys() or naming or tests.keys()
    found = [
        fault.name for fault in CATALOGUE.values() if any(check.partition("[")[0] in wanted for check in fault.must)
    ]
    return sorted(found, key=lambda name: (CATALOGUE[name].stage != "postdeploy", name))[:_MOST_FAULTS]


def _names_in(test: ast.FunctionDef) -> set[str]:
    return {node.id for node in ast.walk(test) if isinstance(node, ast.Name)} | {one.arg for one in test.args.args}


def notice(spec: MutationSpec, oracle: Oracle) -> tuple[bool | None, list[str]]:
    """Return whether the mutation is noticed, None where nothing could, and what was tried."""
    path = Path(spec.module_path)
    if path.parts[0] == "ci":
        with mutated(spec, oracle.copy):
            return not oracle.self_tests_pass(), list(SELF_TESTS)
    is_test = spec.definition_name.startswith("test_")
    checks = f"{path}::{spec.definition_name}" if is_test else str(path)
    faults = [
        name
        for name in faults_of(ROOT / path, spec.definition_name)
        if oracle.before(checks, (stage := CATALOGUE[name].stage), name) != oracle.before(checks, stage)
    ]
    if not faults:
        return None, []
    with mutated(spec, oracle.copy):
        for name in ["", *faults]:
            stage = CATALOGUE[name or faults[0]].stage
            if oracle.outcomes(checks, stage, name) != oracle.before(checks, stage, name):
                return True, faults
    return False, faults


@contextmanager
def mutated(spec: MutationSpec, copy: Path) -> Iterator[None]:
    """Change the file of the copy while it lasts."""
    file = copy / spec.module_path
    text = file.read_text()
    file.write_text(_changed(spec, text))
    try:
        yield
    finally:
        file.write_text(text)


def _changed(spec: MutationSpec, text: str) -> str:
    operator = get_operator(spec.operator_name)(**spec.operator_args)
    return mutate_code(text, operator, spec.occurrence) or text


def measure(seed: int, count: int) -> Results:
    """Try a random sample, a third of it in the gate; write the results after each mutant."""
    folders = [path.relative_to(ROOT) for kind in KINDS for path in sorted((ROOT / "tests" / kind).glob("test_*.py"))]
    draw = random.Random(seed)  # noqa: S311  (a sample that anyone can draw again)
    gate = draw.sample(specs([Path(name) for name in GATE]), count // 3)
    wanted = [*draw.sample(specs(folders), count - len(gate)), *gate]
    results = Results(seed, 0, 0, [], [], stamp())
    with tempfile.TemporaryDirectory(prefix="7p-copy-") as directory:
        oracle = Oracle(_copy(Path(directory) / "project"))
        for spec in wanted:
            place = f"{spec.module_path}:{spec.start_pos[0]} {spec.definition_name}"
            noticed, tried = notice(spec, oracle)
            results.tried += 1
            if noticed is None:
                results.unjudged.append(place)
            elif noticed:
                results.noticed += 1
            else:
                results.survivors.append(Survivor(place, spec.operator_name, _difference(spec), tried))
            write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(results), indent=1))
            word = {None: "not judged", True: "noticed", False: "SURVIVES"}[noticed]
            sys.stdout.write(f"{results.tried} of {len(wanted)}, {place}, {spec.operator_name}: {word}\n")
            sys.stdout.flush()
    return results


def _copy(to: Path) -> Path:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")  # noqa: S607
    for name in map(os.fsdecode, filter(None, files)):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)
    return to


def _difference(spec: MutationSpec) -> list[str]:
    text = (ROOT / spec.module_path).read_text()
    lines = difflib.unified_diff(text.splitlines(), _changed(spec, text).splitlines(), n=0, lineterm="")
    return [line.strip() for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"}]


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print how many were noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    given = parser.parse_args(arguments)
    os.chdir(ROOT)
    results = measure(given.seed, given.count)
    judged = results.tried - len(results.unjudged)
    sys.stdout.write(f"\n{results.noticed} of {judged} mutants were noticed; {len(results.unjudged)} were not judged\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
