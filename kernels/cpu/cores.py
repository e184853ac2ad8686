"""How many cores this process may use: those it is bound to, and the share of them that its control group grants."""

from __future__ import annotations

import math
import os
from pathlib import Path

from . import groups


def allowed() -> int:
    """The cores that the system may run this process on (taskset, cpuset)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def granted(system: Path = Path("/")) -> int:
    """Of the cores allowed, as many as the time that the control group grants is worth; at least 1.

    A container limited to the time of two cores still sees every core of its machine: more threads than two would
    only be stopped in turn. system: the root of the file system.
    """
    shares = [share for folder in groups.folders("cpu", system) if (share := _share(folder)) is not None]
    return max(min([allowed(), *map(math.ceil, shares)]), 1)


def _share(folder: Path) -> float | None:
    """Cores' worth of time that a control group grants, or None if it sets no limit."""
    limit = " ".join(groups.lines(folder / "cpu.max")).split()
    if not limit:
        limit = [" ".join(groups.lines(folder / f"cpu.cfs_{name}_us")).strip() for name in ("quota", "period")]
    if len(limit) != 2 or not all(number.isascii() and number.isdecimal() and int(number) for number in limit):
        return None  # "max" or -1
    return int(limit[0]) / int(limit[1])
