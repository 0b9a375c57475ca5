"""A mistake in one of the project's own tables: one line with file, table and key, exit 2, by both ways in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, environment_of_a_run

LEFT_OUT = shutil.ignore_patterns(".venv", ".git", "reports", "__pycache__", ".*_cache", ".verify", "selftest")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project, to be spoilt."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("checkout") / "project", ignore=LEFT_OUT))


@pytest.mark.parametrize("entry", ["pytest", "ci.commands"])
@pytest.mark.parametrize(
    ("table", "old", "new", "says"),
    [
        ("targets.toml", 'mode = "act"', 'mode = "on"', "[sandbox]: Invalid enum value 'on' - at `$.mode`"),
        ("targets.toml", 'url = "sandbox"', 'adress = "sandbox"', "[sandbox]: Object contains unknown field `adress`"),
        ("targets.toml", '"accounts", ', '"acounts", ', "sandbox.capabilities has unknown acounts; known: accounts,"),
        ("targets.toml", "[sandbox]", "[sandbox", "targets.toml: "),
        ("runbook.toml", "limit = 2000", 'limit = "2000"', "Expected `float`, got `str` - at `$.limit`"),
        ("runbook.toml", "[budgets.memory]", "[budget.memory]", "unknown budget; known: sections, budgets"),
        ("runbook.toml", 'section = "high-memory-usage"', 'section = "memory"', "budgets.memory.section: no section"),
        ("routes.toml", 'severity = "P0"', 'severity = "P9"', "[GET /api/health]: Invalid enum value 'P9'"),
        ("routes.toml", '["GET /api/ping"]', '["/api/ping"]', 'expected "METHOD /path"'),
        ("routes.toml", 'checks = ["test_small_probes_answer"]', "", "either `checks` or a `waiver`"),
    ],
)
def test_a_mistake_in_a_table_is_one_line_and_exit_2(
    checkout: Path, entry: str, table: str, old: str, new: str, says: str
) -> None:
    """Whoever edits a table finds out what is wrong with it before anything is set up or asked."""
    file = checkout / "fixtures" / table
    healthy = file.read_text(encoding="utf-8")
    assert old in healthy
    file.write_text(healthy.replace(old, new, 1), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", entry, *(["--list-checks"] if entry == "pytest" else ["postdeploy"])],
            cwd=checkout,
            env=environment_of_a_run() | {"PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        file.write_text(healthy, encoding="utf-8")
    lines = done.stderr.strip().splitlines()

    assert (done.returncode, len(lines)) == (2, 1), done.stderr + done.stdout
    assert table in lines[0]
    assert says in lines[0]
