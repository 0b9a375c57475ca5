"""Starts the sandbox of an attack; attacks that only surround a run follow each other on one sandbox."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

from ci.bench.attacks.arena import STARTS_WITHIN_S, Arena
from ci.bench.attacks.attack import Attack
from fixtures.sandbox.control import open_control
from fixtures.sandbox.faults import find
from fixtures.sandbox.sandbox import Sandbox

Running = tuple[Sandbox, asyncio.AbstractEventLoop]


class Sandboxes:
    """Lends sandboxes to attacks. It keeps one with the fault of the last attack that left it as it was."""

    def __init__(self) -> None:
        self._kept = ExitStack()
        self._running: Running | None = None
        self._fault: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._kept.close()

    @contextmanager
    def arena(self, folder: Path, attack: Attack) -> Iterator[Arena]:
        """Prepare an attack in a folder, on a sandbox with its fault."""
        (folder / "tmp").mkdir()
        # PostgreSQL's own user must be able to enter it.
        folder.chmod(0o711)
        with ExitStack() as own:
            sandbox, loop = self._keep(attack) if attack.only_surrounds else own.enter_context(_running(attack))
            sandbox.handle.write(folder / "handle.json")
            arena = Arena(sandbox, loop, folder)
            arena.forget_rate_limits()
            attack.prepare(arena)
            yield arena

    def _keep(self, attack: Attack) -> Running:
        if self._running is None or self._fault != attack.fault:
            self._kept.close()
            self._running, self._fault = self._kept.enter_context(_running(attack)), attack.fault
        sandbox, loop = self._running
        asyncio.run_coroutine_threadsafe(_restore(sandbox), loop).result(STARTS_WITHIN_S)
        return self._running


@contextmanager
def _running(attack: Attack) -> Iterator[Running]:
    """Start a sandbox with the attack's fault; it ends with the block."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    sandbox: Sandbox | None = None
    with tempfile.TemporaryDirectory(prefix="7p-chaos-sandbox-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        try:
            sandbox = asyncio.run_coroutine_threadsafe(_start(Path(directory), attack), loop).result(STARTS_WITHIN_S)
            yield sandbox, loop
        finally:
            if sandbox is not None:
                asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(STARTS_WITHIN_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _restore(sandbox: Sandbox) -> None:
    """Let production serve the candidate again, and forget the messages of the run before."""
    if sandbox.edge.production != sandbox.candidate.id:
        sandbox.edge.promote(sandbox.candidate.id)
    sandbox.sinks.slack.messages.clear()


async def _start(directory: Path, attack: Attack) -> Sandbox:
    fault = find(attack.fault) if attack.fault else None
    sandbox = await Sandbox.start(directory, fault=fault or attack.breaks)
    if fault and attack.breaks and attack.breaks.sandbox:
        await attack.breaks.sandbox(sandbox)
    await open_control(sandbox, find)
    return sandbox
