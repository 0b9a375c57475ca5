"""
The report of the gate: decision, reasons and actions in reports/decision.json, reports/summary.md and on the terminal.

Every text is redacted, then escaped for its medium; nothing is decided here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from ci.causes import Attribution
from ci.gate import Judgement, blind_to, known_lines
from ci.red_checks import RedCheck, blocks, clearest, missed, red_checks, title_of
from fixtures.checks.failure_text import shortened
from fixtures.model import escaping, redaction
from fixtures.model.verdict import Outcome, Verdict, write_atomically
from fixtures.run.directory import DIFFERENCE_PAGE, clear
from fixtures.run.own_error import ERROR_FILE

# GitHub drops a summary above 1 MiB altogether.
_SUMMARY_BYTES = 1_000_000
# So many faults and notes fit a terminal of 40 lines.
_SHOWN = 3
_NOTES = 6
_WIDEST = 300
# These let the deployment stand, so that people must know what nobody looked at.
_MAY_BE_BLIND = frozenset({"keep", "alert"})
_CUT = "\n\n(cut: see decision.json)\n"


class RollbackReport(msgspec.Struct, kw_only=True):
    """The rollback of a run. step: the state's; "would": the gate may not act; "elsewhere": another gate acts."""

    from_id: str
    to_id: str
    step: str
    detail: str
    proofs: list[str] = []


class Report(msgspec.Struct, kw_only=True, tag_field="schema", tag="7p-verify/decision/1"):
    """
    The decision and everything that led to it.

    rule: row of the decision table.  about: named beside the decision in the first line.  seconds: by event, since the
    platform could be asked.  known: faults that somebody has accepted: check, by whom, until when, why.  blind: what
    the first line says that the run cannot see.  unseen: the promises that did not apply, and why.  notes: further
    facts for the reader.  pages: HTML pages beside this report.
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
    about: str = ""
    deployment_id: str | None = None
    control_id: str | None = None
    control_source: str = ""
    red: list[RedCheck] = []
    known: list[str] = []
    blind: str = ""
    unseen: list[str] = []
    rollback: RollbackReport | None = None
    notes: list[str] = []
    pages: list[str] = []
    seconds: dict[str, float] = {}

    def decided(self, judgement: Judgement) -> None:
        """Take a decision over, in place of the one before."""
        self.decision, self.exit_code, self.meaning = judgement.decision, judgement.exit_code, judgement.meaning
        self.rule, self.reasons, self.about = judgement.rule, judgement.reasons, judgement.about

    def show(self, verdict: Verdict, causes: Mapping[str, Attribution], fault: str | None) -> None:
        """Take over what is red, known and not seen. fault: of the sandbox."""
        self.red = red_checks(verdict, causes)
        self.known, self.blind = known_lines(verdict), blind_to(verdict)
        self.unseen = [f"{spot.why}: {', '.join(spot.promises)}" for spot in verdict.blind]
        notes = [*verdict.declared, *unjudged(verdict), *(missed(fault, self.stage, verdict) if fault else [])]
        self.notes += [note for note in notes if note not in self.notes]

    def write(self, directory: Path) -> None:
        """Write decision.json and summary.md, and append the summary to GitHub's where there is one."""
        decision = redaction.redact(msgspec.json.format(msgspec.json.encode(self), indent=1).decode())
        write_atomically(directory / "decision.json", decision.encode() + b"\n")
        summary = ("\n".join(self.markdown()) + "\n").encode()
        write_atomically(directory / "summary.md", summary)
        github = os.environ.get("GITHUB_STEP_SUMMARY")
        if github:
            with Path(github).open("ab") as file:
                file.write(cut(summary))

    def lines(self, directory: Path | None = None) -> list[str]:
        """
        Return the terminal's last lines, worst first, the decision last; they fit 40 lines.

        directory: where the summary lies.
        """
        lines = ["===== 7P Verify gate ====="]
        faults = blocks(self.red)
        for block in faults[:_SHOWN]:
            lines += [title_of(block), *(f"    {name}: {text}" for name, text in _facts(block))]
        beyond = sum(len(block) for block in faults[_SHOWN:])
        lines += [f"and {beyond} more red checks: summary.md shows all"] if beyond else []
        lines += [f"known: {known}" for known in self.known[:_SHOWN]]
        lines += [f"and {len(self.known) - _SHOWN} more known faults: see summary.md"] if self.known[_SHOWN:] else []
        lines += [f"because: {reason}" for reason in _grouped(self.reasons)[:_NOTES] if not self.red]
        lines += [f"note: {note}" for note in self.notes[:_NOTES]]
        lines += [f"and {len(self.notes) - _NOTES} more notes: see summary.md"] if len(self.notes) > _NOTES else []
        lines += [f"page: {page}" for page in self.pages]
        if self.seconds:
            lines.append("times: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items()))
        lines += [f"report: {directory / 'summary.md'}"] if directory else []
        lines += [f"done: {self.deed()}", f"decision: {self._headline()}"]
        return [_line(line) for line in lines]

    def markdown(self) -> list[str]:
        """Return the summary for people, as Markdown."""
        lines = [f"# {_text(self._headline())}", ""]
        about = f"({self.url}), stage {self.stage}, mode {self.mode}, run {self.run_id}."
        lines += [f"Target **{_text(self.target)}** {_text(about)}  "]
        lines += [
            f"Deployment {_text(self.deployment_id)}, control {_text(self.control_id)} {self.control_source}.",
            "",
        ]
        lines += [f"**Done:** {_text(self.deed())}", ""]
        lines += ["## Why", "", *(f"- {_text(reason)}" for reason in _grouped(self.reasons)), ""]
        for block in blocks(self.red):
            lines += [f"### {_text(title_of(block))}", ""]
            lines += [f"- {name}: {_text(text)}" for name, text in _facts(block)]
            lines += [
                f"- also: {_text(f'{check.title}: {check.measured}')}" for check in block if check != clearest(block)
            ]
            lines.append("")
        lines += ["## Not seen", "", *(f"- {_text(unseen)}" for unseen in self.unseen), ""] if self.unseen else []
        lines += ["## Known faults", "", *(f"- {_text(known)}" for known in self.known), ""] if self.known else []
        if self.rollback:
            lines += ["## Rollback", "", *(f"- {_text(proof)}" for proof in self.rollback.proofs), ""]
        lines += ["## Pages", "", *(f"- [{page}]({page})" for page in self.pages), ""] if self.pages else []
        lines += ["## Notes", "", *(f"- {_text(note)}" for note in self.notes), ""] if self.notes else []
        return lines

    def _headline(self) -> str:
        dry = ", dry run" if self.dry_run else ""
        where = f"{self.stage} on {self.target}, mode {self.mode}{dry}"
        if self.rollback and self.rollback.step == "would":
            blamed = "this deployment is to blame, and production STILL serves it"
            return f"WOULD ROLL BACK (exit {self.exit_code}: {blamed}); {where}"
        about = f", {self.about}" if self.about else ""
        blind = f", {self.blind}" if self.blind and self.decision in _MAY_BE_BLIND else ""
        return f"{self.decision.upper()}{about}{blind} (exit {self.exit_code}: {self.meaning}); {where}"

    def deed(self) -> str:
        """Return in one sentence what the run changed."""
        rollback = self.rollback
        if rollback is None:
            return "nothing was changed"
        move = f"{rollback.from_id} -> {rollback.to_id}"
        match rollback.step:
            case "healed":
                healed = self.seconds.get("healed", 0)
                proofs = "proved by alias job, alias and fresh request"
                return f"rolled back {move}, {proofs}; healed {healed:.1f} s after the start"
            case "would":
                by_hand = f"by hand: `vercel rollback {rollback.to_id} --yes`"
                return f"nothing was changed; would roll back {move} ({rollback.detail}); {by_hand}"
            case "elsewhere":
                return f"nothing was changed by this run: {rollback.detail}"
            case "refused":
                return f"no rollback {move}: {rollback.detail}"
            case step:
                return f"rollback {move} is {step}: {rollback.detail}. Look at production now"


def _facts(block: list[RedCheck]) -> Iterator[tuple[str, str]]:
    """Yield the facts about a block that a person reads, by name; a title that stands first is not repeated."""
    check = clearest(block)
    if check.expected:
        is_first = check is block[0]
        yield "expected", check.expected.removeprefix(f"{check.title}: ") if is_first else check.expected
    yield "got", check.measured
    yield from (("answer", line) for line in check.answer)
    yield from (("asked", line) for line in check.asked)
    yield "cause", f"{check.cause}: {check.evidence}"
    yield "first", check.first_action
    if check.files:
        yield "see", ", ".join(check.files)


def forget(directory: Path, *, before: float) -> None:
    """Remove the files of an earlier run (before: epoch seconds): a reader would take them for this run's."""
    named = [directory / name for name in ("decision.json", "summary.md", "verdict.json", DIFFERENCE_PAGE)]
    for path in [*named, *directory.glob(ERROR_FILE.format("*"))]:
        if path.exists() and path.stat().st_mtime < before:
            clear(path)


def unjudged(verdict: Verdict) -> list[str]:
    """Return notes on subjects that no check of this run has judged, with the command that changes that."""
    without = [check for check in verdict.checks if check.outcome is Outcome.NOT_APPLICABLE]
    # A capability that targets.toml leaves out is no news; what the platform has at the moment is.
    absent = [check for check in without if check.severity.is_urgent and not check.lacks]
    notes = [f"not judged: {line}" for line in _grouped(f"{check.title}: {check.reason}" for check in absent)]
    # Without a database there is nothing to take a snapshot of.
    if any(check.reason.endswith(": before-snapshot") for check in without):
        ahead = "run `ci/verify snapshot` ahead of the migrations next time"
        notes.append(f"changes of the database were not judged; {ahead}")
    return notes


def _grouped(reasons: Iterable[str]) -> list[str]:
    """Return each reason once, with the first of those that have it."""
    names: dict[str, list[str]] = {}
    for reason in reasons:
        name, colon, why = reason.partition(": ")
        names.setdefault(f"{colon}{why}", []).append(name)
    return [f"{same[0]}{f' and {len(same) - 1} more' if same[1:] else ''}{why}" for why, same in names.items()]


def cut(summary: bytes) -> bytes:
    """Return the summary within GitHub's limit."""
    if len(summary) <= _SUMMARY_BYTES:
        return summary
    return summary[: _SUMMARY_BYTES - len(_CUT)].decode(errors="ignore").encode() + _CUT.encode()


def _line(text: str) -> str:
    """Return a line of the terminal, indented as it was."""
    indent = " " * (len(text) - len(text.lstrip(" ")))
    return indent + shortened(escaping.one_line(" ".join(redaction.redact(text).split())), _WIDEST)


def _text(text: str | None) -> str:
    """Return foreign text for Markdown, without a secret."""
    return escaping.markdown(redaction.redact(str(text)))
