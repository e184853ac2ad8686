"""Ends Python code that never comes to an end: an interpreted kernel runs in this process, and Python has no hook."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

MOST_SECONDS = 5.0  # of the processor's time, with no thread of a kernel ending or waiting


class Endless(BaseException):
    """Raised in the midst of a loop; no `except Exception` of the kernel's holds it up."""


@contextmanager
def ended(progress: Callable[[], int]) -> Iterator[None]:
    """Raises Endless inside the `with` block once `progress` has stood still for MOST_SECONDS of work.

    The processor's time, not the clock's: a process that is stopped for a while goes on afterwards.
    """
    working, over, sent, turn = threading.get_ident(), threading.Event(), threading.Event(), threading.Lock()

    def watch() -> None:
        last, since = progress(), time.process_time()
        while not over.wait(min(1.0, MOST_SECONDS)):
            if progress() != last:
                last, since = progress(), time.process_time()
            elif time.process_time() - since > MOST_SECONDS:
                with turn:
                    if not over.is_set():
                        sent.set()
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(working), ctypes.py_object(Endless))
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        # One that comes too late is waited for. To take it back, with NULL, would leave the interpreter's sign that
        # one is there, on which a traced function of Python 3.11 turns in its place for ever.
        with suppress(Endless):
            with turn:
                over.set()
            for _ in range(100 * sent.is_set()):  # it is raised where a loop begins anew
                pass
