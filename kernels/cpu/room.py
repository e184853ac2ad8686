"""How much memory there is for a kernel, so that what does not fit is refused before the system ends the process.

Linux promises memory that it does not have and ends a process that takes it up, without a word.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import HostMemoryError
from . import groups, memory

LARGE = 1 << 24  # bytes: a call whose arrays and results are less is not looked at
NEEDLESS = 1 << 28  # bytes: nor is one that takes less besides them


def free(system: Path = Path("/")) -> int | None:
    """Bytes that this process may still take: of the machine's (swap included), and of its control group's.

    None where the system does not tell. system: the root of the file system. Source: proc(5) on MemAvailable.
    """
    machine = groups.number(system / "proc/meminfo", "MemAvailable:")
    if machine is None:
        return None
    swap = groups.number(system / "proc/meminfo", "SwapFree:") or 0
    left = [(machine + swap) * 1024]
    for folder in groups.folders("memory", system):
        for limit, used, cached in _FILES:
            most, taken = groups.number(folder / limit), groups.number(folder / used)
            if most is not None and taken is not None:  # of what is taken, read files can be let go of
                left.append(most - taken + (groups.number(folder / "memory.stat", cached) or 0))
    return max(min(left), 0)


_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def size(arguments: Mapping[str, Any]) -> int:
    """Bytes of the arrays among the arguments, and in tuples of arrays."""
    return sum(getattr(a, "nbytes", 0) for each in map(_each, arguments.values()) for a in each)


def _each(argument: Any) -> Sequence[Any]:
    return argument if isinstance(argument, (tuple, list)) else (argument,)


def check(op: str, arguments: Mapping[str, Any], needed: int) -> None:
    """Raises HostMemoryError if a kernel needs more bytes besides its arguments than there are."""
    if needed >= NEEDLESS and sys.platform == "linux":
        there = free()
        if there is not None and needed > there:
            memory.release()
            there = free()
        if there is not None and needed > there:
            raise lacking(op, arguments, f"{needed / 1e9:.1f} GB more memory, and {there / 1e9:.1f} GB are free")


def lacking(op: str, arguments: Mapping[str, Any], what: object) -> HostMemoryError:
    """The error of a kernel that did not get its memory. what: how much it asked for."""
    shapes = [f"{name} {tuple(a.shape)}" for name, a in arguments.items() if getattr(a, "shape", ())]
    return HostMemoryError(
        f"{op}: for {', '.join(shapes)} it needs {what}; give smaller or fewer pictures at once (a smaller batch), "
        "or close other programs"
    )
