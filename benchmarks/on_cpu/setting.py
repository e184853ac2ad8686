"""What a run was asked for, and the same number of threads for everybody."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

# Read by the libraries when they are loaded, so they are set before the first import of any of them.
VARIABLES = ("MINITL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """This process's environment with so many threads for every library."""
    return {**os.environ, **dict.fromkeys(VARIABLES, str(threads))}


@dataclass
class Setting:
    """threads: of everybody. rounds: how often each candidate is timed, unless `seconds` (of one comparison) are over.

    peers: "pytorch", "compiled", "onnxruntime", "openvino", as far as they are wanted and installed. notes: what was
    left out or went wrong, in words, as it happens. wrong: of those, the ones that make the run a failure. minutes:
    after which nothing further is begun.
    """

    threads: int
    rounds: int = 7
    seconds: float = 30.0
    peers: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    minutes: float = 1e9
    began: float = field(default_factory=time.monotonic)

    def late(self, what: str) -> bool:
        """Whether `minutes` are over; a note then says that `what` was left out."""
        over = time.monotonic() - self.began > 60 * self.minutes
        if over:
            self.note(f"no time was left for {what}")
        return over

    def say(self, text: str) -> None:
        """Tells what is being done, on stdout."""
        print(f"{text} …", flush=True)

    def note(self, text: str) -> None:
        """Keeps a note, and tells it."""
        self.notes.append(text)
        print(f"note: {text}", flush=True)

    def fail(self, text: str) -> None:
        """Keeps a failure, which is also a note."""
        self.wrong.append(text)
        self.note(text)


def describe_error(error: BaseException) -> str:
    """In a line, for a note."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


Row = dict[str, Any]
