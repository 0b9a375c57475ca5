"""
Measures the suite with mutants: changes of the sandbox whose truth is known by construction.

    .venv/bin/python -m ci.bench.mutants                         a sample of 300; some ten seconds each
    .venv/bin/python -m ci.bench.mutants --seed 2 --count 600    another sample
    .venv/bin/python -m ci.bench.mutants --resume                goes on with the sample of this seed
    .venv/bin/python -m ci.bench.mutants --kind api --harmless   a part, with results of its own
    .venv/bin/python -m ci.bench.mutants --list                  every mutant and its sentence; runs nothing
    .venv/bin/python -m ci.bench.mutants --ratchet               the fixed sample, which may only get better

Each mutant goes through the whole path: a sandbox, `ci/verify postdeploy`, the pairs, the rollback. The bench writes
ci/bench/results/mutants-SEED.json after every run, and prints recall, right decisions and false alarms with 95 %
intervals. It ends with 0 however bad they are: it measures. `--ratchet` ends with 1 when a mutant of
ci/bench/results/mutants-ratchet.json that was right is wrong now; `--anew REASON` draws that sample again.

Runs side by side are faster in all. They take time from each other, which the checks of time see.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

import msgspec

from ci.bench.machine_class import stamp
from ci.bench.mutation import ratchet
from ci.bench.mutation.options import COUNT, RATCHET_COUNT, Options, parse
from ci.bench.mutation.results import collected, in_order, kept, read, results_file, write
from ci.bench.mutation.row import Row
from ci.bench.mutation.run import measured_tree, run
from ci.bench.mutation.sample import sample
from ci.bench.mutation.summary import table
from ci.gate import EXIT_USAGE
from fixtures.model.toml_tables import UsageError
from fixtures.sandbox.mutants import Mutant, mutants

_INTERRUPTED = 130
Read = TypeVar("Read")
RunOne = Callable[[Mutant, str], Row]


def chosen(given: Options) -> list[Mutant]:
    """Return the mutants of the wanted kinds and half; raises UsageError when there is none."""
    found = [
        mutant
        for mutant in mutants().values()
        if (not given.kind or mutant.kind in given.kind)
        and (given.part is None or mutant.truth.harmful is (given.part == "harmful"))
    ]
    if not found:
        msg = f"{' and '.join(given.narrowed)}: there is no such mutant; --list shows them all"
        raise UsageError(msg)
    return found


def publish(given: Options, run_one: RunOne = run) -> int:
    """Measure a sample, write its file after each run, and print its numbers."""
    file = results_file(given.chosen_seed, *given.narrowed)
    earlier = _read(read, file) if given.resume else None
    count = given.count or (earlier.count if earlier else COUNT)
    if earlier and count < len(earlier.rows):
        msg = f"--count {count}: {file.name} holds {len(earlier.rows)} rows; leave out --count, or --resume"
        raise UsageError(msg)
    wanted = sample(chosen(given), given.chosen_seed, count)
    rows = kept(earlier, wanted) if earlier else {}
    waiting = [mutant for mutant in wanted if mutant.name not in rows]
    measured_on = stamp() if waiting or not earlier else earlier.measured_on
    if len(wanted) < count:
        sys.stdout.write(f"{len(wanted)} mutants, not {count}: there are no more that keep both halves even\n")
    for mutant, row in measure(waiting, given.side_by_side, run_one):
        rows[mutant.name] = row
        write(file, collected(given.chosen_seed, count, in_order(wanted, rows), measured_on))
        _show(f"{len(rows)} of {len(wanted)}", mutant, row)
    results = collected(given.chosen_seed, count, in_order(wanted, rows), measured_on)
    write(file, results)
    sys.stdout.writelines(f"{line}\n" for line in [f"\nseed {results.seed}, {file.name}", *table(results.summary)])
    return 0


def measure(wanted: Iterable[Mutant], side_by_side: int, run_one: RunOne) -> Iterator[tuple[Mutant, Row]]:
    """Yield each mutant with its row when its run has ended, so many at a time."""
    tree = measured_tree()
    with ThreadPoolExecutor(side_by_side) as threads:
        running: dict[Future[Row], Mutant] = {threads.submit(run_one, mutant, tree): mutant for mutant in wanted}
        try:
            for ended in as_completed(running):
                yield running[ended], ended.result()
        finally:
            threads.shutdown(cancel_futures=True)


def draw(given: Options, run_one: RunOne = run) -> int:
    """Draw and measure the fixed sample."""
    wanted = sample(chosen(given), given.chosen_seed, given.count or RATCHET_COUNT)
    results = ratchet.results_of(_rows(wanted, given, run_one))
    write(ratchet.FILE, ratchet.Ratchet(given.anew or "", given.chosen_seed, stamp(), results))
    return 0


def hold(given: Options, run_one: RunOne = run) -> int:
    """Measure the fixed sample, write what became better, and return 1 when something became worse."""
    known = _read(ratchet.read, ratchet.FILE)
    if known is None:
        msg = f"{ratchet.FILE.name} is not there; draw the sample with --anew REASON"
        raise UsageError(msg)
    gone = [name for name in known.mutants if name not in mutants()]
    if gone:
        msg = f"{ratchet.FILE.name}: no rule makes {', '.join(gone)}; draw the sample with --anew REASON"
        raise UsageError(msg)
    rows = _rows([mutants()[name] for name in known.mutants], given, run_one)
    worse = ratchet.worse(known.mutants, rows)
    write(ratchet.FILE, msgspec.structs.replace(known, mutants=ratchet.better(known.mutants, rows)))
    sys.stdout.write(f"{sum(row.right for row in rows.values())} of {len(rows)} are right, {len(worse)} became worse\n")
    sys.stdout.writelines(f"    {line}\n" for line in worse)
    return 1 if worse else 0


def _rows(wanted: list[Mutant], given: Options, run_one: RunOne) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for mutant, row in measure(wanted, given.side_by_side, run_one):
        rows[mutant.name] = row
        _show(f"{len(rows)} of {len(wanted)}", mutant, row)
    return in_order(wanted, rows)


def _show(place: str, mutant: Mutant, row: Row) -> None:
    verdict = "right" if row.right else f"NOT RIGHT: {row.why}"
    sys.stdout.write(f"{place}, {mutant.name}: {row.decision}, {len(row.red)} red, {row.took:.0f} s, {verdict}\n")
    sys.stdout.flush()


def _read(reader: Callable[..., Read], file: object) -> Read:
    try:
        return reader(file)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{file} cannot be read ({error}); restore it from git, or measure anew"
        raise UsageError(msg) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for: 0, 1 when the ratchet became worse, 2 on wrong usage."""
    # A shell that starts the bench in the background has it ignore Ctrl-C, and every run would inherit that.
    for interrupt in (signal.SIGTERM, signal.SIGINT):
        signal.signal(interrupt, signal.default_int_handler)
    try:
        given = parse(arguments, __doc__)
        if given.list:
            sys.stdout.writelines(f"{mutant.name}: {mutant.sentence}\n" for mutant in chosen(given))
            return 0
        if given.ratchet:
            return hold(given) if given.anew is None else draw(given)
        return publish(given)
    except UsageError as problem:
        sys.stderr.write(f"{problem}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; --resume goes on after the rows that were written\n")
        return _INTERRUPTED


if __name__ == "__main__":
    raise SystemExit(main())
