"""Memory: inputs stay as they were, wherever they begin; nothing around them is touched or taken for data.

Inputs are laid into a larger buffer of NaN, one element off any alignment, with the gaps of their strides poisoned too:
a version that reads beside them answers NaN, and one that writes there is found. What was freed before holds litter, so
that an element of an answer that nobody wrote does not happen to be right. The emulator and the interpreter watch every
access besides, and raise KernelFault.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...registry import KernelSpec, Version
from ..agreement import Call, agrees, require
from .ask import Ask

Array = np.ndarray

MARGIN = 64  # bytes before and behind an input
LITTER = (np.nan, 1e30, -7.0)


def memory(kernel: KernelSpec, version: Version, call: Call) -> float | None:
    """The share of the bound that the answers to misaligned inputs take, if memory was left as it was."""
    held: list[Array] = []
    moved = {name: _misaligned(value, held) for name, value in call.items()}
    before = [buffer.tobytes() for buffer in held]
    litter(Ask(kernel, version)(moved), 0)
    share = agrees(kernel, version, moved)
    require([buffer.tobytes() for buffer in held] == before, "memory beside an input was written to")
    return share


def _misaligned(value: Any, held: list[Array]) -> Any:
    """A copy of an array in poisoned memory, with the same strides, its first byte one element off a multiple of 64."""
    if isinstance(value, tuple):
        return tuple(_misaligned(part, held) for part in value)
    if not isinstance(value, np.ndarray) or not value.size:
        return value
    low, high = np.lib.array_utils.byte_bounds(value)
    buffer = np.full(high - low + 2 * MARGIN + 128, 0xFF, np.uint8)  # NaN as a float, -1 as an index
    begin = MARGIN + -(buffer.ctypes.data + MARGIN) % 64 + value.itemsize
    copy = np.ndarray(value.shape, value.dtype, buffer.data, begin + value.ctypes.data - low, value.strides)
    copy[...] = value
    held.append(buffer)
    return copy


def litter(answers: Sequence[Array], number: int) -> None:
    """Leaves numbers of no meaning in freed memory of these answers' sizes, which the next ones are likely to get."""
    made = [np.full(a.shape, LITTER[number] if a.dtype.kind == "f" else 77, a.dtype) for a in answers]
    del made
