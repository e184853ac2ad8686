"""How long functions take beside each other: in turn, round after round in one process, medians and quartiles."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SAMPLE = 0.03  # seconds that one sample lasts at least: shorter calls are repeated
MOST_REPEATS = 200
LEAST_ROUNDS = 3  # whatever the budget says
LAGGARD = 2.5  # times the quickest: such a candidate is timed LEAST_ROUNDS times and no more
SLOW = 2.0  # seconds a call: such a laggard is timed twice
WINDOW, CALM, LONGEST_REST = 0.004, 0.1, 0.25  # seconds, cores, seconds


@dataclass
class Timing:
    """Seconds a call of one candidate. samples: one a round. rest: the longest it took until its threads slept."""

    samples: list[float] = field(default_factory=list)
    rest: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third, between which half of the samples lie."""
        if len(self.samples) < 2:
            return self.samples[0], self.samples[0]
        first, _, third = statistics.quantiles(self.samples, n=4, method="inclusive")
        return first, third

    def to_json(self) -> dict[str, Any]:
        """Median, quartiles and samples, in seconds."""
        return {
            "seconds": self.median,
            "quartiles": list(self.quartiles),
            "samples": list(self.samples),
            "rest": self.rest,
        }


def rest(most: float = LONGEST_REST) -> float:
    """Waits until this process's threads are at rest, `most` seconds at most; returns how long that took.

    Runtimes keep threads that spin for a while after their work, in case more comes: where cores are few they would
    take time from whoever is timed next. At rest: less than a tenth of a core is in use for two windows of 4 ms.
    """
    began, calm = time.perf_counter(), 0
    while calm < 2 and time.perf_counter() - began < most:
        used, clock = time.process_time(), time.perf_counter()
        time.sleep(WINDOW)
        busy = (time.process_time() - used) / (time.perf_counter() - clock)
        calm = calm + 1 if busy < CALM else 0
    return time.perf_counter() - began


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int = 7,
    budget: float = 60.0,
    least: int = LEAST_ROUNDS,
) -> dict[str, Timing]:
    """The Timing of each candidate, all of which have run before: what they compile is not timed.

    A round gives everyone a turn, begun by another one each time. Before it, all threads come to rest. A short call is
    made once untimed, to wake the threads and fill the caches, and then repeated; its sample is the mean. `budget`:
    seconds after which no further round begins, once there were `least`.
    """
    timings = {name: Timing() for name in candidates}
    names, end = list(candidates), time.perf_counter() + budget
    for i in range(rounds):
        if i >= least and time.perf_counter() > end:
            break
        best = min((t.median for t in timings.values() if t.samples), default=0.0)
        first = i % max(1, len(names))
        for name in names[first:] + names[:first]:
            timing = timings[name]
            if i >= min(least, 2) and timing.median > LAGGARD * best and (i >= least or timing.median > SLOW):
                continue
            rest()
            timing.samples.append(_sample(candidates[name]))
            timing.rest = max(timing.rest, rest())
    return timings


def _sample(candidate: Callable[[], object]) -> float:
    """Seconds a call, after one that does not count where calls are short."""
    once = _seconds(candidate, 1)
    if once >= 4 * SAMPLE:  # what it took to wake the threads does not show
        return once
    return _seconds(candidate, max(1, min(MOST_REPEATS, round(SAMPLE / max(once, 1e-7)))))


def _seconds(candidate: Callable[[], object], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        candidate()
    return (time.perf_counter() - began) / repeats
