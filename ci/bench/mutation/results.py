"""The file that holds the rows of one seed. It is written after every run, so that a killed bench loses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ci.bench.mutation.row import Row
from ci.bench.mutation.summary import Summary, summarise
from fixtures.model.verdict import write_atomically
from fixtures.sandbox.mutants import Mutant

RESULTS = Path(__file__).parents[1] / "results"


class Results(msgspec.Struct):
    """The rows of one seed, in the order of the sample. count: of the whole sample, measured or not."""

    seed: int
    count: int
    measured_on: dict[str, object]
    summary: Summary
    rows: dict[str, Row]


def results_file(seed: int, *narrowed: str) -> Path:
    """Return the file of a seed. A sample that is narrowed to kinds or to one half has a file of its own."""
    return RESULTS / f"{'-'.join(['mutants', str(seed), *narrowed])}.json"


def read(file: Path) -> Results | None:
    """Return the results in a file, None where there is none; raises msgspec.MsgspecError for a torn one."""
    return msgspec.json.decode(file.read_bytes(), type=Results) if file.exists() else None


def write(file: Path, results: object) -> None:
    """Replace a file of results in one step."""
    write_atomically(file, msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def kept(results: Results, wanted: Iterable[Mutant]) -> dict[str, Row]:
    """Return the rows that stand: a rule that was corrected since then is measured again."""
    return {
        mutant.name: results.rows[mutant.name]
        for mutant in wanted
        if mutant.name in results.rows and results.rows[mutant.name].is_of(mutant)
    }


def in_order(wanted: Iterable[Mutant], rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows in the order of the sample, whichever run came to its end first."""
    return {mutant.name: rows[mutant.name] for mutant in wanted if mutant.name in rows}


def collected(seed: int, count: int, rows: dict[str, Row], measured_on: dict[str, object]) -> Results:
    """Return the results that are written, with their numbers."""
    return Results(seed, count, measured_on, summarise(rows), rows)
