"""The attacks of `ci.bench.chaos`: each one is an action against a run, and the right answer to it."""

from __future__ import annotations

from ci.bench.attacks import canaries, command_line, environment, files, hostile, kills, random_kills, terminal
from ci.bench.attacks.attack import Attack


def catalogue(seed: int) -> dict[str, Attack]:
    """Return every attack by its name, `group/name`; the seed chooses the random moments."""
    attacks: dict[str, Attack] = {}
    groups = {
        "kills": kills.attacks() | random_kills.attacks(seed),
        "environment": environment.ATTACKS,
        "terminal": terminal.ATTACKS,
        "command-line": command_line.ATTACKS,
        "hostile": hostile.ATTACKS,
        "state": files.ATTACKS,
        "canaries": canaries.ATTACKS,
    }
    for group, of_group in groups.items():
        attacks |= {f"{group}/{name}": attack for name, attack in of_group.items()}
    return attacks
