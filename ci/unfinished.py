"""
Finishes the work of an earlier run that was killed: unreadable state files, rollbacks without proof, unsent notices.

It runs ahead of the checks, so that the first lines of a run report the fate of the run before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Final

import msgspec

from ci.notify import OUTBOX, Outbox, deliver, queue
from fixtures.model.verdict import ACCEPTED, Outcome, Severity, Verdict
from fixtures.state.state import (
    UNFINISHED,
    Good,
    Incident,
    RollbackRecord,
    ShadowEntry,
    State,
    StateBusyError,
    StateError,
    Step,
)
from fixtures.target.vercel import Vercel, VercelError
from fixtures.target.vercel_words import AliasRequest

_JOB_WAIT: Final = 30.0
_POLL: Final = 0.25
RUNNING: Final = frozenset({"pending", "in-progress"})
_DOCUMENTS: Final[dict[str, type]] = {
    "last-good": list[Good],
    "rollbacks": list[RollbackRecord],
    "incidents": list[Incident],
    "shadow": list[ShadowEntry],
    OUTBOX: Outbox,
}


class _Acting(msgspec.Struct, kw_only=True):
    """Which gate may roll back now.  since: epoch seconds."""

    run_id: str
    pid: int
    since: float


@contextmanager
def acting(state: State, run_id: str, *, wait: float) -> Iterator[None]:
    """Be the one gate that may roll back this target; raises StateBusyError that says which one is."""
    with ExitStack() as held:
        try:
            held.enter_context(state.lock("rollback", wait=wait))
        except StateBusyError as error:
            raise StateBusyError(_who(state) or str(error)) from None
        state.keep_document("acting", _Acting(run_id=run_id, pid=os.getpid(), since=time.time()))
        yield


def _who(state: State) -> str:
    with suppress(StateError):
        other = state.document("acting", _Acting)
        if other:
            since = f"{datetime.fromtimestamp(other.since, UTC):%Y-%m-%d %H:%M:%S} UTC"
            return f"the gate of run {other.run_id} (process {other.pid}) rolls back since {since}"
    return ""


def finish(state: State, vercel: Vercel | None, host: str, webhook: str | None) -> list[str]:
    """Finish the earlier rollbacks and notices; return notes for the report, in the order of events."""
    lines: list[str] = []
    try:
        with state.lock("rollback", wait=0):
            try:
                lines += finish_rollbacks(state, vercel, host, wait=_JOB_WAIT) if vercel else []
            except VercelError as error:
                lines.append(f"{error}; it is not known how an earlier rollback ended")
            if webhook:
                queue(state, [])
                lines += deliver(state, webhook)
    except StateBusyError as error:
        lines.append(_who(state) or str(error))
    except (StateError, OSError) as error:
        lines.append(f"notices of an earlier run could not be sent: {error}")
    return lines


def put_unreadable_aside(state: State) -> list[str]:
    """Rename every state file that cannot be read, so that the run goes on without it; return one line for each."""
    lines: list[str] = []
    for name, kind in _DOCUMENTS.items():
        try:
            state.document(name, kind)
        except StateError as error:
            kept = state.put_aside(f"{name}.json")
            lines.append(f"{error}. The run goes on without it; the file is kept as {kept.name}")
    return lines


def named_in_unreadable(state: State, name: str, word: str) -> bool:
    """Return whether an unreadable file of this name holds the word: the rest of a torn record still counts."""
    return any(word.encode() in path.read_bytes() for path in state.path.glob(f"{name}.unreadable-*"))


def finish_rollbacks(state: State, vercel: Vercel, host: str, *, wait: float = 0) -> list[str]:
    """
    Find out how the rollbacks of killed gates ended, write that into their records, and return it in words.

    wait: seconds in which an alias job that still runs may end.
    """
    unfinished = [record for record in state.rollbacks() if record.step in UNFINISHED]
    if not unfinished:
        return []
    last = vercel.project().last_alias_request
    until = time.monotonic() + wait
    while last and last.job_status in RUNNING and time.monotonic() < until:
        time.sleep(_POLL)
        last = vercel.project().last_alias_request
    serving = vercel.production_id(host)
    lines = []
    for record in unfinished:
        step, detail = _became(record, serving, last)
        state.record_rollback(msgspec.structs.replace(record, step=step, detail=detail))
        rolled = f"{record.deployment_id} back to {record.target_id}"
        lines.append(f"the gate of run {record.run_id} died while it rolled {rolled}: {detail}")
    return lines


def _became(record: RollbackRecord, serving: str | None, last: AliasRequest | None) -> tuple[Step, str]:
    arrived = is_request_of(last, record.target_id, record.before_requested_at)
    if serving == record.target_id:
        return "proved", f"its request arrived: production serves {serving}"
    if arrived and last and last.job_status in RUNNING:
        return "requested", f"its request arrived and its job is {last.job_status}"
    if arrived or record.step == "requested" or serving != record.deployment_id:
        return "unproved", f"production serves {serving}"
    return "abandoned", f"its request was never made: production still serves {serving}"


def is_request_of(last: AliasRequest | None, target_id: str, before_at: int | None) -> bool:
    """Return whether Vercel's last alias request is this rollback. Only Vercel's clock is used: ours may be wrong."""
    return (
        last is not None
        # Vercel may call a rollback by a new word; a promotion is none.
        and last.type != "promote"
        and last.to_deployment_id == target_id
        and last.requested_at != before_at
    )


def prove_healing(state: State, verdict: Verdict, serving: str | None, run_id: str) -> list[str]:
    """
    Judge by this run whether production healed after a rollback whose gate died before it looked.

    serving: the deployment that this run has judged.  Raises StateError.
    """
    p0 = [check for check in verdict.checks if check.severity is Severity.P0]
    applicable = [check for check in p0 if check.outcome is not Outcome.NOT_APPLICABLE]
    if not applicable or verdict.missing or not verdict.complete:
        return []
    open_ = [f"{check.title}: {check.outcome}" for check in applicable if check.outcome not in ACCEPTED]
    lines = []
    for record in state.rollbacks():
        if record.step != "proved" or record.target_id != serving or record.run_id == run_id:
            continue
        step: Step = "not-healed" if open_ else "healed"
        detail = "; ".join(open_) or f"every P0 check passed in run {run_id}"
        state.record_rollback(msgspec.structs.replace(record, step=step, detail=detail))
        lines.append(f"the rollback of run {record.run_id} to {record.target_id} is {step}: {detail}")
    return lines
