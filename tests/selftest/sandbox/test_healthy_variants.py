"""Healthy variants stay green; `python -m ci.bench.healthy_variants` proves the whole catalogue."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from ci.bench.healthy_variants import read_results
from ci.bench.verification import Run, verify
from fixtures.model.verdict import Outcome
from fixtures.sandbox.healthy_variants import HEALTHY_VARIANTS
from fixtures.sandbox.sandbox import Sandbox

SAMPLE = ("empty-catalogue", "http-2", "payments-off-candidate")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Verify the sample on one sandbox."""

    async def verify_each() -> dict[str, Run]:
        sandbox = await Sandbox.start(tmp_path_factory.mktemp("sandbox"))
        try:
            reports = {name: tmp_path_factory.mktemp(name) for name in SAMPLE}
            return {name: await verify(sandbox, HEALTHY_VARIANTS[name], reports[name]) for name in SAMPLE}
        finally:
            await sandbox.stop()

    # A thread of its own: the browser of another module may keep a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(verify_each())).result()


@pytest.mark.parametrize("name", SAMPLE)
def test_a_healthy_variant_stays_green(runs: dict[str, Run], name: str) -> None:
    """A false alarm undoes a good deployment, and after the third nobody believes the suite."""
    assert runs[name].bad == {}


def test_an_empty_catalogue_is_judged_by_what_it_still_has(runs: dict[str, Run]) -> None:
    """Checks that need a course are not applicable and say why; all others pass."""
    checks = runs["empty-catalogue"].verdict.checks
    silent = {check.reason for check in checks if check.outcome is Outcome.NOT_APPLICABLE}

    assert [reason for reason in silent if "the catalogue is empty, as sandbox allows" not in reason] == []
    assert 5 < len([check for check in checks if check.outcome is Outcome.NOT_APPLICABLE]) < len(checks) / 6


def test_the_committed_results_hold_every_healthy_variant_and_no_red_one() -> None:
    """`python -m ci.bench.healthy_variants NAME` writes one."""
    results = read_results()

    assert list(results) == list(HEALTHY_VARIANTS)
    assert {name: result.bad for name, result in results.items() if result.bad} == {}
