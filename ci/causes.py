"""
Finds the cause of a red check without a re-run: from its answers, its surroundings, the alias and the ledger.

The surroundings are production, addresses outside the platform, and the status pages of the vendors. `pairs.py` proves
the rest. No rule here blames a deployment without proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import msgspec

from ci.comparison import Comparison
from ci.web import new_client
from fixtures.model.verdict import Cause, CheckResult, Outcome
from fixtures.target.target import Target

_TIMEOUT = 3.0
# A server that sends a byte a second has not answered either.
_WHOLE = {"seconds": _TIMEOUT}


@dataclass(frozen=True)
class Circumstances:
    """
    The answers of the surroundings.

    target: whether production answers at all, with any status.  controls: whether an address outside the platform
    does; None: the target names none.  vendors: vendor -> the trouble that its status page names.
    """

    target: bool = True
    controls: bool | None = None
    vendors: Mapping[str, str] = field(default_factory=dict)


def look_around(target: Target, vendors: Iterable[str]) -> Circumstances:
    """Ask production, the control addresses and the vendors' status pages, all at once; takes 3 s at most each."""
    asked = {vendor: target.third_parties[vendor] for vendor in set(vendors) if vendor in target.third_parties}
    with new_client(_TIMEOUT) as client, ThreadPoolExecutor(max_workers=8) as pool:
        production = pool.submit(_answers, client, target.url)
        controls = [pool.submit(_answers, client, address) for address in target.control_addresses]
        pages = {vendor: pool.submit(_trouble, client, page) for vendor, page in asked.items()}
        troubles = {vendor: page.result() for vendor, page in pages.items()}
        return Circumstances(
            target=production.result(),
            controls=any(control.result() for control in controls) if controls else None,
            vendors={vendor: trouble for vendor, trouble in troubles.items() if trouble},
        )


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        client.get(url, extensions=_WHOLE)
    except httpx.HTTPError:
        return False
    return True


class _Status(msgspec.Struct):
    indicator: str
    description: str = ""


class _Page(msgspec.Struct):
    status: _Status


def _trouble(client: httpx.Client, page: str) -> str:
    """Return the trouble that a Statuspage names; "": none, or the page cannot be read."""
    try:
        status = msgspec.json.decode(client.get(page, extensions=_WHOLE).content, type=_Page).status
    except (httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return "" if status.indicator == "none" else f"{status.indicator} ({status.description})".removesuffix(" ()")


@dataclass(frozen=True)
class Attribution:
    """
    A cause, and the evidence for it in one line.

    first_step: in place of the runbook's, "": the runbook's.  without_control: no other deployment could be asked.
    """

    cause: Cause
    evidence: str
    first_step: str = ""
    without_control: bool = False


def at_first_answer(check: CheckResult, around: Circumstances) -> Attribution | None:
    """Return the cause that the run and its surroundings prove without a control deployment; None: they prove none."""
    blockers = {attempt.blocker for attempt in check.attempts if attempt.outcome is not Outcome.PASSED}
    for blocker in (Cause.BLOCKED, Cause.SELF_INFLICTED):
        if blocker in blockers:
            return Attribution(blocker, _message(check) or f"an answer showed that the runner was {blocker}")
    # "Refused" looks the same from both ends; an address outside the platform shows the difference.
    silent = not around.target or Cause.RUNNER in blockers
    if silent and check.kind != "database" and around.controls is False:
        unheard = "neither the target nor the control addresses outside the platform answer"
        return Attribution(Cause.RUNNER, f"{unheard}; check this runner's network")
    if check.asks == ["vendor github"]:
        return Attribution(Cause.DEPLOYMENT, "GitHub reports it about the commit of this deployment")
    if check.kind != "database":
        return None
    if Cause.RUNNER in blockers:
        return Attribution(Cause.RUNNER, _message(check) or "the database cannot be reached from here")
    return Attribution(Cause.EXISTING, "the database is the same under every deployment; a rollback does not change it")


def without_pairs(check: CheckResult, around: Circumstances, comparison: Comparison, reason: str) -> Attribution:
    """Return the cause of a check that could not be paired, and why it was not."""
    trouble = around.vendors.get(check.third_party or "")
    if trouble:
        return Attribution(Cause.THIRD_PARTY, f"{check.third_party}'s own status page reports {trouble}")
    # Without skew protection a host-bound check cannot be paired: the ledger is the only witness.
    unpaired = check.host_bound and comparison.pinned_url is None and check.third_party is None
    if not (unpaired and comparison.good and check.node_id in comparison.good.passed):
        return Attribution(Cause.UNKNOWN, reason, without_control=comparison.control is None)
    control = f"{comparison.control_name} passed this check when this suite kept it"
    ledger = f"production serves {comparison.candidate_id}, and {control}"
    return Attribution(Cause.DEPLOYMENT, f"not paired ({reason}); by alias and ledger: {ledger}")


def from_alias(comparison: Comparison, *, control_passes: bool) -> Attribution:
    """Judge a deployment that is gone, so that there is nothing to pair: the alias is the evidence."""
    gone = f"production serves {comparison.candidate_id}, which by Vercel's API is {comparison.gone}"
    if control_passes:
        return Attribution(Cause.DEPLOYMENT, f"{gone}; {comparison.control_name} passes P0 (by alias, not by pairs)")
    return Attribution(Cause.UNKNOWN, f"{gone}; {comparison.control_name} did not pass P0 either")


def _message(check: CheckResult) -> str:
    messages = [attempt.message for attempt in check.attempts if attempt.blocker and attempt.message]
    return messages[-1].strip().splitlines()[0] if messages else ""
