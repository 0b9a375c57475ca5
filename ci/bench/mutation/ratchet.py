"""The fixed sample that may only get better: no mutant of it that was right may be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from ci.bench.mutation.results import RESULTS
from ci.bench.mutation.row import Row

FILE = RESULTS / "mutants-ratchet.json"
Result = Literal["right", "wrong"]


class Ratchet(msgspec.Struct):
    """The fixed sample. reason: why it was drawn anew.  mutants: name -> its result when it was measured last."""

    reason: str
    seed: int
    measured_on: dict[str, object]
    mutants: dict[str, Result]


def read(file: Path = FILE) -> Ratchet | None:
    """Return the ratchet, None where there is none; raises msgspec.MsgspecError for a torn file."""
    return msgspec.json.decode(file.read_bytes(), type=Ratchet) if file.exists() else None


def results_of(rows: Mapping[str, Row]) -> dict[str, Result]:
    """Return the results as the ratchet keeps them."""
    return {name: "right" if row.right else "wrong" for name, row in rows.items()}


def worse(known: Mapping[str, Result], rows: Mapping[str, Row]) -> list[str]:
    """Return one line for each mutant that was right and is wrong."""
    return [f"{name}: {row.why}" for name, row in rows.items() if known.get(name) == "right" and not row.right]


def better(known: Mapping[str, Result], rows: Mapping[str, Row]) -> dict[str, Result]:
    """Return the results with every mutant that is right now; the others stay as they are."""
    return {name: "right" if name in rows and rows[name].right else result for name, result in known.items()}
