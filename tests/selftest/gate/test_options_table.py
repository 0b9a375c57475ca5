"""ci/README.md lists every option and every variable, and nothing that does not exist."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from ci.options import parser
from tests.selftest.conftest import ROOT, environment_of_a_run

OURS = ("7p", "Playwright")
_ROW = re.compile(r"^\| `(--[a-z-]+|SYNTHETIC_[A-Z_]+)`[^|]*\| ([a-z/ ]+) \| (.+) \|$", re.MULTILINE)
_OPTION = re.compile(r"^  (?:-\w(?: [A-Z]+)?, )?(--[a-z-]+)", re.MULTILINE)
_VARIABLE = re.compile(r"\bSYNTHETIC_[A-Z]+(?:_[A-Z]+)*\b")


@pytest.fixture(scope="module")
def listed() -> dict[str, set[str]]:
    """Return the names of the table by what they belong to."""
    rows: dict[str, set[str]] = {"ci/verify": set(), "pytest": set(), "variable": set()}
    for name, kind, _meaning in _ROW.findall((ROOT / "ci" / "README.md").read_text(encoding="utf-8")):
        for part in ("ci/verify", "pytest") if kind == "both" else (kind,):
            assert name not in rows[part], f"{name} is listed twice"
            rows[part].add(name)
    return rows


def test_every_option_of_ci_verify_is_listed(listed: dict[str, set[str]]) -> None:
    """Nobody finds an option that is not listed, and a listed option must exist."""
    assert listed["ci/verify"] == set(_OPTION.findall(parser().format_help())) - {"--help"}


def test_every_option_of_the_suite_is_listed(listed: dict[str, set[str]]) -> None:
    """Those of pytest-playwright too: the table says which of them are refused."""
    command = [sys.executable, "-m", "pytest", "--help"]
    environment = environment_of_a_run() | {"COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    groups = dict(re.findall(r"^(\w+):\n((?:  .*\n)+)", done.stdout, re.MULTILINE))

    assert listed["pytest"] == {option for group in OURS for option in _OPTION.findall(groups[group])}


def test_every_variable_is_listed(listed: dict[str, set[str]]) -> None:
    """A variable that changes a run must be documented."""
    files = [ROOT / "conftest.py", ROOT / "ci" / "verify", *ROOT.glob(".github/**/*.yml")]
    for kind in ("py", "toml"):
        files += [*ROOT.glob(f"ci/**/*.{kind}"), *ROOT.glob(f"fixtures/**/*.{kind}")]

    assert listed["variable"] == {name for file in files for name in _VARIABLE.findall(file.read_text("utf-8"))}
