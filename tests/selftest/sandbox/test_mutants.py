"""The catalogue of mutants is well-formed: each name makes one mutant again, and each mutant has a truth."""

from __future__ import annotations

from collections import Counter

import pytest

from fixtures.model.verdict import Decision
from fixtures.sandbox import mutants
from fixtures.sandbox.mutants.mutant import KINDS

UNDOES = {Decision.ROLLBACK, Decision.INCIDENT, Decision.BLOCK, Decision.ESCALATE}


def test_every_mutant_has_a_name_a_sentence_and_a_truth() -> None:
    """A harmless change never wakes anybody; a harmful one is never kept."""
    assert mutants.mutants() != {}
    for name, mutant in mutants.mutants().items():
        assert name.count("/") == 1, name
        assert mutant.kind in KINDS, name
        assert "{" not in mutant.sentence, name
        assert (mutant.build is None) is not (mutant.sandbox is None), name
        assert mutant.truth.decisions != set(), name
        if mutant.truth.harmful:
            assert Decision.KEEP not in mutant.truth.decisions, name
        else:
            assert mutant.truth.decisions & UNDOES == set(), name


def test_no_two_mutants_of_a_rule_are_the_same() -> None:
    """Each subject of a rule has a name of its own."""
    names = [f"{rule.name}/{subject.name}" for rule in mutants.rules().values() for subject in rule.subjects]

    assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize("name", ["no-such-rule/home", "body-emptied/no-such-page"])
def test_a_mutant_that_does_not_exist_is_refused_in_one_sentence(name: str) -> None:
    """The sentence says where the names are."""
    with pytest.raises(LookupError, match=r"no such mutant; (`python -m|the subjects of body-emptied are home, login)"):
        mutants.find(name)
