"""
The process of ci/verify: its signals, its streams and its exit code, from the first line to the last.

SIGINT, SIGTERM and SIGHUP end a run once, in order; after the decision they are too late and change nothing.
Exit code 1 means "this deployment was rejected", and Python ends with 1 after any error and with 120 when it cannot
flush its output. Here the exit code is always the one of the decision, or 3 where nothing was decided. Standard library
only: ci/verify needs this before anything is installed.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import Any, Never

EXIT_CANNOT_TELL = 3
CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody wants the gate to end. number: the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """Turns the first signal into `Interrupted`; every later one is answered with one line."""

    def __init__(self) -> None:
        self._busy_with: str | None = None

    @contextmanager
    def caught(self) -> Iterator[None]:
        """
        Handle the signals inside this block.

        Only the main thread can do so. A signal that the caller ignores (`nohup`, a job in the background) stays so.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ignored = {number for number in CAUGHT if signal.getsignal(number) is signal.SIG_IGN}
        before: dict[int, Any] = {number: signal.signal(number, self._receive) for number in {*CAUGHT} - ignored}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def too_late_for(self, what: str) -> None:
        """Answer every signal from now on with one line: half a rollback is worse than one that takes a minute."""
        self._busy_with = what

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._busy_with is None:
            self.too_late_for("the end of this run")
            raise Interrupted(number)
        name = signal.Signals(number).name
        sys.stderr.write(f"\nci/verify: {name} is too late: {self._busy_with} is under way and ends within 2 minutes\n")


class _Output(io.TextIOWrapper):
    """
    Standard output or error that never raises.

    A reader that has gone (`| head -1`), a full disk or a letter that the terminal cannot show loses text, and nothing
    else: the decision stands.
    """

    def write(self, text: str) -> int:
        """Write and flush; after the first failure everything goes to /dev/null."""
        try:
            super().write(text)
            super().flush()
        except (OSError, ValueError):
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush as `write` does."""
        try:
            super().flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


def guard(main: Callable[[], int]) -> Never:
    """Run `main` and end the process with the exit code that it returns; an error or a signal before that is 3."""
    _open_closed_streams()
    # The browser crashes on files that their own owner may not read.
    os.umask(os.umask(0) & 0o077)
    sys.stdout, sys.stderr = _output(1), _output(2)
    code = EXIT_CANNOT_TELL
    signals = Signals()
    try:
        with signals.caught():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
            code = main()
            signals.too_late_for("the end of this command")
    except Interrupted as interrupted:
        sys.stderr.write(f"ci/verify: ended by {interrupted} before anything was decided; nothing was changed\n")
    except SystemExit as ended:
        # Only `--help` ends so.
        code = ended.code if isinstance(ended.code, int) else EXIT_CANNOT_TELL
    except BaseException as error:  # noqa: BLE001  (Python's own exit code 1 would read as a rejected deployment)
        from fixtures.run.own_error import own_error  # noqa: PLC0415  (only where something went wrong)

        sys.stderr.write(f"ci/verify: {own_error(error, None)}\n")
    sys.exit(code)


def hand_over(command: list[str], environment: Mapping[str, str]) -> Never:
    """Replace this process by another program; it also receives signals that arrive during the change."""
    signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
    os.execve(command[0], command, environment)  # noqa: S606  (our own interpreter, our own arguments)


def _open_closed_streams() -> None:
    """Give the numbers 0 to 2 to /dev/null where they are closed: the next file would get them, and our output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003  (its only argument)


def _output(number: int) -> _Output:
    standard = sys.__stdout__ if number == 1 else sys.__stderr__
    encoding = standard.encoding if standard else "utf-8"
    raw = os.fdopen(number, "wb", closefd=False)
    return _Output(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


def _main() -> int:
    code: int = import_module("ci.commands").main(sys.argv[1:])
    return code


if __name__ == "__main__":
    # By its name: the classes of this module must exist once, whoever imports them.
    import_module("ci.process").guard(_main)
