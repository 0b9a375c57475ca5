"""Which variables reach a child is decided in one place."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.model.child_environment import child_environment
from tests.selftest.conftest import ROOT

STARTS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}
# The sandbox is a child itself, and what it starts gets what it got.
LEFT_OUT = {Path("fixtures/sandbox"), Path("ci/bench")}


def test_a_child_gets_what_is_here_but_for_some_names_and_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set for the child wins, and what is left out may be set for it all the same."""
    monkeypatch.setenv("SYNTHETIC_ONE", "1")
    monkeypatch.setenv("SYNTHETIC_TWO", "2")
    here = {name: value for name, value in os.environ.items() if name not in {"SYNTHETIC_ONE", "SYNTHETIC_TWO"}}

    assert child_environment({"SYNTHETIC_TWO": "3"}, without={"SYNTHETIC_ONE"}) == here | {"SYNTHETIC_TWO": "3"}


def _starts() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call that starts a process, with the place where it stands."""
    for file in [*ROOT.glob("ci/**/*.py"), *ROOT.glob("fixtures/**/*.py")]:
        name = file.relative_to(ROOT)
        if LEFT_OUT & set(name.parents):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in STARTS:
                yield f"{name}:{node.lineno}", node


def test_no_process_is_started_with_what_happens_to_be_there() -> None:
    """A child that is started without `env` inherits every secret of this process, and nobody decided that."""
    found = list(_starts())

    assert len(found) > 5
    assert [place for place, call in found if "env" not in {given.arg for given in call.keywords}] == []
