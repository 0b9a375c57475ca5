"""The bench of the mutants: its sample, its numbers, its file, and a few mutants on the whole path."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ci.bench import mutants as bench
from ci.bench.mutation import ratchet, results
from ci.bench.mutation.options import parse
from ci.bench.mutation.results import Results, read
from ci.bench.mutation.row import NO_DECISION, End, Row, judge
from ci.bench.mutation.run import ended, run
from ci.bench.mutation.sample import sample
from ci.bench.mutation.summary import rate, summarise, table, wilson
from fixtures.model.verdict import Decision, Severity
from fixtures.sandbox.mutants import Mutant, mutants
from fixtures.sandbox.mutants.mutant import Truth, harmless, of_deployment

P0, P1, P2, P3 = Severity
KEEP, ALERT, ROLLBACK = Decision.KEEP, Decision.ALERT, Decision.ROLLBACK


def mutant(name: str, truth: Truth, kind: str = "wire") -> Mutant:
    """Return a mutant that changes nothing."""
    return Mutant(name, f"{name} is changed.", kind, "deployment", truth)  # type: ignore[arg-type]  # any word will do


def catalogue() -> Iterator[Mutant]:
    """Yield two halves with two kinds, of very different sizes."""
    for truth, half in ((of_deployment(P1), "bad"), (harmless(), "good")):
        for kind, rules, subjects in (("wire", 2, 40), ("api", 5, 3)):
            for number in range(rules):
                for subject in range(subjects):
                    yield mutant(f"{half}-{kind}-{number}/s{subject}", truth, kind)


def row(truth: Truth, decision: Decision | None, *red: Severity, kind: str = "wire", seconds: float = 7.0) -> Row:
    """Return the row of a run that ended so."""
    code = None if decision is None else 0
    end = End(decision, code, {f"test_{number}": severity for number, severity in enumerate(red)}, seconds)
    return judge(mutant("rule/subject", truth, kind), end, took=9.0, tree="abc")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the bench write into a folder of the test, without a browser to ask for its version."""
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(ratchet, "FILE", tmp_path / "mutants-ratchet.json")
    monkeypatch.setattr(bench, "stamp", lambda: {"date": "2026-11-27"})
    monkeypatch.setattr(bench, "mutants", lambda: {one.name: one for one in catalogue()})
    return tmp_path


def publish(arguments: str, seen: list[str], *, decision: Decision = KEEP, fail_after: int = 10**6) -> int:
    """Run the bench with runs that decide so; note each mutant that it runs."""

    def run_one(wanted: Mutant, tree: str) -> Row:
        if len(seen) == fail_after:
            raise KeyboardInterrupt
        seen.append(wanted.name)
        return judge(wanted, End(decision, 0, {}, 5.0), took=6.0, tree=tree)

    given = parse(arguments.split(), None)
    return (bench.publish if not given.ratchet else bench.draw if given.anew else bench.hold)(given, run_one)


def test_a_sample_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    """A result can be had again."""
    first = [one.name for one in sample(catalogue(), 7, 30)]

    assert first == [one.name for one in sample(reversed(list(catalogue())), 7, 30)]
    assert first != [one.name for one in sample(catalogue(), 8, 30)]


def test_a_sample_is_even_over_halves_kinds_rules_and_subjects() -> None:
    """A rule with forty subjects weighs no more than one with three."""
    drawn = sample(catalogue(), 7, 40)
    rules = Counter(one.name.partition("/")[0] for one in drawn)

    assert len({one.name for one in drawn}) == 40
    assert Counter(one.truth.harmful for one in drawn) == {True: 20, False: 20}
    assert Counter((one.truth.harmful, one.kind) for one in drawn).most_common()[-1][1] == 10
    assert {rules[f"{half}-wire-{number}"] for half in ("bad", "good") for number in range(2)} == {5}
    assert {rules[f"{half}-api-{number}"] for half in ("bad", "good") for number in range(5)} == {2}


def test_the_beginning_of_a_larger_sample_is_the_smaller_one() -> None:
    """A bench that was ended early can be published, and a larger one goes on from there."""
    large = [one.name for one in sample(catalogue(), 7, 60)]

    assert [one.name for one in sample(catalogue(), 7, 20)] == large[:20]
    assert {one.truth.harmful for one in sample(catalogue(), 7, 2)} == {True, False}


def test_a_half_that_is_used_up_is_not_filled_with_the_other() -> None:
    """More of one half would hide how few there are of the other."""
    few = [*islice(catalogue(), 95), mutant("good/one", harmless())]

    assert Counter(one.truth.harmful for one in sample(few, 1, 40)) == {True: 20, False: 1}
    assert len(sample([one for one in few if one.truth.harmful], 1, 40)) == 40


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    # Source: prop.test of R without its correction for continuity.
    [(20, 20, 83.9, 100.0), (0, 20, 0.0, 16.1), (5, 10, 23.7, 76.3), (9, 47, 10.4, 32.5)],
)
def test_wilsons_interval(hits: int, of: int, low: float, high: float) -> None:
    """It never says that 20 of 20 is certain, and it stays inside 0 to 100 %."""
    assert tuple(round(100 * end, 1) for end in wilson(hits, of)) == (low, high)


def test_a_rate_of_nothing_has_no_percentage() -> None:
    """0 of 0 is neither good nor bad."""
    assert msgspec.structs.astuple(rate([])) == (0, 0, None, None, None)


@pytest.mark.parametrize(
    ("found", "caught", "decided"),
    [
        (row(of_deployment(P1), ROLLBACK, P1), True, True),
        (row(of_deployment(P1), ROLLBACK, P0, P3), True, True),
        (row(of_deployment(P1), ROLLBACK, P2), False, True),
        (row(of_deployment(P2, P0), ALERT, P2), True, True),
        (row(of_deployment(P2), KEEP), False, False),
        (row(of_deployment(P2), ROLLBACK, P0), True, False),
        (row(of_deployment(P2), None), False, False),
    ],
)
def test_a_harmful_mutant_is_caught_by_severity_and_decided_by_its_truth(
    found: Row, *, caught: bool, decided: bool
) -> None:
    """A red check of a milder severity than the truth's lowest has not seen the defect."""
    assert (found.caught, found.decided, found.right) == (caught, decided, caught and decided)
    assert (found.why == "") is found.right


def test_a_harmless_mutant_is_right_when_its_rule_allows_the_decision() -> None:
    """Red checks of a harmless mutant are no catch."""
    assert row(harmless(), KEEP).right
    assert row(harmless(KEEP, ALERT), ALERT, P3).right
    assert row(harmless(), ALERT, P3).why == "decided alert, right is keep"
    assert not row(harmless(), KEEP, P0).caught


def test_the_summary_counts_what_the_rows_say() -> None:
    """Each number is counted by hand here."""
    rows = {
        "a/1": row(of_deployment(P1), ROLLBACK, P1, seconds=4.0),
        "a/2": row(of_deployment(P1), KEEP, seconds=6.0),
        "b/1": row(of_deployment(P0), ROLLBACK, P2, kind="api", seconds=8.0),
        "c/1": row(harmless(), KEEP, seconds=5.0),
        "c/2": row(harmless(), ALERT, P3, seconds=10.0),
        "d/1": row(harmless(), ROLLBACK, P0, kind="api", seconds=9.0),
        "d/2": msgspec.structs.replace(row(harmless(), None, kind="api"), seconds=None),
    }
    found = summarise(rows)

    assert (found.harmful, found.harmless, found.without_decision) == (3, 4, 1)
    assert (found.recall.hits, found.recall.of, found.recall.percent) == (1, 3, 33.3)
    assert {kind: (part.hits, part.of) for kind, part in found.recall_by_kind.items()} == {
        "api": (0, 1),
        "wire": (1, 2),
    }
    assert {kind: (part.hits, part.of) for kind, part in found.recall_by_severity.items()} == {
        "P0": (0, 1),
        "P1": (1, 2),
    }
    assert (found.right_decisions.hits, found.right_decisions.of) == (3, 7)
    assert (found.right_decisions_on_harmful.hits, found.right_decisions_on_harmless.hits) == (2, 1)
    assert (found.false_alarms.hits, found.false_alarms.of) == (3, 4)
    assert (found.acted_on.hits, found.acted_on.of) == (1, 4)
    assert found.decisions["harmless"] == {"keep": 1, "alert": 1, "rollback": 1, NO_DECISION: 1}
    assert found.seconds == {"median": 7.0, "p90": 9.5}
    assert {kind: set(names) for kind, names in found.misses.items()} == {
        "api": {"b/1", "d/1", "d/2"},
        "wire": {"a/2", "c/2"},
    }
    assert "recall                                3      1   33.3 %   6.1 to 79.2 %" in list(table(found))


def test_a_bench_that_was_interrupted_goes_on_where_it_was(folder: Path) -> None:
    """Each row is written at once, and a mutant with a row is not run again."""
    first: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        publish("--seed 7 --count 10", first, fail_after=4)
    torn = read(folder / "mutants-7.json")
    assert torn is not None
    assert list(torn.rows) == first
    again: list[str] = []

    assert publish("--seed 7 --resume", again) == 0
    whole = read(folder / "mutants-7.json")
    assert whole is not None
    assert [*first, *again] == list(whole.rows) == [one.name for one in sample(catalogue(), 7, 10)]
    assert (whole.summary.harmful, whole.summary.harmless) == (5, 5)


def test_a_mutant_whose_truth_was_corrected_is_measured_again(folder: Path) -> None:
    """A row is about one change and one truth."""
    publish("--seed 7 --count 4", [])
    file = folder / "mutants-7.json"
    known = read(file)
    assert known is not None
    name = next(iter(known.rows))
    known.rows[name] = msgspec.structs.replace(known.rows[name], allowed=["hold"])
    file.write_bytes(msgspec.json.encode(known))
    again: list[str] = []
    publish("--seed 7 --resume", again)

    assert again == [name]


def test_a_part_of_the_mutants_has_results_of_its_own(folder: Path) -> None:
    """A sample of one kind would bend the numbers of the whole."""
    publish("--seed 7 --count 4 --kind api --harmless", [])

    found = read(folder / "mutants-7-api-harmless.json")
    assert found is not None
    assert {(one.kind, one.harmful) for one in found.rows.values()} == {("api", False)}
    assert not (folder / "mutants-7.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--count 0", "argument --count: '0' is no whole number from 1"),
        ("--seed x", "argument --seed: 'x' is no whole number from 0"),
        ("--side-by-side 99", "argument --side-by-side: '99' is no whole number from 1 to 16"),
        ("--kind nonsense", "argument --kind: invalid choice: 'nonsense'"),
        ("--harmful --harmless", "argument --harmless: not allowed with argument --harmful"),
        ("--ratchet --resume", "--ratchet: its sample is fixed"),
        ("--ratchet --count 3", "--ratchet: its sample is fixed; --seed and --count need --anew REASON"),
        ("--anew because", "--anew: needs --ratchet"),
        ("--list --resume", "--list: runs nothing"),
        ("--kind page", "page: there is no such mutant"),
        ("--ratchet", "mutants-ratchet.json is not there; draw the sample with --anew REASON"),
        ("--seed 7 --resume --count 2", "--count 2: mutants-7.json holds 4 rows"),
        ("--seed 8 --resume", "mutants-8.json cannot be read"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_is_one_line(
    arguments: str, says: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the option and what to do, and nothing runs."""
    publish("--seed 7 --count 4", [])
    (folder / "mutants-8.json").write_text('{"seed": 8', encoding="utf-8")
    monkeypatch.setattr("ci.bench.mutants.signal.signal", lambda *_: None)
    capsys.readouterr()

    assert bench.main(arguments.split()) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert (told.err.count("\n"), told.out) == (1, "")


@pytest.mark.parametrize(
    ("program", "limit", "problem"),
    [
        ("import sys; sys.exit('it fell over')", 30.0, "exit 1: it fell over"),
        ("", 30.0, "exit 0: it printed nothing"),
        ("import time; time.sleep(60)", 0.2, "it had to be ended after 0 s"),
    ],
)
def test_a_run_that_ends_without_a_decision_is_a_row_of_its_own(
    tmp_path: Path, program: str, limit: float, problem: str
) -> None:
    """A run that is left out would make every rate better than it is."""
    end = ended([sys.executable, "-c", program], tmp_path, limit)
    found = judge(mutant("rule/subject", harmless()), end, took=0.1, tree="abc")

    assert (found.decision, found.right, found.why) == (NO_DECISION, False, f"no decision: {problem}")
    assert summarise({"rule/subject": found}).false_alarms.hits == 1
    assert summarise({"rule/subject": found}).seconds == {}


def test_the_ratchet_may_only_get_better(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mutant that was right and is wrong now ends the bench with 1, and stays right in the file."""
    publish("--ratchet --anew begun --count 6 --seed 3", [])
    drawn = ratchet.read(ratchet.FILE)
    assert drawn is not None
    assert Counter(drawn.mutants.values()) == {"right": 3, "wrong": 3}
    capsys.readouterr()

    assert publish("--ratchet", [], decision=ROLLBACK) == 1
    assert capsys.readouterr().out.count("decided rollback, right is keep\n") == 6
    assert ratchet.read(ratchet.FILE) == drawn
    assert publish("--ratchet", []) == 0
    assert list(folder.iterdir()) == [ratchet.FILE]


def test_the_ratchet_remembers_what_became_right() -> None:
    """Only a rule that was added or corrected may set it back, with `--anew REASON`."""
    rows = {"a/1": row(harmless(), KEEP), "a/2": row(harmless(), ALERT)}

    assert ratchet.better({"a/1": "wrong", "a/2": "right", "a/3": "wrong"}, rows) == {
        "a/1": "right",
        "a/2": "right",
        "a/3": "wrong",
    }
    assert ratchet.worse({"a/1": "right", "a/2": "right"}, rows) == ["a/2: decided alert, right is keep"]


def test_the_committed_results_are_of_this_catalogue() -> None:
    """Results travel with the repository: no name of this machine, and no mutant that no rule makes."""
    for file in results.RESULTS.glob("mutants-*.json"):
        assert str(Path.cwd()) not in file.read_text(encoding="utf-8")
    known = ratchet.read()
    assert known is not None
    assert set(known.mutants) <= set(mutants())


def _two_that_are_right() -> list[Any]:
    """Return one that does no harm, and one that does: its rollback takes a minute, so that it is a long proof."""
    known = ratchet.read()
    right = [name for name, result in known.mutants.items() if result == "right"] if known else []
    harmful = [name for name in right if name in mutants() and mutants()[name].truth.harmful]
    harmless = [name for name in right if name not in harmful]
    return [*harmless[:1], *(pytest.param(name, marks=pytest.mark.proof) for name in harmful[:1])]


@pytest.mark.parametrize("name", _two_that_are_right())
def test_a_mutant_of_the_ratchet_is_still_right(name: str) -> None:
    """Two of the fixed sample on the whole path; `python -m ci.bench.mutants --ratchet` runs all of it."""
    found = run(mutants()[name], "this tree")

    assert found.right, found.why


def test_the_results_are_read_as_they_were_written() -> None:
    """A field that is written and not read would be lost at the next resume."""
    rows = {"a/1": row(of_deployment(P1), ROLLBACK, P1)}
    written = results.collected(7, 1, rows, {"date": "2026-11-27"})

    assert msgspec.json.decode(msgspec.json.encode(written), type=Results) == written
