"""
Undoes a deployment, at most once, and proves it: rules, request, three proofs.

Each step is written to the state before it is taken, so that the next run knows about the request of a killed gate.
Accepted is not done: the alias job, the alias and a fresh request to production must each name the target.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx
import msgspec

from ci.unfinished import RUNNING, is_request_of, named_in_unreadable
from ci.web import new_client
from fixtures.checks.answers import Sent, answer_of
from fixtures.state.state import RollbackRecord, State, Step
from fixtures.target.vercel import Vercel, VercelError
from fixtures.target.vercel_words import AliasRequest

PROOF_DEADLINE = 75.0
_ASK_LIMIT = 20.0
_POLL = 0.1
_POLL_MOST = 0.5
_FAILED = frozenset({"failed", "skipped"})


@dataclass(frozen=True)
class Order:
    """
    Take production (url, host) from one deployment to another.

    cooldown: seconds.  objection: why the target is not fit to serve production, "": it is.
    """

    run_id: str
    url: str
    host: str
    deployment_id: str
    target_id: str
    reason: str
    cooldown: float
    objection: str = ""


@dataclass(frozen=True)
class Result:
    """The result of an attempt. detail: one sentence. proofs: in words. requested_at: monotonic seconds."""

    step: Step
    detail: str
    proofs: list[str] = field(default_factory=list)
    requested_at: float | None = None

    @property
    def proved(self) -> bool:
        """Return whether all three proofs show that production serves the target."""
        return self.step == "proved"


def refuse(order: Order, state: State, vercel: Vercel) -> str | None:
    """Return why this rollback must not be tried; None: it may. Raises VercelError, StateError."""
    made = [record for record in state.rollbacks() if record.step != "abandoned" and record.run_id != order.run_id]
    tried = any(record.deployment_id == order.deployment_id for record in made)
    if tried or named_in_unreadable(state, "rollbacks.json", order.deployment_id):
        return f"a rollback of {order.deployment_id} was tried before; it is tried once"
    if any(record.step != "refused" and time.time() - record.intended_at < order.cooldown for record in made):
        minutes = f"{order.cooldown / 60:g} min"
        return f"production was rolled back less than {minutes} ago; a person must decide about a second rollback"
    if order.objection:
        return order.objection
    serving = vercel.production_id(order.host)
    if serving != order.deployment_id:
        return f"production does not serve {order.deployment_id} any more but {serving}"
    return _forbidden_by_vercel(order, vercel)


def _forbidden_by_vercel(order: Order, vercel: Vercel) -> str | None:
    """Return why Vercel's own last alias request forbids a rollback: our state may be lost, and Vercel's is not."""
    last = vercel.project().last_alias_request
    if last is None or last.type != "rollback":
        return None
    if last.from_deployment_id == order.deployment_id:
        return f"Vercel was asked before to roll {order.deployment_id} back; it is tried once"
    if time.time() - last.requested_at / 1000 < order.cooldown:
        minutes = f"{order.cooldown / 60:g} min"
        return f"Vercel was asked for a rollback less than {minutes} ago; a person must decide about another one"
    return None


def roll_back(
    order: Order,
    state: State,
    vercel: Vercel,
    *,
    deadline: float = PROOF_DEADLINE,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Roll back and prove it, within `deadline` seconds. Every answer of Vercel ends in a Result; raises StateError."""
    record = RollbackRecord(
        run_id=order.run_id,
        deployment_id=order.deployment_id,
        target_id=order.target_id,
        reason=order.reason,
        intended_at=time.time(),
    )
    attempt = _Attempt(order, vercel, sleep)
    until = time.monotonic() + deadline
    try:
        refusal = refuse(order, state, vercel)
        if refusal:
            return Result("refused", refusal)
        project = vercel.project()
        attempt.project_id, attempt.before = project.id, project.last_alias_request
        record.before_requested_at = attempt.before.requested_at if attempt.before else None
        state.record_rollback(record)
        attempt.ask(min(until, time.monotonic() + _ASK_LIMIT))
    except VercelError as error:
        return _written(state, record, Result("refused", str(error)))
    requested_at = time.monotonic()
    _written(state, record, Result("requested", ""))
    proofs, missing = attempt.prove(until)
    detail = "; ".join(missing) or f"production serves {order.target_id}"
    return _written(state, record, Result("unproved" if missing else "proved", detail, proofs, requested_at))


def record_healing(order: Order, state: State, *, healed: bool, detail: str) -> None:
    """Write the last step of a proved rollback."""
    record = next(record for record in state.rollbacks() if record.run_id == order.run_id)
    _written(state, record, Result("healed" if healed else "not-healed", detail))


class _Attempt:
    """One request and its proofs."""

    def __init__(self, order: Order, vercel: Vercel, sleep: Callable[[float], None]) -> None:
        self.order = order
        self.vercel = vercel
        self.sleep = sleep
        self.project_id = ""
        self.before: AliasRequest | None = None

    def ask(self, until: float) -> None:
        """
        Ask until it is certain that the request was accepted; raises VercelError when it was not.

        After a 5xx or no answer it may have been accepted all the same: the project shows that. After a 409 somebody
        else moves production: wait, and go on only if production still serves the judged deployment.
        """
        while True:
            try:
                self.vercel.rollback(self.project_id, self.order.target_id, self.order.reason)
            except VercelError as error:
                if not (error.ambiguous or error.status == HTTPStatus.CONFLICT):
                    raise
                self.sleep(_POLL_MOST)
                if self._is_ours(self.vercel.project().last_alias_request):
                    return
                if time.monotonic() >= until:
                    raise
                self._still_needed(error)
            else:
                return

    def _is_ours(self, last: AliasRequest | None) -> bool:
        return is_request_of(last, self.order.target_id, self.before.requested_at if self.before else None)

    def _still_needed(self, refusal: VercelError) -> None:
        serving = self.vercel.production_id(self.order.host)
        if serving != self.order.deployment_id:
            message = f"{refusal.message}; production serves {serving} now"
            raise VercelError(code="overtaken", message=message, status=refusal.status)

    def prove(self, until: float) -> tuple[list[str], list[str]]:
        """Return (proofs, missing proofs) once all are there, none can come any more, or the deadline has passed."""
        pause = _POLL
        while True:
            proofs, missing, final = self._look()
            if not missing or final or time.monotonic() >= until:
                return proofs, missing
            self.sleep(pause)
            pause = min(1.5 * pause, _POLL_MOST)

    def _look(self) -> tuple[list[str], list[str], bool]:
        wanted = self.order.target_id
        proofs: list[str] = []
        missing: list[str] = []
        try:
            job, final = self._job(proofs)
            serving = self.vercel.production_id(self.order.host)
        except VercelError as error:
            return proofs, [str(error)], False
        missing += [job] if job else []
        (proofs if serving == wanted else missing).append(f"the alias of {self.order.host} names {serving}")
        named = named_deployment(self.order.url)
        (proofs if named == wanted else missing).append(f"a fresh request to {self.order.url} was answered by {named}")
        return proofs, missing, final

    def _job(self, proofs: list[str]) -> tuple[str, bool]:
        """Return (the missing proof in words, whether waiting is useless)."""
        last = self.vercel.project().last_alias_request
        if last is None or last == self.before:
            return "Vercel's API does not show the alias job yet", False
        if not self._is_ours(last):
            return f"another alias request came in between: {last.type} to {last.to_deployment_id}", True
        if last.job_status == "succeeded":
            proofs.append("the alias job succeeded")
            return "", False
        if last.job_status in RUNNING | _FAILED:
            return f"the alias job is {last.job_status}", last.job_status in _FAILED
        # The other two proofs show whether production has moved.
        proofs.append(f"the alias job is {last.job_status}, a word that Vercel does not document")
        return "", False


def named_deployment(url: str) -> str:
    """Return the deployment that answers a new client without cookies; in words when no answer names one."""
    try:
        with new_client(5.0) as client:
            response = client.get(url, headers={"cache-control": "no-cache"})
    except httpx.HTTPError as error:
        return f"nobody ({type(error).__name__})"
    trouble = response.headers.get("x-vercel-error", "")
    unnamed = f"an answer that names no deployment ({f'{response.status_code} {trouble}'.strip()})"
    return answer_of(response, 0.0, Sent()).deployment or unnamed


def _written(state: State, record: RollbackRecord, result: Result) -> Result:
    changed = msgspec.structs.replace(record, step=result.step, detail=result.detail)
    state.record_rollback(changed)
    return result
