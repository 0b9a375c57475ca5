"""
What the gate decided, why, and what it did: reports/decision.json, reports/summary.md and the last lines of the run.

Everything goes through the masks; nothing is decided here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ci.gate import Judgement
from ci.red_checks import RedCheck, silence
from fixtures.model import redaction
from fixtures.model.verdict import Outcome, Verdict, write_atomically
from fixtures.report.difference_page import PAGE

# GitHub drops a summary above 1 MiB altogether.
_SUMMARY_BYTES = 1_000_000
# Details of so many red checks are read in a terminal.
_SHOWN = 8
_MANY = 3
_CUT = "\n\n(cut: see decision.json)\n"


class RollbackReport(msgspec.Struct, kw_only=True):
    """What became of the rollback. step: the state's, or "would" where the gate may not act."""

    from_id: str
    to_id: str
    step: str
    detail: str
    proofs: list[str] = []


class Report(msgspec.Struct, kw_only=True, tag_field="schema", tag="7p-verify/decision/1"):
    """
    The decision and everything that led to it.

    rule: row of the decision table.  seconds: by event, since the platform was there to be asked.  notes: what a reader
    must know besides.  pages: drawn ones, beside this report.
    """

    run_id: str
    stage: str
    target: str
    url: str
    mode: str
    dry_run: bool = False
    decision: str = "hold"
    exit_code: int = 3
    meaning: str = ""
    rule: int = 2
    reasons: list[str] = []
    deployment_id: str | None = None
    control_id: str | None = None
    control_source: str = ""
    red: list[RedCheck] = []
    rollback: RollbackReport | None = None
    notes: list[str] = []
    pages: list[str] = []
    seconds: dict[str, float] = {}

    def decided(self, judgement: Judgement) -> None:
        """Take a decision over, in place of the one before."""
        self.decision, self.exit_code, self.meaning = judgement.decision, judgement.exit_code, judgement.meaning
        self.rule, self.reasons = judgement.rule, judgement.reasons

    def write(self, directory: Path) -> None:
        """Write decision.json and summary.md, and append the summary to GitHub's where there is one."""
        write_atomically(
            directory / "decision.json",
            redaction.redact(msgspec.json.format(_encoded(self), indent=1)).encode() + b"\n",
        )
        summary = redaction.redact("\n".join(self.markdown())) + "\n"
        write_atomically(directory / "summary.md", summary.encode())
        github = os.environ.get("GITHUB_STEP_SUMMARY")
        if github:
            with Path(github).open("ab") as file:
                file.write(cut(summary))

    def lines(self) -> list[str]:
        """Return the terminal's last lines, worst first, masked."""
        lines = [f"===== 7P Verify gate: {self._headline()} =====", *self._silence()]
        for check in self.red[:_SHOWN]:
            lines += [
                f"{check.severity}  {check.title}",
                f"    measured: {check.measured}",
                *(f"    answer:   {line}" for line in check.answer),
                *(f"    asked:    {line}" for line in check.asked),
                f"    cause:    {check.cause}: {check.evidence}",
                f"    first:    {check.first_action}",
                *(f"    see:      {path}" for path in check.files),
            ]
        beyond = len(self.red) - _SHOWN
        lines += [f"and {beyond} more: summary.md shows all"] if beyond > 0 else []
        lines += [f"because: {reason}" for reason in _grouped(self.reasons) if not self.red]
        lines += [f"done: {self.deed()}"]
        lines += [f"drawn: {page}" for page in self.pages]
        lines += [f"note: {note}" for note in self.notes]
        if self.seconds:
            lines.append("times: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items()))
        return [redaction.redact(line) for line in lines]

    def markdown(self) -> list[str]:
        """Return the summary for people, as Markdown."""
        lines = [f"# {self._headline()}", ""]
        lines += [f"Target **{self.target}** ({self.url}), stage {self.stage}, mode {self.mode}, run {self.run_id}.  "]
        lines += [f"Deployment `{self.deployment_id}`, control `{self.control_id}` {self.control_source}.", ""]
        lines += [f"**Done:** {self.deed()}", ""]
        lines += ["## Why", "", *(f"- {reason}" for reason in _grouped(self.reasons)), ""]
        if self.red:
            lines += ["## Red", "", "| | Check | Measured | Cause | First |", "|---|---|---|---|---|"]
            lines += [
                f"| {check.severity} | {_cell(check.title)} | "
                f"{_cell('; '.join([check.measured, *check.answer, *check.asked]))} | "
                f"{check.cause}: {_cell(check.evidence)} | {_cell(check.first_action)} |"
                for check in self.red
            ]
            lines.append("")
        if self.rollback:
            lines += ["## Rollback", "", *(f"- {proof}" for proof in self.rollback.proofs), ""]
        lines += ["## Drawn", "", *(f"- [{page}]({page})" for page in self.pages), ""] if self.pages else []
        lines += ["## Notes", "", *(f"- {note}" for note in self.notes), ""] if self.notes else []
        return lines

    def _headline(self) -> str:
        dry = ", dry run" if self.dry_run else ""
        where = f"{self.stage} on {self.target}, mode {self.mode}{dry}"
        if self.rollback and self.rollback.step == "would":
            blamed = "this deployment is to blame, and production STILL serves it"
            return f"WOULD ROLL BACK (exit {self.exit_code}: {blamed}); {where}"
        return f"{self.decision.upper()} (exit {self.exit_code}: {self.meaning}); {where}"

    def _silence(self) -> list[str]:
        """Return one line where nothing at all was answered: so many red checks are one fact then."""
        silent = {silence([check.measured, *check.asked]) for check in self.red}
        if len(self.red) < _MANY or len(silent) > 1 or "" in silent:
            return []
        return [f"none of the {len(self.red)} red checks got an answer from {self.url} ({silent.pop()})"]

    def deed(self) -> str:
        """Return what was done, in one sentence."""
        rollback = self.rollback
        if rollback is None:
            return "nothing was changed"
        move = f"{rollback.from_id} -> {rollback.to_id}"
        healed = self.seconds.get("healed")
        match rollback.step:
            case "healed":
                proofs = "; ".join(rollback.proofs)
                return f"rolled back {move}, proved by: {proofs}; healed {healed or 0:.1f} s after the start"
            case "would":
                by_hand = f"by hand: `vercel rollback {rollback.to_id} --yes`"
                return f"nothing was changed; would roll back {move} ({rollback.detail}); {by_hand}"
            case "refused":
                return f"no rollback {move}: {rollback.detail}"
            case step:
                return f"rollback {move} is {step}: {rollback.detail}. Look at production now"


def forget(directory: Path, *, before: float) -> None:
    """Remove what an earlier run has left there, epoch seconds: it would be taken for this one's."""
    for path in (directory / name for name in ("decision.json", "summary.md", "verdict.json", PAGE)):
        if path.exists() and path.stat().st_mtime < before:
            path.unlink()


def unjudged(verdict: Verdict) -> list[str]:
    """Return what no check of this run has looked at, and what to do that the next one does."""
    lacking = [check.reason for check in verdict.checks if check.outcome is Outcome.NOT_APPLICABLE]
    # Without a database there is nothing to take a snapshot of.
    if not any(reason.endswith(": before-snapshot") for reason in lacking):
        return []
    return ["what changed in the database was not judged: run `ci/verify snapshot` ahead of the migrations"]


def _grouped(reasons: Iterable[str]) -> list[str]:
    """Return each reason once, with the first of those that have it."""
    names: dict[str, list[str]] = {}
    for reason in reasons:
        name, colon, why = reason.partition(": ")
        names.setdefault(f"{colon}{why}", []).append(name)
    return [f"{same[0]}{f' and {len(same) - 1} more' if same[1:] else ''}{why}" for why, same in names.items()]


def cut(summary: str) -> bytes:
    """Return the summary within GitHub's limit."""
    content = summary.encode()
    if len(content) <= _SUMMARY_BYTES:
        return content
    return content[: _SUMMARY_BYTES - len(_CUT)].decode(errors="ignore").encode() + _CUT.encode()


def _encoded(report: Report) -> str:
    return msgspec.json.encode(report).decode()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
