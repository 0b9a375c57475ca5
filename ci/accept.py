"""
`ci/verify accept CHECK`: writes a known fault for a red check, from the last verdict, and shows the difference.

The entry names every offender of the check that no valid entry covers yet. It is a change of the repository, to be
reviewed and committed like any other.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from datetime import date

import msgspec

from ci.options import Options
from fixtures.model.allowances import KnownFault
from fixtures.model.known_faults import KNOWN_FAULTS_FILE, TABLE, known_faults, name_of, problem_of, today
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import CheckResult, Outcome, Verdict, write_atomically


def accept(options: Options) -> int:
    """Add the entry and print the difference; raises UsageError."""
    verdict = _read(options)
    check = _find(options.subject or "", verdict)
    entry = KnownFault(
        target=verdict.target,
        check=name_of(check.node_id),
        offenders=_uncovered(check, verdict.target),
        owner=options.owner or "",
        reason=options.reason or "",
        since=today(),
        expires=_day(options.until or ""),
    )
    if problem := problem_of(entry, check.severity, check.judges):
        msg = f"accept {entry.check}: {problem.replace('set `expires` earlier', 'give an earlier --until')}"
        raise UsageError(msg)
    before = KNOWN_FAULTS_FILE.read_text(encoding="utf-8-sig")
    after = f"{before.rstrip()}\n\n{_written(entry)}"
    write_atomically(KNOWN_FAULTS_FILE, after.encode())
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(old, new, KNOWN_FAULTS_FILE.name, KNOWN_FAULTS_FILE.name, n=1))
    return 0


def _read(options: Options) -> Verdict:
    path = options.reports / "verdict.json"
    try:
        return Verdict.read(path)
    except OSError as error:
        msg = f"{path}: {error.strerror}; run a stage first, or name its reports with --reports"
        raise UsageError(msg) from None
    except (ValueError, msgspec.DecodeError) as error:
        msg = f"{path}: no verdict of this version ({error}); run the stage again"
        raise UsageError(msg) from None


def _find(named: str, verdict: Verdict) -> CheckResult:
    """Return the red check of this name: node id, test function or title."""
    red = [check for check in verdict.checks if check.outcome is Outcome.FAILED]
    found = [check for check in red if named in {check.node_id, name_of(check.node_id), check.title}]
    if not found:
        others = ", ".join(name_of(check.node_id) for check in red) or "none"
        msg = f"accept {named}: not red in run {verdict.run_id} on {verdict.target}; red are: {others}"
        raise UsageError(msg)
    if not _offenders(found[0]):
        msg = f"accept {named}: the verdict lists no offender of it, so that nothing can be accepted"
        raise UsageError(msg)
    return found[0]


def _offenders(check: CheckResult) -> list[str]:
    attempts = (attempt.offenders for attempt in check.attempts if attempt.outcome is Outcome.FAILED)
    return list(dict.fromkeys(one for offenders in attempts for one in offenders))


def _uncovered(check: CheckResult, target: str) -> list[str]:
    """Return the offenders that no valid entry covers yet."""
    own = [one for one in known_faults() if (one.target, one.check) == (target, name_of(check.node_id))]
    valid = [one for one in own if one.expires >= today()]
    covered = {offender for fault in valid for offender in fault.offenders}
    return [offender for offender in _offenders(check) if offender not in covered]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"--until {text}: not a day; write it as {today()}"
        raise UsageError(msg) from None


def _written(entry: KnownFault) -> str:
    """Return the entry as TOML, whose strings escape as JSON's do."""
    offenders = "".join(f"  {_quoted(one)},\n" for one in entry.offenders)
    texts = ((key, getattr(entry, key)) for key in ("owner", "reason"))
    lines: Iterable[str] = (
        f"[[{TABLE}]]\n",
        *(f"{key} = {_quoted(text)}\n" for key, text in (("target", entry.target), ("check", entry.check))),
        f"offenders = [\n{offenders}]\n",
        *(f"{key} = {_quoted(text)}\n" for key, text in texts),
        f"since = {entry.since}\nexpires = {entry.expires}\n",
    )
    return "".join(lines)


def _quoted(text: str) -> str:
    # TOML refuses the one control character that JSON leaves as it is.
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
