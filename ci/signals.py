"""Ctrl-C and SIGTERM: they end a run at once, and are too late once a rollback is under way."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Somebody wants the gate to end. number: the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """Turns SIGINT and SIGTERM into `Interrupted`, except in `ignored_for()`."""

    def __init__(self) -> None:
        self._ignored_for: str | None = None

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle them inside this block; another thread than the main one cannot, and leaves them alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {number: signal.signal(number, self._receive) for number in _CAUGHT}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def ignored_for(self, what: str) -> Iterator[None]:
        """Finish this block, come what may: a rollback half made is worse than one that takes a minute."""
        self._ignored_for = what
        try:
            yield
        finally:
            self._ignored_for = None

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._ignored_for is None:
            raise Interrupted(number)
        name = signal.Signals(number).name
        sys.stderr.write(f"\n{name}: too late, {self._ignored_for} must not stop half way; it ends by itself soon\n")
