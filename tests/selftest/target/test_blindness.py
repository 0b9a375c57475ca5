"""The words for what a run cannot see, and what the shipped targets say about themselves."""

from __future__ import annotations

import pytest

from fixtures.target.blindness import SUBJECTS
from fixtures.target.targets_file import CAPABILITIES, TARGETS_FILE, entries_of

# Without them nothing is unseen: they allow an action, or the address says it by itself.
_NO_SUBJECT = {"empty-catalogue", "rollback", "skew-protection", "tls", "dns"}


def test_every_capability_has_words() -> None:
    """A capability without words would be missing from the first line."""
    assert set(SUBJECTS) == CAPABILITIES - _NO_SUBJECT


@pytest.mark.parametrize("name", ["preview", "production"])
def test_the_shipped_entries_say_what_they_cannot_see(name: str) -> None:
    """The reader of targets.toml learns it before the first run."""
    text = TARGETS_FILE.read_text(encoding="utf-8").partition(f"[{name}]\n")[2].partition("\n[")[0]
    said = text.partition("# Blind to ")[2].partition(".\n")[0].replace("\n#", "")
    entry = entries_of(TARGETS_FILE)[name]

    # `vercel` adds the environment; a snapshot and a checkout of the platform come with the command.
    derived = {"environment", "before-snapshot", "platform-repo"}
    unseen = [words for capability, words in SUBJECTS.items() if capability not in {*entry.capabilities, *derived}]
    assert sorted(said.split(", ")) == sorted(unseen)
