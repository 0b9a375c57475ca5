"""Every mutant of a deployment can be made of a healthy build."""

from __future__ import annotations

from copy import copy

from fixtures.sandbox import mutants
from fixtures.sandbox.app.application import healthy_build
from fixtures.sandbox.app.call import Build


def _copied(build: Build) -> Build:
    copied = copy(build)
    for name, kept in vars(build).items():
        setattr(copied, name, copy(kept))
    return copied


def _ordered(build: Build) -> dict[str, object]:
    """Return the parts of a build; the order of variables and headers counts."""
    return {name: list(kept.items()) if isinstance(kept, dict) else kept for name, kept in vars(build).items()}


def test_every_mutant_changes_a_healthy_build() -> None:
    """No rule fails on a subject, and none leaves the build as it was."""
    healthy = healthy_build(
        production_url="http://127.0.0.1",
        secret="s" * 32,
        enrolment_code="7P",
        stripe_webhook_secret="w",  # noqa: S106
    )
    made = [(name, mutant.build) for name, mutant in mutants.mutants().items() if mutant.build is not None]

    unchanged = []
    for name, change in made:
        build = _copied(healthy)
        change(build)
        if _ordered(build) == _ordered(healthy):
            unchanged.append(name)
    assert unchanged == []
