"""The result of a mutant as a row, and its judgement."""

from __future__ import annotations

import msgspec

from fixtures.model.verdict import Decision, Severity
from fixtures.sandbox.mutants import Mutant

NO_DECISION = "no decision"


class End(msgspec.Struct, frozen=True):
    """
    The end of one run of the whole path.

    decision: None where the run left none.  red: node id -> severity, as the verdict has them.
    seconds: from the moment at which the platform could be asked to the decision.  problem: why there is no decision.
    """

    decision: Decision | None
    exit_code: int | None
    red: dict[str, Severity] = {}
    seconds: float | None = None
    problem: str = ""


class Row(msgspec.Struct, frozen=True):
    """
    One mutant, its truth, and the end of its run.

    lowest, highest: the severity of the defect; None: it is harmless.  allowed: the decisions that are right.
    took: seconds of the whole run.  tree: the commit that was measured.  why: why it is not right.
    """

    sentence: str
    kind: str
    lowest: Severity | None
    highest: Severity | None
    allowed: list[str]
    decision: str
    exit_code: int | None
    red: dict[str, Severity]
    seconds: float | None
    took: float
    tree: str
    right: bool
    why: str

    @property
    def harmful(self) -> bool:
        """Whether users, or operators, lose something."""
        return self.highest is not None

    @property
    def caught(self) -> bool:
        """Whether some check is red at the lowest severity of the defect, or worse."""
        return self.lowest is not None and any(severity <= self.lowest for severity in self.red.values())

    @property
    def decided(self) -> bool:
        """Whether the decision is right."""
        return self.decision in self.allowed

    def is_of(self, mutant: Mutant) -> bool:
        """Whether it was measured for this change and this truth."""
        truth = (self.lowest, self.highest, self.allowed)
        return self.sentence == mutant.sentence and truth == _told(mutant)


def judge(mutant: Mutant, end: End, *, took: float, tree: str) -> Row:
    """Compare the end of a run with the truth about its mutant."""
    row = Row(
        mutant.sentence,
        mutant.kind,
        *_told(mutant),
        decision=end.decision.value if end.decision else NO_DECISION,
        exit_code=end.exit_code,
        red=dict(sorted(end.red.items())),
        seconds=end.seconds,
        took=round(took, 1),
        tree=tree,
        right=True,
        why="",
    )
    problems = []
    if end.decision is None:
        problems.append(f"no decision: {end.problem}")
    elif not row.decided:
        problems.append(f"decided {row.decision}, right is {' or '.join(row.allowed)}")
    if row.harmful and not row.caught:
        problems.append(f"no check is red at {row.lowest} or worse")
    return msgspec.structs.replace(row, right=not problems, why="; ".join(problems))


def _told(mutant: Mutant) -> tuple[Severity | None, Severity | None, list[str]]:
    truth = mutant.truth
    return truth.lowest, truth.highest, sorted(decision.value for decision in truth.decisions)
