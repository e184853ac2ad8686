"""The emulator: runs the kernels' own CUDA C++ source on a CPU, and watches what every thread does.

One fiber runs each CUDA thread; the order of threads and blocks is chosen by `schedule`. Races, accesses out of
bounds, reads of what nobody wrote, misaligned and diverging threads raise KernelFault (runtime.cpp tells how).

>>> with emulator.schedule("reverse"):
...     kernels.conv2d.forward.run(version, arguments)
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import numpy as np

from ...errors import ArgumentError

Schedule = str | int

_schedule: ContextVar[Schedule] = ContextVar("schedule", default="forward")
NAMED = {"forward": 0, "reverse": 1}
OLDEST = 12  # g++ that knows -ftrivial-auto-var-init


@contextmanager
def schedule(order: Schedule) -> Iterator[None]:
    """The order of threads and blocks inside a `with` block: "forward", "reverse", or a seed to shuffle by."""
    if order not in NAMED and (isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 0):
        raise ArgumentError(f'schedule must be "forward", "reverse" or a seed from 0; got {order!r}')
    token = _schedule.set(order if isinstance(order, str) else int(order))
    try:
        yield
    finally:
        _schedule.reset(token)


def current_schedule() -> Schedule:
    """The order in force."""
    return _schedule.get()


def schedule_number() -> int:
    """The order in force as the runtime counts: 0 forward, 1 reverse, otherwise a seed plus 2."""
    order = _schedule.get()
    return NAMED[order] if isinstance(order, str) else order + 2


@cache
def unavailable() -> str | None:
    """Why CUDA C++ cannot be run here, or None."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        here = f"{platform.system()} on {platform.machine()}"
        return f"the emulator needs Linux on x86-64, whose assembly and signals it uses; this is {here}"
    if not shutil.which("g++"):
        return "g++ is not installed (apt-get install g++)"
    asked = subprocess.run(["g++", "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, check=False)
    version = re.match(r"(\d+)[.\d]*", asked.stdout)
    if asked.returncode or not version:
        return f"g++ does not run: {(asked.stderr or asked.stdout).strip()[:200] or f'exit status {asked.returncode}'}"
    if int(version[1]) < OLDEST:
        return f"g++ {version[0]} is too old; install g++ {OLDEST} or later"
    return None
