"""The attacks of `ci.bench.chaos`: the catalogue, how an end is judged, the search for secrets, and a quick sample."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.bench import chaos
from ci.bench.attacks import catalogue
from ci.bench.attacks.arena import Seen
from ci.bench.attacks.attack import KEPT, REFUSED, ROLLED_BACK, Attack, Right
from ci.bench.attacks.sandboxes import Sandboxes
from ci.bench.attacks.spellings import ENCODERS, found_in
from ci.bench.chaos import SEED, Result, carry_out, judge, read_results

ATTACKS = catalogue(SEED)
LEAST = 150
# A few seconds each, one of each kind; `python -m ci.bench.chaos` carries all of them out.
QUICK = (
    "kills/gate-asked",
    "environment/PYTEST_ADDOPTS-1/broken",
    "command-line/url-with-password",
    "command-line/state-empty",
    "command-line/reports-empty",
    # These two take twenty seconds each.
    pytest.param("state/last-good.json/torn/broken", marks=pytest.mark.proof),
    pytest.param("hostile/turkish-header", marks=pytest.mark.proof),
)


def seen(code: int | None, decision: str | None = None, *, err: str = "a line") -> Seen:
    """Return a run that ended so."""
    return Seen(code, "", err, {"decision": decision} if decision else {}, 8.0, 400, [])


def test_the_catalogue_is_large_and_every_attack_is_described() -> None:
    """An attack without a right answer proves nothing."""
    groups = Counter(name.partition("/")[0] for name in ATTACKS)

    assert len(ATTACKS) >= LEAST
    assert min(groups.values()) >= 20, groups
    assert [name for name, attack in ATTACKS.items() if not attack.summary or not attack.right.ends] == []
    assert [name for name in ATTACKS if re.search(r"\s", name)] == []


def test_the_seed_chooses_the_random_moments() -> None:
    """A result can be had again, and another seed tries other moments."""

    def moments(seed: int) -> list[str]:
        return [attack.summary for name, attack in catalogue(seed).items() if name.startswith("kills/random-")]

    assert moments(SEED) == moments(SEED)
    assert moments(SEED) != moments(SEED + 1)
    assert len(moments(SEED)) == 30


@pytest.mark.parametrize(
    ("right", "run"),
    [
        (KEPT, seen(0, "keep")),
        (KEPT, seen(0, "alert")),
        (ROLLED_BACK, seen(1, "rollback")),
        (REFUSED, seen(2)),
        (Right(("stopped",)), seen(-9)),
        (Right(("stopped",)), seen(137)),
    ],
)
def test_a_right_end_is_recognised(right: Right, run: Seen) -> None:
    """The decision and its exit code belong together."""
    assert judge(right, run) == []


@pytest.mark.parametrize(
    ("right", "run"),
    [
        (KEPT, seen(0)),
        (KEPT, seen(1, "keep")),
        (KEPT, seen(3, "hold")),
        (ROLLED_BACK, seen(0, "rollback")),
        (ROLLED_BACK, seen(1)),
        (REFUSED, seen(2, err="")),
        (REFUSED, seen(None)),
        (Right(("stopped",)), seen(1)),
        (Right(("keep",), seconds=5.0), seen(0, "keep")),
        (Right(("keep",), said=("a word",)), seen(0, "keep")),
        (Right(("keep",), unsaid=("a line",)), seen(0, "keep")),
    ],
)
def test_a_wrong_end_is_recognised(right: Right, run: Seen) -> None:
    """A bench that calls everything survived would hide each defect."""
    assert len(judge(right, run)) >= 1


def test_without_a_file_the_exit_code_must_be_the_decisions() -> None:
    """The disk of a run may be full: then only the exit code is left."""
    assert judge(ROLLED_BACK, seen(1), unseen=True) == []
    assert judge(ROLLED_BACK, seen(0), unseen=True) != []


# A loaded machine takes its time over one example.
@settings(deadline=None)
@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40),
    spelling=st.sampled_from(sorted(ENCODERS)),
    before=st.text(max_size=7),
)
def test_a_secret_is_found_in_every_spelling(secret: str, spelling: str, before: str) -> None:
    """A target that echoes a secret may encode it in any way."""
    text = before + ENCODERS[spelling](secret) + "…"

    assert found_in({secret: "a secret"}, iter([("a file", text.encode())])) != []


def test_another_secret_is_not_found() -> None:
    """A search that finds everything proves nothing."""
    assert found_in({"hunter2-hunter2": "a secret"}, iter([("a file", b"hunter3-hunter3" * 9)])) == []


def test_a_defect_is_not_survived() -> None:
    """The right answer of an outage is a rollback: a bench that expects `keep` must say that it did not come."""
    with Sandboxes() as sandboxes:
        result = carry_out(Attack(summary="an outage that should be kept", right=KEPT, fault="pages-500"), sandboxes)

    assert result.saw == ["rollback, exit 1"]
    assert len(result.problems) == 1
    assert "ended with rollback" in result.problems[0]


def test_a_bench_that_was_interrupted_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results are written after every attack, and an attack with a result is not carried out again."""
    done: list[str] = []

    def interrupt(attack: Attack, _sandboxes: Sandboxes) -> Result:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(attack.summary)
        return Result(attack.summary, ["keep"], ["keep, exit 0"], 1.0, 1, [])

    monkeypatch.setattr(chaos, "RESULTS", tmp_path / "chaos.json")
    monkeypatch.setattr(chaos, "stamp", dict)
    # Both would outlive this test.
    monkeypatch.setattr("ci.bench.chaos.signal.signal", lambda *_: None)
    monkeypatch.setattr("ci.bench.chaos.logging.disable", lambda: None)
    monkeypatch.setattr(chaos, "carry_out", interrupt)
    monkeypatch.setattr(sys, "argv", ["chaos", "--only", "state/two-gates-*"])
    with pytest.raises(KeyboardInterrupt):
        chaos.main()
    first = list(done)
    done.clear()
    monkeypatch.setattr(sys, "argv", ["chaos", "--only", "state/two-gates-*", "--resume"])

    assert chaos.main() == 0
    assert len(first) == len(done) == 2
    assert not set(first) & set(done)
    assert read_results(tmp_path / "chaos.json").survived.startswith("4 of 4")


@pytest.mark.parametrize("name", QUICK)
def test_an_attack_is_survived(name: str) -> None:
    """Nothing around a run, and nothing that its target sends, bends the verdict."""
    with Sandboxes() as sandboxes:
        result = carry_out(ATTACKS[name], sandboxes)

    assert result.problems == [], result.saw


def test_the_committed_results_name_no_machine_and_no_unknown_attack() -> None:
    """Results travel with the repository."""
    results = read_results()

    assert set(results.attacks) <= set(catalogue(results.seed))
    told = "\n".join(problem for row in results.attacks.values() for problem in row.problems)
    assert str(Path.cwd()) not in told
    assert "7p-chaos-" not in told
