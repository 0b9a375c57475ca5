"""The database checks' queries, by the name of their test: self-tests ask them of servers of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fixtures.declarations import Query

FOLDER = Path(__file__).parents[1] / "database"


def declared() -> dict[str, Query]:
    """Return every query that stands above a test of tests/database."""
    found: dict[str, Query] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"declared_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, function in vars(module).items():
            for mark in getattr(function, "pytestmark", []):
                if mark.name == "asks_database":
                    found[name] = mark.args[0]
    return found
