"""SIGINT, SIGTERM and SIGHUP end a run once, in order; after the decision they are too late and change nothing."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

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
