"""A sample of the mutants: half harmful and half harmless, even over kinds, then over rules, then over subjects."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from typing import TypeVar

from fixtures.sandbox.mutants import Mutant

Item = TypeVar("Item")


def sample(mutants: Iterable[Mutant], seed: int, count: int) -> list[Mutant]:
    """
    Return so many mutants, the same for the same seed, fewer where there are not enough.

    Harmful and harmless ones take turns, so that every beginning of a sample is a fair sample too: a bench that was
    ended early can be published, and a larger sample of the same seed begins with the smaller one. A half that is used
    up is not filled with mutants of the other.
    """
    halves = [], []  # type: tuple[list[Mutant], list[Mutant]]
    for mutant in mutants:
        halves[not mutant.truth.harmful].append(mutant)
    if not all(halves):
        return list(islice(_dealt(chain(*halves), seed), count))
    harmful, harmless = (
        list(islice(_dealt(half, seed), most))
        for half, most in zip(halves, ((count + 1) // 2, count // 2), strict=True)
    )
    turns = chain.from_iterable(zip_longest(harmful, harmless))
    return [mutant for mutant in turns if mutant is not None]


def _dealt(mutants: Iterable[Mutant], seed: int) -> Iterator[Mutant]:
    """Yield all of them: each kind in turn gives the next of its rules, and each rule the next of its subjects."""
    kinds: defaultdict[str, defaultdict[str, list[Mutant]]] = defaultdict(lambda: defaultdict(list))
    for mutant in mutants:
        kinds[mutant.kind][mutant.name.partition("/")[0]].append(mutant)
    ordered = sorted(kinds, key=lambda kind: _place(seed, kind))
    yield from _in_turn(_of_kind(kinds[kind], seed) for kind in ordered)


def _of_kind(rules: dict[str, list[Mutant]], seed: int) -> Iterator[Mutant]:
    ordered = sorted(rules, key=lambda rule: _place(seed, rule))
    return _in_turn(iter(sorted(rules[rule], key=lambda mutant: _place(seed, mutant.name))) for rule in ordered)


def _in_turn(sources: Iterable[Iterator[Item]]) -> Iterator[Item]:
    """Yield one item of each source, then the next of each; a source that has no more is left out."""
    waiting = list(sources)
    while waiting:
        left = []
        for source in waiting:
            for item in source:
                yield item
                left.append(source)
                break
        waiting = left


def _place(seed: int, name: str) -> str:
    """Return the place of a name. It does not depend on the other names, so a new rule moves few others."""
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
