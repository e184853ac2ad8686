"""How a GPU is timed: by its own events, candidates in turn, medians, inputs that the cache has forgotten."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from minitl.kernels.cuda.source import Source

Candidate = Callable[[int], Any]  # computes on input set number i
Clock = Callable[[Candidate, int, int], float]  # (candidate, input sets, repeats) -> seconds a call

SAMPLE = 5e-3  # seconds that one sample should last at least, for events of a microsecond's grain
MOST_REPEATS = 50
TOO_SLOW = 1.0  # seconds a call: such a candidate is timed once
CYCLES = 2e9  # a second, of the fastest clock that a GPU of today has


class Budget:
    """Seconds that may be spent. part(share): a budget of its own, of what is left."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._end = now() + seconds

    @property
    def left(self) -> float:
        """Seconds, not below 0."""
        return max(0.0, self._end - self._now())

    def part(self, seconds: float) -> Budget:
        """`seconds` of this budget, or what is left of it."""
        return Budget(min(seconds, self.left), self._now)


class Events:
    """The Clock of a GPU. Calls are queued behind a kernel that does nothing for a while.

    So the GPU finds them all queued when it comes to them, and what is measured is its work, not how quickly Python
    launches it.
    """

    def __init__(self) -> None:
        import cupy

        self._cupy = cupy
        self._spin = Source(Path(__file__).with_name("spin.cu"))
        self._sink = cupy.zeros(1, "int64")

    def __call__(self, candidate: Candidate, sets: int, repeats: int) -> float:
        start, end = (self._cupy.cuda.Event() for _ in range(2))
        launching = time.perf_counter()
        candidate(0)
        launching = (time.perf_counter() - launching) * (repeats + 1)
        self._spin.launch("spin", 1, 1, self._sink, int(min(launching, 0.5) * CYCLES))
        start.record()
        for i in range(repeats):
            candidate((i + 1) % sets)
        end.record()
        end.synchronize()
        return self._cupy.cuda.get_elapsed_time(start, end) / 1e3 / repeats


def interleaved(
    candidates: Mapping[str, Candidate], sets: int, rounds: int, clock: Clock, budget: Budget
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds a call of each candidate in each round, in turn, so that a disturbance meets all of them alike.

    Also: why others could not be timed, by name. sets: how many input sets they rotate among. Stops early, but never
    before each had one round, when the budget is spent.
    """
    failed: dict[str, str] = {}
    repeats: dict[str, int] = {}
    seconds: dict[str, list[float]] = {}
    for name, candidate in candidates.items():
        try:
            clock(candidate, sets, 1)  # compiles, loads and chooses algorithms
            once = clock(candidate, sets, 1)
        except Exception as error:  # one that fails must not take the others with it
            failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            continue
        repeats[name] = max(1, min(MOST_REPEATS, round(SAMPLE / max(once, 1e-9))))
        seconds[name] = [once]
    for i in range(rounds):
        if i and not budget.left:
            break
        for name in list(repeats):
            if seconds[name][0] > TOO_SLOW:
                continue
            sample = clock(candidates[name], sets, repeats[name])
            seconds[name] = [sample] if i == 0 else [*seconds[name], sample]
    return seconds, failed


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Of each candidate."""
    return {name: statistics.median(found) for name, found in seconds.items()}


def floor(flops: int, count: int, ceilings: Mapping[str, float], precision: str) -> float:
    """Seconds that a call takes at least: its operations at the measured matrix rate, or its bytes at the copy rate.

    ceilings: "copy" in bytes a second, "float32", "tf32", "bfloat16" in operations a second; those not measured are
    left out.
    """
    # Three TF32 products are float32's accuracy at a third of TF32's rate.
    rate = ceilings.get("tf32", 0) / 3 if precision == "tf32x3" else ceilings.get(precision, 0)
    rate = max(rate, ceilings.get("float32", 0))
    times = [flops / rate if rate else 0, count / ceilings["copy"] if ceilings.get("copy") else 0]
    return max(times)
