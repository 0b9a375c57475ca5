"""A pair ends when it proves enough: its further rounds would take minutes, and change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.model.paired import is_proof, is_settled
from fixtures.model.verdict import Attempt, Cause, Outcome

F, P, N = Outcome.FAILED, Outcome.PASSED, Outcome.NOT_MEASURED


def attempts(*outcomes: Outcome, **other: Any) -> list[Attempt]:  # noqa: ANN401  (any field)
    """Return attempts of candidate and control in turns."""
    return [Attempt(outcome=outcome, seconds=0.1, identified=True, **other) for outcome in outcomes]


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (attempts(F, F, F, F), True),
        (attempts(F, P, F, P, F, P, F, P), True),
        (attempts(F, F), False),
        (attempts(F, P, F, P, F, P), False),
        (attempts(F, F, F), False),
        (attempts(F, P, F, F), False),
        (attempts(F, P, P, P, F, P, F, P), False),
        (attempts(P, P, P, P), False),
        (attempts(F, N, F, N), False),
        (attempts(F, F, F, F, blocker=Cause.RUNNER), False),
        ([], False),
    ],
)
def test_only_plain_and_slow_pairs_end(given: list[Attempt], *, settled: bool) -> None:
    """A doubt, an answer of nobody knows whom, or a pair that costs little goes on to the fifth round."""
    assert is_settled(given, took=60) is settled
    assert not is_settled(given, took=2)


def test_an_answer_that_names_no_deployment_settles_nothing() -> None:
    """It could be the other one's."""
    given = attempts(F, F, F, F)
    given[3].identified = False

    assert not is_settled(given, took=60)


@pytest.mark.parametrize(
    ("given", "proof"),
    [
        (attempts(F, P, F, P, F, P, F, P, symptom="down"), True),
        (attempts(F, P, F, P, F, P, F, P), False),
        (attempts(F, P, F, P, F, P, symptom="down"), False),
        (attempts(F, F, F, F, symptom="down"), False),
        (attempts(F, P, F, P, F, P, F, F, symptom="down"), False),
        ([], False),
    ],
)
def test_only_a_difference_in_every_round_is_a_proof(given: list[Attempt], *, proof: bool) -> None:
    """After it no other check runs again: each of its rounds would take long."""
    assert is_proof(given) is proof
