"""
Attacks the suite in many ways; no attack may change its verdict.

    .venv/bin/python -m ci.bench.chaos                       every attack; about 20 seconds each
    .venv/bin/python -m ci.bench.chaos --resume              those without a result of this seed and catalogue
    .venv/bin/python -m ci.bench.chaos --only 'kills/*'      those whose names match; --list prints the names

The catalogue is in `ci/bench/attacks/`. Every run must also have the exit code of its decision, no traceback, at most
one rollback, at most 1 GB of memory, no leftovers, and no secret in any artifact. The bench writes
ci/bench/results/chaos.json after every attack, and ends with 1 when an attack was not survived. Linux only.
"""

from __future__ import annotations

import argparse
import logging
import re
import signal
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from ci.bench.attacks import catalogue
from ci.bench.attacks.arena import Arena, NotReachedError, Seen
from ci.bench.attacks.attack import Attack, Right
from ci.bench.attacks.canaries import search, secrets_of
from ci.bench.attacks.sandboxes import Sandboxes
from ci.bench.machine_class import stamp
from ci.gate import EXIT, EXIT_USAGE
from fixtures.model.verdict import Decision, write_atomically

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "ci" / "bench" / "results" / "chaos.json"
SEED = 7
MOST_MEMORY_MB = 1024
_SHELL_SIGNAL = 128
# The last line of a traceback.
_ERROR = re.compile(r"^[\w.]+(?:Error|Exception|Exit|Interrupt\w*)\b.*", re.MULTILINE)
_SHOWN = 400


class Result(msgspec.Struct):
    """
    The result of one attack.

    saw: decision and exit code of each run.  problems: empty when the suite survived the attack.
    """

    summary: str
    right: list[str]
    saw: list[str]
    seconds: float
    peak_mb: int
    problems: list[str]


class Results(msgspec.Struct):
    """The committed results. attacks: by name."""

    seed: int = SEED
    survived: str = ""
    measured_on: dict[str, object] = {}
    attacks: dict[str, Result] = {}


def carry_out(attack: Attack, sandboxes: Sandboxes) -> Result:
    """Carry one attack out, and compare the end with the right answer."""
    began = time.monotonic()
    runs: list[Seen] = []
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="7p-chaos-", ignore_cleanup_errors=True) as directory:
        try:
            with sandboxes.arena(Path(directory), attack) as arena:
                first = arena.run(attack)
                runs.append(first)
                problems += judge(attack.right, first, unseen=attack.unseen) + common(
                    arena, first, leaves=attack.leaves
                )
                if attack.again is not None:
                    arena.forget_rate_limits()
                    second = arena.run(attack, attacked=False)
                    runs.append(second)
                    found = judge(attack.again, second) + common(arena, second, leaves=False)
                    problems += [f"the run after it: {problem}" for problem in found]
                problems += attack.proof(arena, first)
        except NotReachedError as error:
            problems.append(str(error))
        problems = [_shareable(problem, directory) for problem in problems]
    return Result(
        attack.summary,
        list(attack.right.ends),
        [f"{seen.decided}, exit {seen.code}" for seen in runs],
        round(time.monotonic() - began, 1),
        max((seen.peak_mb for seen in runs), default=0),
        problems,
    )


def judge(right: Right, seen: Seen, *, unseen: bool = False) -> list[str]:
    """Return one sentence for each difference between a run's end and the right answer."""
    if seen.code is None:
        return [f"it had to be ended after {seen.seconds:.0f} s with {seen.peak_mb} MB: {_end_of(seen)}"]
    problems = [] if seen.seconds <= right.seconds else [f"{seen.seconds:.0f} s, the bound is {right.seconds:.0f} s"]
    if not any(_is(end, seen, unseen=unseen) for end in right.ends):
        wanted = ", ".join(right.ends)
        problems.append(f"it ended with {seen.decided} and exit code {seen.code}, not with {wanted}: {_end_of(seen)}")
    said = seen.out + seen.err
    problems += [f"it does not say {text!r}" for text in right.said if text not in said]
    problems += [f"it says {text!r}" for text in right.unsaid if text in said]
    return problems


def _is(end: str, seen: Seen, *, unseen: bool) -> bool:
    """Tell whether a run ended so: with this decision and its exit code."""
    if end == "stopped":
        return seen.code is not None and (seen.code < 0 or seen.code > _SHELL_SIGNAL)
    if end == "usage":
        return seen.code == EXIT_USAGE and bool(seen.err.strip() or seen.out.strip() or unseen)
    # The gate may end before it can write a decision: exit 3 says the same as one to hold.
    if seen.decided == "none" and (unseen or end == "hold"):
        return seen.code == EXIT[Decision(end)]
    return seen.decided == end and seen.code == EXIT[Decision(end)]


def common(arena: Arena, seen: Seen, *, leaves: bool) -> list[str]:
    """Return one sentence for each broken promise that holds for every run."""
    problems = []
    if "Traceback (most recent call last)" in seen.out + seen.err:
        errors = _ERROR.findall(seen.out + seen.err) or (seen.err.strip() or seen.out.strip()).splitlines()[-1:]
        problems.append(f"a traceback reached the terminal: {errors[-1][:_SHOWN]}")
    if len(arena.moves) > 1:
        problems.append(f"production was asked to move {len(arena.moves)} times")
    if seen.code == 1 and seen.decided not in {"rollback", "block", "none"}:
        problems.append(f"exit 1 with the decision {seen.decided}")
    if seen.peak_mb > MOST_MEMORY_MB:
        problems.append(f"{seen.peak_mb} MB of memory, the bound is {MOST_MEMORY_MB} MB")
    if seen.left and not leaves:
        problems.append(f"it left behind: {'; '.join(line[:80] for line in seen.left[:5])}")
    return problems + search(arena, seen, secrets_of(arena.sandbox))


def _end_of(seen: Seen) -> str:
    """Return the reasons of a run's decision, or else the last line that it printed."""
    reasons = seen.decision.get("reasons", [])
    last = (seen.err.strip() or seen.out.strip() or "it printed nothing").splitlines()[-1]
    return ("; ".join(map(str, reasons[:2])) or last)[:_SHOWN]


def _shareable(problem: str, directory: str) -> str:
    """Return a problem without paths of this machine and without active characters."""
    for path, word in ((directory, "{folder}"), (str(ROOT), "{checkout}")):
        problem = problem.replace(path, word)
    return problem.encode("unicode_escape").decode() if not problem.isprintable() else problem


def read_results(path: Path = RESULTS) -> Results:
    """Return the committed results."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def main() -> int:
    """Carry out the chosen attacks, and write the results after each one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", metavar="PATTERN", action="append", help="names, as a shell matches files; repeatable"
    )
    parser.add_argument("--resume", action="store_true", help="leave out attacks that have a result already")
    parser.add_argument(
        "--failed", action="store_true", help="only attacks whose result says that they were not survived"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"chooses the random moments (default: {SEED})")
    parser.add_argument("--list", action="store_true", help="print names and summaries, and end")
    given = parser.parse_args()
    attacks = catalogue(given.seed)
    known = read_results(RESULTS)
    kept = {name: row for name, row in known.attacks.items() if name in attacks and known.seed == given.seed}
    chosen = [name for name in attacks if not given.only or any(fnmatch(name, pattern) for pattern in given.only)]
    if given.resume:
        chosen = [name for name in chosen if name not in kept or kept[name].summary != attacks[name].summary]
    if given.failed:
        chosen = [name for name in chosen if name in kept and kept[name].problems]
    if given.list:
        sys.stdout.writelines(f"{name}: {attacks[name].summary}\n" for name in chosen)
        return 0
    # Those that share a sandbox follow each other.
    chosen.sort(key=lambda name: (not attacks[name].only_surrounds, attacks[name].fault or ""))
    # A shell that starts the bench in the background has it ignore Ctrl-C, and every run would inherit that.
    for interrupt in (signal.SIGTERM, signal.SIGINT):
        signal.signal(interrupt, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    measured_on = stamp()
    # The sandbox runs in this process, and its application logs each failure that an attack causes.
    logging.disable()
    with Sandboxes() as sandboxes:
        for number, name in enumerate(chosen, 1):
            kept[name] = result = carry_out(attacks[name], sandboxes)
            state = "NOT SURVIVED" if result.problems else "survived"
            sys.stdout.write(
                f"{number} of {len(chosen)}, {name}: {state}, {' then '.join(result.saw)}, {result.seconds} s\n"
            )
            sys.stdout.writelines(f"    {problem}\n" for problem in result.problems)
            sys.stdout.flush()
            ordered = {one: kept[one] for one in attacks if one in kept}
            survived = (
                f"{sum(not row.problems for row in ordered.values())} of {len(ordered)}, {len(attacks)} are known"
            )
            results = Results(given.seed, survived, measured_on, ordered)
            write_atomically(RESULTS, msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    return 1 if any(kept[name].problems for name in chosen) else 0


if __name__ == "__main__":
    raise SystemExit(main())
