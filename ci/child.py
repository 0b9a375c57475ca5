"""
One pytest run as a child in a process group of its own: signals are passed on, and no process or file of it remains.

The child ends with this process, kill -9 included: it holds the read end of a pipe, which closes when we are gone. Its
output reaches the terminal through this process: a terminal that closes or cannot show a letter does not end the run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, TextIO

from ci.process import Interrupted
from fixtures.model import redaction
from fixtures.run import parent_watchdog

ROOT = Path(__file__).resolve().parent.parent
_GRACE = 15.0
_INTERNAL_ERROR = b"INTERNALERROR>"
# Python's own last words, on its standard error: where a signal comes before pytest runs, or a library crashes.
_LAST_WORDS = (b"Traceback (most recent call last):", b"Fatal Python error:")


class ChildTimeoutError(Exception):
    """The run took longer than it may; it has been ended."""


class Child:
    """
    `python -m pytest ARGUMENTS`, started at once.

    log: where its output goes; None: to the terminal, for the person who waits.  errors: the file that takes the
    traceback of an error of pytest itself, in place of the terminal.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        *,
        log: Path | None = None,
        errors: Path | None = None,
    ) -> None:
        command = [sys.executable, "-m", "pytest", *arguments]
        theirs, ours = os.pipe()
        self._parent_pipe = os.fdopen(ours, "wb")
        with (log or Path(os.devnull)).open("wb") as output, os.fdopen(theirs, "rb"):
            self._process = subprocess.Popen(  # noqa: S603  (our own interpreter, our own arguments)
                command,
                cwd=ROOT,
                env={**environ, **_terminal(), parent_watchdog.PIPE_VARIABLE: str(theirs)},
                stdin=subprocess.DEVNULL,
                stdout=output if log else subprocess.PIPE,
                stderr=subprocess.STDOUT if log else subprocess.PIPE,
                process_group=0,
                pass_fds=[theirs],
            )
        self.pid = self._process.pid
        self._errors = errors
        self._is_told_to_end = False
        pipes = ((self._process.stdout, sys.stdout), (self._process.stderr, sys.stderr))
        self._relays = [Thread(target=self._pass_on, args=[pipe, to], daemon=True) for pipe, to in pipes if pipe]
        for relay in self._relays:
            relay.start()

    def wait(self, limit: float) -> int:
        """
        Return its exit code; after `limit` seconds end it and raise ChildTimeoutError.

        On `Interrupted` the child is told to end and has the time to write its verdict; then the exception goes on.
        """
        try:
            return self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGTERM)
            msg = f"the run took longer than {limit:g} s and was ended"
            raise ChildTimeoutError(msg) from None
        except Interrupted as interrupted:
            # pytest ends in order at these two, and at once at any other.
            self.end(signal.SIGINT if interrupted.number == signal.SIGINT else signal.SIGTERM)
            raise
        finally:
            self._end_group()

    def end(self, number: int = signal.SIGTERM) -> None:
        """Pass a signal on and wait; kill the child and everything it started when the time is over."""
        self._is_told_to_end = True
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.send_signal(number)
                self._process.wait(_GRACE)
        finally:
            self._end_group()

    def _end_group(self) -> None:
        """Kill every process of the group: the browser of a worker outlives a worker that was killed."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._parent_pipe.close()
        for relay in self._relays:
            relay.join(_GRACE)

    def _pass_on(self, output: IO[bytes], to: TextIO) -> None:
        """Copy a stream of the child to this process's own, which never raises."""
        is_over = False
        with output:
            for line in output:
                is_over = is_over or (output is self._process.stderr and line.startswith(_LAST_WORDS))
                if self._errors and (is_over or line.startswith(_INTERNAL_ERROR)):
                    self._keep_error(self._errors, line)
                else:
                    to.write(line.decode(errors="replace"))
                    to.flush()

    def _keep_error(self, file: Path, line: bytes) -> None:
        if not file.exists() and not self._is_told_to_end:
            sys.stdout.write(f"pytest has failed by an error of the suite itself; its traceback: {file}\n")
        with suppress(OSError), file.open("a", encoding="utf-8", errors="backslashreplace") as errors:
            errors.write(redaction.redact(line.decode(errors="replace")))


def _terminal() -> dict[str, str]:
    """Return the variables that describe the terminal, because the child writes to a pipe."""
    shown = {"PYTHONIOENCODING": "utf-8", "COLUMNS": str(shutil.get_terminal_size().columns)}
    return shown | {"PY_COLORS": str(int(sys.stdout.isatty() and "NO_COLOR" not in os.environ))}
