"""Determinism: the same bits at every run, whatever the order of threads and whatever lay in memory before."""

from __future__ import annotations

import numpy as np

from ...emulator import Schedule, schedule
from ...registry import KernelSpec, Version
from ..agreement import Call, require
from .ask import Ask
from .memory import litter

SCHEDULES: tuple[Schedule, ...] = ("forward", "reverse", 1)


def determinism(kernel: KernelSpec, version: Version, call: Call) -> float | None:
    """0 where the answers have the same bits under three schedules, memory full of other litter at each.

    Schedules are those of the emulator and the interpreter; elsewhere the version simply runs again. A NaN is a NaN,
    whatever its bits.
    """
    ask = Ask(kernel, version)
    first = ask(call)
    if not any(answer.size for answer in first):
        return None
    for number, order in enumerate(SCHEDULES):
        litter(first, number)
        with schedule(order):
            again = ask(call)
        for before, now in zip(first, again, strict=True):
            require(before.shape == now.shape, f"another run gives the shape {now.shape}, not {before.shape}")
            differ = ~((before == now) | ((before != before) & (now != now)))
            at = np.argwhere(differ).tolist()[:1]
            require(not np.any(differ), f"another run (schedule {order}) gives other bits at {at}")
    return 0.0
