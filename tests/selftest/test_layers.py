"""The layer rule of pyproject.toml holds, and each of its contracts turns red for what it forbids."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.selftest.conftest import ROOT

ROOMS = "Rooms import downwards only"
TYPES_ONLY = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}\n"
LATE = "def late() -> None:\n    {}\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a copy of the modules and the contracts, to break."""
    for package in ("fixtures", "ci"):
        for module in (ROOT / package).rglob("*.py"):
            copy = tmp_path / module.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, copy)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    """Hold a tree against its contracts."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, timeout=60, check=False)


def test_the_house_keeps_its_layers(house: Path) -> None:
    """The copy is whole until the next test breaks it."""
    done = lint(house)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("fixtures/model/verdict.py", "import fixtures.report.summary", ROOMS),
        ("fixtures/site/client.py", TYPES_ONLY.format("import fixtures.vendors.supabase"), ROOMS),
        ("fixtures/postgres/server.py", LATE.format("import fixtures.target.target"), ROOMS),
        ("fixtures/sandbox/edge/edge.py", "import fixtures.database.session", ROOMS),
        ("fixtures/sandbox/faults/fault.py", "import fixtures.checks.declarations", ROOMS),
        ("fixtures/attic/old.py", "", ROOMS),
        ("fixtures/report/summary.py", "import ci.gate", "The suite never imports the gate"),
        (
            "fixtures/sandbox/sandbox.py",
            "import fixtures.run.network",
            "The sandbox imports model, target and postgres only",
        ),
        (
            "fixtures/sandbox/sandbox.py",
            LATE.format("import fixtures.sandbox.faults"),
            "The parts of the sandbox import downwards only",
        ),
        (
            "fixtures/report/recorder.py",
            LATE.format("import fixtures.sandbox.control"),
            "Nothing but the gate and the tests imports the sandbox",
        ),
        (
            "fixtures/database/session.py",
            "import fixtures.postgres.server",
            "Only migrations, the sandbox and the gate start a private PostgreSQL",
        ),
        (
            "fixtures/sandbox/app/templates.py",
            TYPES_ONLY.format("import fixtures.sandbox.app.call"),
            "No cycle within a room, its parts, or the gate",
        ),
    ],
)
def test_a_forbidden_import_is_red(house: Path, module: str, line: str, contract: str) -> None:
    """A contract that forbids nothing would be green for ever."""
    broken = house / module
    if not broken.parent.exists():
        broken.parent.mkdir()
        (broken.parent / "__init__.py").touch()
    with broken.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")

    done = lint(house)

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout
