"""The command line of `ci.bench.mutants`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Never

from fixtures.model.toml_tables import UsageError
from fixtures.sandbox.mutants.mutant import KINDS

SEED, COUNT, RATCHET_COUNT = 1, 300, 25
_MOST_SIDE_BY_SIDE = 16
_PARTS = ("harmful", "harmless")


@dataclass(frozen=True)
class Options:
    """One command line. seed, count: None where they are not given.  part: "harmful", "harmless", or None: both."""

    seed: int | None
    count: int | None
    kind: Sequence[str]
    part: str | None
    resume: bool
    list: bool
    side_by_side: int
    ratchet: bool
    anew: str | None

    @property
    def chosen_seed(self) -> int:
        """The seed, given or not."""
        return SEED if self.seed is None else self.seed

    @property
    def narrowed(self) -> tuple[str, ...]:
        """The wanted kinds and half, as a part of the name of the results; none where all are wanted."""
        return (*sorted(set(self.kind)), *((self.part,) if self.part else ()))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        msg = f"{message}; see python -m ci.bench.mutants --help"
        raise UsageError(msg)


def parse(arguments: Sequence[str] | None, about: str | None) -> Options:
    """Read a command line; a wrong one is a UsageError of one line. about: the text above the options in --help."""
    parser = _Parser(
        prog="python -m ci.bench.mutants",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--seed", type=_number(0), metavar="N", help=f"chooses the sample (default: {SEED})")
    parser.add_argument(
        "--count", type=_number(1), metavar="N", help=f"so many mutants (default: {COUNT}; with --anew {RATCHET_COUNT})"
    )
    parser.add_argument(
        "--kind", action="append", choices=KINDS, default=[], metavar="KIND", help=f"repeatable: {', '.join(KINDS)}"
    )
    half = parser.add_mutually_exclusive_group()
    for part in _PARTS:
        half.add_argument(f"--{part}", action="store_const", const=part, dest="part", help=f"{part} ones only")
    parser.add_argument("--resume", action="store_true", help="keep the rows that this sample has already")
    parser.add_argument("--list", action="store_true", help="print names and sentences, and end")
    parser.add_argument(
        "--side-by-side", type=_number(1, _MOST_SIDE_BY_SIDE), default=1, metavar="N", help="so many runs at a time"
    )
    parser.add_argument("--ratchet", action="store_true", help="measure the fixed sample, and compare")
    parser.add_argument("--anew", metavar="REASON", help="with --ratchet: draw and measure its sample again")
    given = Options(**vars(parser.parse_args(arguments)))
    problem = _contradiction(given)
    if problem:
        parser.error(problem)
    return given


def _contradiction(given: Options) -> str | None:
    if given.ratchet and (given.narrowed or given.resume or given.list):
        return "--ratchet: its sample is fixed; leave out --kind, --harmful, --harmless, --resume and --list"
    if given.ratchet and given.anew is None and (given.seed is not None or given.count is not None):
        return "--ratchet: its sample is fixed; --seed and --count need --anew REASON"
    if given.anew is not None and not given.ratchet:
        return "--anew: needs --ratchet"
    if given.anew is not None and not given.anew.strip():
        return "--anew: needs a reason, for the people who read the file"
    if given.resume and given.list:
        return "--list: runs nothing; leave out --resume"
    return None


def _number(least: int, most: int | None = None) -> Callable[[str], int]:
    def read_number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and int(text) >= least and (most is None or int(text) <= most)):
            msg = f"{text!r} is no whole number from {least}" + (f" to {most}" if most is not None else "")
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return read_number
