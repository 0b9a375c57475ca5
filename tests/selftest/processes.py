"""The process table of this machine, as /proc shows it: who started whom, and who is still there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ENDS_WITHIN_S = 20.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Process:
    """One process; its start (in clock ticks) tells it from a later one with the same id."""

    pid: int
    parent: int
    started: int
    command: str


def table() -> dict[int, Process]:
    """Return every living process; a zombie that only its new parent can reap is not alive."""
    found = {}
    for directory in Path("/proc").iterdir():
        if not directory.name.isdecimal():
            continue
        try:
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            found[int(directory.name)] = Process(int(directory.name), int(fields[1]), int(fields[19]), command)
    return found


def family(pid: int) -> list[Process]:
    """Return a process and everything that it and its children started."""
    known = table()
    of_family = {pid}
    while more := {process.pid for process in known.values() if process.parent in of_family} - of_family:
        of_family |= more
    return [known[member] for member in of_family if member in known]


def wait_for_member(pid: int, words: str) -> list[Process]:
    """Wait until a process of the family has these words in its command; return the whole family."""
    wait_until(lambda: any(words in process.command for process in family(pid)), f"a process with {words}")
    return family(pid)


def wait_until(condition: Callable[[], bool], what: str, *, limit: float = 60.0) -> None:
    """Wait for a condition; raises AssertionError after `limit` seconds."""
    until = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < until, f"waited {limit:g} s for {what}"
        time.sleep(_POLL_S)


def survivors(of_family: list[Process]) -> list[str]:
    """Return the commands of those that are still alive a while later."""
    until = time.monotonic() + ENDS_WITHIN_S
    while alive := _alive(of_family):
        if time.monotonic() > until:
            return alive
        time.sleep(_POLL_S)
    return []


def _alive(of_family: list[Process]) -> list[str]:
    now = table()
    return [
        process.command for process in of_family if (found := now.get(process.pid)) and found.started == process.started
    ]
