"""The numbers of a sample of mutants: recall, right decisions, false alarms, seconds; each rate with its interval."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import sqrt
from statistics import median, quantiles

import msgspec

from ci.bench.mutation.row import NO_DECISION, Row

# Of the normal distribution: 95 % lie within so many standard deviations.
_Z = 1.959964
# People have to act, or production was changed.
_ACTS = frozenset({"rollback", "incident", "block", "escalate"})
_WIDTH = 34


class Rate(msgspec.Struct, frozen=True):
    """So many of so many, in percent, with Wilson's 95 % interval; the percentages are None where there is nothing."""

    hits: int
    of: int
    percent: float | None
    low: float | None
    high: float | None


class Summary(msgspec.Struct, frozen=True):
    """
    The published numbers.

    recall: harmful mutants that made a check red at their lowest severity or worse.  right_decisions: of all mutants.
    false_alarms: harmless mutants whose decision is not right.  acted_on: harmless ones that were undone, or that call
    people.  decisions: "harmful" and "harmless" -> decision -> how often.  seconds: to the decision.
    misses: kind -> name -> why.  trees: measured commit -> rows.
    """

    harmful: int
    harmless: int
    without_decision: int
    recall: Rate
    recall_by_kind: dict[str, Rate]
    recall_by_severity: dict[str, Rate]
    right_decisions: Rate
    right_decisions_on_harmful: Rate
    right_decisions_on_harmless: Rate
    right_decisions_by_kind: dict[str, Rate]
    false_alarms: Rate
    false_alarms_by_kind: dict[str, Rate]
    acted_on: Rate
    decisions: dict[str, dict[str, int]]
    seconds: dict[str, float]
    misses: dict[str, dict[str, str]]
    trees: dict[str, int]


def rate(answers: Iterable[bool]) -> Rate:
    """Return how many of the answers are true."""
    found = list(answers)
    if not found:
        return Rate(0, 0, None, None, None)
    low, high = wilson(sum(found), len(found))
    return Rate(sum(found), len(found), _percent(sum(found) / len(found)), _percent(low), _percent(high))


def wilson(hits: int, of: int) -> tuple[float, float]:
    """
    Return Wilson's 95 % interval of a rate, both ends from 0 to 1.

    The simple interval says that 20 of 20 is exact. Source: Wilson 1927, in Brown, Cai, DasGupta 2001.
    """
    share, part = hits / of, _Z**2 / of
    middle = (share + part / 2) / (1 + part)
    half = _Z * sqrt(share * (1 - share) / of + part / (4 * of)) / (1 + part)
    return max(0.0, middle - half), min(1.0, middle + half)


def summarise(rows: Mapping[str, Row]) -> Summary:
    """Count the rows, which are there by the name of their mutant."""
    harmful = [row for row in rows.values() if row.harmful]
    harmless = [row for row in rows.values() if not row.harmful]
    every = list(rows.values())
    misses: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, row in rows.items():
        if not row.right:
            misses[row.kind][name] = row.why
    return Summary(
        len(harmful),
        len(harmless),
        sum(row.decision == NO_DECISION for row in every),
        rate(row.caught for row in harmful),
        _by(_kind, harmful, lambda row: row.caught),
        _by(lambda row: str(row.lowest), harmful, lambda row: row.caught),
        rate(row.decided for row in every),
        rate(row.decided for row in harmful),
        rate(row.decided for row in harmless),
        _by(_kind, every, lambda row: row.decided),
        rate(not row.decided for row in harmless),
        _by(_kind, harmless, lambda row: not row.decided),
        rate(row.decision in _ACTS for row in harmless),
        {
            name: dict(Counter(row.decision for row in part).most_common())
            for name, part in (("harmful", harmful), ("harmless", harmless))
        },
        _seconds([row.seconds for row in every if row.seconds is not None]),
        dict(sorted(misses.items())),
        dict(Counter(row.tree for row in every).most_common()),
    )


def table(summary: Summary) -> Iterator[str]:
    """Yield the lines that people read."""
    without = f"{summary.without_decision} runs without a decision"
    yield f"{summary.harmful} harmful and {summary.harmless} harmless mutants; {without}"
    yield f"{'':<{_WIDTH}}{'of':>5}{'hits':>7}{'rate':>9}   95 % interval"
    yield _line("recall", summary.recall)
    yield from _part("kind", summary.recall_by_kind)
    yield from _part("severity", summary.recall_by_severity)
    yield _line("right decisions", summary.right_decisions)
    yield _line("  on harmful mutants", summary.right_decisions_on_harmful)
    yield _line("  on harmless mutants", summary.right_decisions_on_harmless)
    yield from _part("kind", summary.right_decisions_by_kind)
    yield _line("false alarms", summary.false_alarms)
    yield from _part("kind", summary.false_alarms_by_kind)
    yield _line("  undone, or people were called", summary.acted_on)
    for part, decisions in summary.decisions.items():
        yield f"{part}: " + (", ".join(f"{count} {decision}" for decision, count in decisions.items()) or "none")
    if summary.seconds:
        yield "time to decision: " + ", ".join(f"{name} {value:.1f} s" for name, value in summary.seconds.items())
    yield "measured trees: " + ", ".join(f"{tree} ({count})" for tree, count in summary.trees.items())
    for kind, names in summary.misses.items():
        yield f"not right, {kind}:"
        yield from (f"  {name}: {why}" for name, why in names.items())


def _kind(row: Row) -> str:
    return row.kind


def _by(key: Callable[[Row], str], rows: list[Row], hit: Callable[[Row], bool]) -> dict[str, Rate]:
    grouped: defaultdict[str, list[bool]] = defaultdict(list)
    for row in rows:
        grouped[key(row)].append(hit(row))
    return {name: rate(answers) for name, answers in sorted(grouped.items())}


def _seconds(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    late = quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return {"median": round(median(seconds), 1), "p90": round(late, 1)}


def _percent(share: float) -> float:
    return round(100 * share, 1)


def _part(word: str, rates: Mapping[str, Rate]) -> Iterator[str]:
    for name, found in rates.items():
        yield _line(f"  {word} {name}", found)


def _line(name: str, found: Rate) -> str:
    if found.percent is None:
        return f"{name:<{_WIDTH}}{found.of:>5}"
    return (
        f"{name:<{_WIDTH}}{found.of:>5}{found.hits:>7}{found.percent:>7.1f} %   {found.low:.1f} to {found.high:.1f} %"
    )
