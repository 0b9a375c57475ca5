"""
Red checks as a person reads them: expected, got, cause, first step; checks with one root are one block.

The verdict has everything; this module chooses the few lines that matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from ci.causes import Attribution
from ci.gate import red_of
from fixtures.checks.failure_text import shortened
from fixtures.model.verdict import Cause, CheckResult, Verdict

_LINE = 300
_MORE_LINES = 2
_RAISED = "AssertionError: "
# Of checks with one root, the one with the clearest cause is shown; other causes lie between these two.
_CLEARNESS = {Cause.DEPLOYMENT.value: 0, Cause.UNKNOWN.value: 2}
_EXPECTED, _GOT = "expected: ", "got: "
# What came back for a request: "500 x-vercel-error …" or "no answer: refused".
_ANSWER = re.compile(r" -> (.+?) in \d+(?:\.\d+)? m?s\b")


class RedCheck(msgspec.Struct, kw_only=True):
    """
    One red check.

    expected: in words, "" where the check says none.  measured: a number and its limit, or the answer that came.
    answer: its next lines, as the beginning of a body.  asked: exchanges, where `measured` shows none.  evidence: of
    the cause.  files: the check's own.
    """

    node_id: str
    severity: str
    title: str
    measured: str
    cause: str
    evidence: str
    first_action: str
    judges: str
    expected: str = ""
    answer: list[str] = []
    asked: list[str] = []
    files: list[str] = []

    @property
    def root(self) -> str:
        """Return a text that is equal for checks with one fault: the worst answer, without address and time."""
        answers = _ANSWER.findall("\n".join([self.measured, *self.answer, *self.asked]))
        return max(answers, key=lambda answer: (answer.startswith("no answer"), answer), default=self.measured)


def blocks(red: Iterable[RedCheck]) -> list[list[RedCheck]]:
    """Return the red checks by root, worst first: twenty checks that one broken route has turned red are one fact."""
    by_root: dict[str, list[RedCheck]] = {}
    for check in red:
        by_root.setdefault(check.root, []).append(check)
    return list(by_root.values())


def clearest(block: list[RedCheck]) -> RedCheck:
    """Return the check of a block whose cause is known best."""
    return min(block, key=lambda check: _CLEARNESS.get(check.cause, 1))


def title_of(block: list[RedCheck]) -> str:
    """Return severity and titles in one line."""
    first, *others = block
    more = f", and {len(others)} more: {', '.join(check.title for check in others)}" if others else ""
    return f"{first.severity}  {first.title}{more}"


def red_checks(verdict: Verdict, causes: Mapping[str, Attribution]) -> list[RedCheck]:
    """Return the red checks with their causes, worst first."""
    unknown = Attribution(Cause.UNKNOWN, "the gate did not look for a cause")
    return [
        _red_check(check, causes.get(check.node_id, unknown), verdict.url)
        for check in sorted(red_of(verdict), key=lambda check: (check.severity, check.node_id))
    ]


def _red_check(check: CheckResult, found: Attribution, url: str) -> RedCheck:
    said = [shortened(line, _LINE) for line in check.reason.strip().removeprefix(_RAISED).splitlines()]
    expected = next((line for line in said if line.startswith(_EXPECTED)), "")
    came = [line.removeprefix(_GOT) for line in said if line != expected]
    over = measured(check)
    return RedCheck(
        node_id=check.node_id,
        severity=check.severity,
        title=check.title,
        expected=expected.removeprefix(_EXPECTED),
        measured=over or (came[0] if came else "red"),
        cause=found.cause,
        evidence=found.evidence,
        first_action=found.first_step or _first_action(check, found.cause, url),
        judges=check.judges,
        answer=[] if over else came[1 : 1 + _MORE_LINES],
        asked=check.asked_besides([over, *came[:1]]),
        files=check.evidence,
    )


def measured(check: CheckResult) -> str:
    """Return the numbers over their limits; "": the check has none."""
    return "; ".join(
        f"{found.name} {found.value:g} {found.unit}, limit {found.limit:g} {found.unit} ({found.samples} samples)"
        for found in check.measurements
        if found.limit is not None and found.value > found.limit
    )


def _first_action(check: CheckResult, cause: Cause, url: str) -> str:
    answers = _ANSWER.findall("\n".join([check.reason, *check.asked]))
    if answers and all(answer.startswith("no answer") for answer in answers):
        return f"`curl -sv {url}` from here and from another network: is it this runner's, or the site, that is down?"
    if cause is Cause.THIRD_PARTY:
        wait = "Follow the vendor's status page; nothing on our side repairs this"
        return f"{wait}. If the vendor reports no problem: {check.first_action}"
    return check.first_action


def missed(name: str, stage: str, verdict: Verdict) -> list[str]:
    """Return the checks that a fault of the sandbox should have turned red and did not, or the stage that shows it."""
    if "/" in name:
        # A mutant knows nothing of the checks.
        return []
    from fixtures.sandbox.faults import CATALOGUE  # noqa: PLC0415  (the sandbox is loaded where one is broken)
    from fixtures.sandbox.faults.red_set import surprises  # noqa: PLC0415

    fault = CATALOGUE[name]
    if fault.stage != stage:
        return [f"{name} is a fault of another stage: `ci/verify {fault.stage} --fault {name}`"]
    return [f"{name}: {line}" for line in surprises(fault, verdict.checks)]
