"""Exact sequences of readings, as parts of a limit, and what the rule makes of them."""

from __future__ import annotations

import pytest

from fixtures.browser.vitals import Decided, Judgement, decide

PASS, WARN, FAIL = Judgement.PASS, Judgement.WARN, Judgement.FAIL


@pytest.mark.parametrize(
    ("parts", "judgement", "value", "loads"),
    [
        pytest.param([0.60], PASS, 0.60, 1, id="one low load is enough"),
        pytest.param([0.61, 0.75], PASS, 0.75, 2, id="two loads under"),
        pytest.param([0.90, 0.75], PASS, 0.90, 2, id="two loads at both edges"),
        pytest.param([5.00, 0.90, 0.75], PASS, 0.90, 3, id="a lump does not turn a good page red"),
        pytest.param([0.95, 1.50, 0.76, 0.76, 0.95], PASS, 0.95, 5, id="median under the limit at the cap"),
        pytest.param([1.50, 1.40, 0.70, 1.30, 0.85], PASS, 0.85, 5, id="two low loads outweigh three high ones"),
        pytest.param([0.80, 0.80, 1.00, 1.00, 2.00], PASS, 1.00, 5, id="median exactly at the limit"),
        pytest.param([1.05, 1.05, 1.05, 1.05, 1.05], WARN, 1.05, 5, id="just over, not proved"),
        pytest.param([1.10, 1.10, 1.10, 1.10, 1.10], WARN, 1.10, 5, id="median at the edge of proof"),
        pytest.param([0.99, 1.50, 1.50, 1.50, 1.50], WARN, 1.50, 5, id="one load under keeps it unproved"),
        pytest.param([1.61, 1.61], FAIL, 1.61, 2, id="two loads far over"),
        pytest.param([1.60, 1.50, 1.26], FAIL, 1.50, 3, id="three loads well over"),
        pytest.param([1.25, 1.30, 1.25, 1.13], FAIL, 1.25, 4, id="four loads over"),
        pytest.param([1.12, 1.12, 1.12, 1.12, 1.12], FAIL, 1.12, 5, id="all five over and the median proves it"),
        pytest.param([1.01, 1.01, 1.11, 1.20, 1.20], FAIL, 1.11, 5, id="median just past the edge"),
    ],
)
def test_rule_judges_the_first_loads_that_decide(
    parts: list[float], judgement: Judgement, value: float, loads: int
) -> None:
    """Each threshold of the rule, from both sides, at a limit that floats divide exactly."""
    assert decide([1024 * part for part in parts], 1024) == Decided(judgement, 1024 * value, loads)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="no load"),
        pytest.param([0.61], id="one load is not low enough"),
        pytest.param([9.00], id="one load never fails, however slow"),
        pytest.param([0.76, 0.76], id="two loads, lowest not low enough"),
        pytest.param([0.70, 0.91], id="two loads, second not low enough"),
        pytest.param([1.60, 9.00], id="two loads, one at the edge"),
        pytest.param([1.25, 9.00, 9.00], id="three loads, one at the edge"),
        pytest.param([1.12, 9.00, 1.25, 9.00], id="four loads, one at the edge"),
    ],
)
def test_rule_asks_for_one_more_load(parts: list[float]) -> None:
    """An undecided metric is neither green nor red."""
    assert decide([1024 * part for part in parts], 1024) is None


def test_later_loads_do_not_change_a_decision() -> None:
    """Metrics of a page share its loads: one that needs five must not re-open one that needed a single load."""
    assert decide([0.05, 9.0, 9.0, 9.0, 9.0], 0.1) == Decided(PASS, 0.05, 1)


@pytest.mark.parametrize("seed", range(8))
def test_a_passed_reading_is_within_the_limit_and_a_failed_one_is_over(seed: int) -> None:
    """The number in the report must never contradict the verdict beside it."""
    # A linear congruential sequence between 0.4 and 2.0: plain, and the same on every machine.
    state, parts = seed, []
    for _ in range(400):
        state = (1103515245 * state + 12345) % 2**31
        parts.append(0.4 + 1.6 * state / 2**31)
    decided = [one for start in range(0, 400, 5) if (one := decide(parts[start : start + 5], 1.0)) is not None]
    contradictions = [
        one
        for one in decided
        if (one.judgement is PASS and one.value > 1) or (one.judgement is FAIL and one.value <= 1)
    ]

    assert contradictions == []
    assert {one.judgement for one in decided} == {PASS, WARN, FAIL}
