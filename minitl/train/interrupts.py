"""Ctrl-C and SIGTERM while a step is under way: the step is finished first, so that what is kept is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """A context in which `held()` puts off the signals that would raise an exception (see `signal.signal`).

    What was to happen on a signal happens when the step ends, or at once where none is under way. A second signal
    waits for nothing. Outside the main thread, which alone receives signals, nothing is changed.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._holding = False
        self._waiting: int | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if callable(before):  # otherwise the system's own way, which raises nothing here
                    self._before[number] = before
                    signal.signal(number, self._come)
        return self

    def __exit__(self, *error: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _come(self, number: int, frame: FrameType | None) -> None:
        if self._holding and self._waiting is None:
            self._waiting = number
        else:
            self._before[number](number, frame)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, a first signal waits for the end."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        number, self._waiting = self._waiting, None
        if number is not None:
            self._before[number](number, None)
