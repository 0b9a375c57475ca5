"""
One pytest run as a child in a process group of its own: signals are passed on, and nothing of it is left behind.

It ends with us, kill -9 included: it holds the read end of a pipe, which closes when we are gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ci.signals import Interrupted
from fixtures.run import parent_watchdog

ROOT = Path(__file__).resolve().parent.parent
_GRACE = 15.0


class ChildTimeoutError(Exception):
    """The run took longer than it may; it has been ended."""


class Child:
    """
    `python -m pytest ARGUMENTS`, started at once.

    log: where its output goes; None: to the terminal, for the person who waits.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], *, log: Path | None = None) -> None:
        command = [sys.executable, "-m", "pytest", *arguments]
        theirs, ours = os.pipe()
        self._parent_pipe = os.fdopen(ours, "wb")
        with (log or Path(os.devnull)).open("wb") as output, os.fdopen(theirs, "rb"):
            self._process = subprocess.Popen(  # noqa: S603  (our own interpreter, our own arguments)
                command,
                cwd=ROOT,
                env={**environ, parent_watchdog.PIPE_VARIABLE: str(theirs)},
                stdin=subprocess.DEVNULL,
                stdout=output if log else None,
                stderr=subprocess.STDOUT if log else None,
                process_group=0,
                pass_fds=[theirs],
            )
        self.pid = self._process.pid

    def wait(self, limit: float) -> int:
        """
        Return its exit code; after `limit` seconds end it and raise ChildTimeoutError.

        On `Interrupted` the child gets the same signal and the time to write its verdict, then the exception goes on.
        """
        try:
            return self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGTERM)
            msg = f"the run took longer than {limit:g} s and was ended"
            raise ChildTimeoutError(msg) from None
        except Interrupted as interrupted:
            self.end(interrupted.number)
            raise
        finally:
            self._end_group()

    def end(self, number: int = signal.SIGTERM) -> None:
        """Pass a signal on and wait; what does not end in time is killed, with everything it started."""
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.send_signal(number)
                self._process.wait(_GRACE)
        finally:
            self._end_group()

    def _end_group(self) -> None:
        """Kill what the run left running: a worker's browser outlives a worker that was killed."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._parent_pipe.close()
