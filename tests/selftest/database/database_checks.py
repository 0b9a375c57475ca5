"""Collects the queries of the database checks by test name; self-tests and benches run them on their own servers."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fixtures.checks.declarations import Query

FOLDER = Path(__file__).parents[2] / "database"


def declared(stage: str | None = None) -> dict[str, Query]:
    """Return the queries of all tests of tests/database, or of those of one stage."""
    found: dict[str, Query] = {}
    for name, function in _tests():
        marks = getattr(function, "pytestmark", [])
        if stage is not None and stage not in {mark.name for mark in marks}:
            continue
        found.update((name, mark.args[0]) for mark in marks if mark.name == "asks_database")
    return found


def planned() -> dict[str, Query]:
    """Return the runbook's queries, which stand in the parameters of a test and are only planned."""
    return {
        f"{name}[{parameter.values[0]}]": mark.args[0]
        for name, function in _tests()
        for parametrized in getattr(function, "pytestmark", [])
        if parametrized.name == "parametrize"
        for parameter in parametrized.args[1]
        for mark in getattr(parameter, "marks", ())
        if mark.name == "asks_database"
    }


def _tests() -> Iterator[tuple[str, Any]]:
    for path in sorted(FOLDER.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"declared_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield from ((name, function) for name, function in vars(module).items() if name.startswith("test_"))
