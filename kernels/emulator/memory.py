"""Memory for emulated kernels: arrays with room around them, filled with NaN, that know which cells were written."""

from __future__ import annotations

import ctypes
import math
import weakref
from dataclasses import dataclass

import numpy as np

GUARD = 4096  # bytes before and behind an array: no access a little beyond one hits another
ALIGNMENT = 256  # of an array's first byte, as on a GPU
POISON = 0xFF  # as a float32 or float64 it is NaN, as an index -1

_kept: dict[int, Written] = {}  # by the identity of the buffer


@dataclass(frozen=True)
class Written:
    """Which cells of a buffer hold data. address: of the first; cells of `size` bytes, one byte of `flags` each."""

    address: int
    size: int
    flags: np.ndarray

    def look(self) -> None:
        """Takes for written whatever is no longer poison: NumPy writes too, and no hook sees it."""
        if not self.flags.all():
            count = self.flags.size * self.size
            held = np.frombuffer((ctypes.c_ubyte * count).from_address(self.address), np.uint8).reshape(-1, self.size)
            np.logical_or(self.flags, (held != POISON).any(axis=1), out=self.flags, casting="unsafe")


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A C-ordered array that holds poison; the runtime notices who reads it before it was written."""
    count = math.prod(shape) * dtype.itemsize
    buffer = np.empty(count + 2 * GUARD + ALIGNMENT, np.uint8)
    begin = GUARD + -(buffer.ctypes.data + GUARD) % ALIGNMENT
    buffer[begin - GUARD : begin + count + GUARD] = POISON
    size = min(dtype.itemsize, 4)
    _kept[id(buffer)] = Written(buffer.ctypes.data + begin, size, np.zeros(-(-count // size), np.uint8))
    weakref.finalize(buffer, _kept.pop, id(buffer), None)
    return buffer[begin : begin + count].view(dtype).reshape(shape)


def written(array: np.ndarray) -> Written | None:
    """What is known of an array made by `empty`, or of a view of one; None for any other, which holds data."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    return _kept.get(id(root))


def span(array: np.ndarray) -> tuple[int, int]:
    """The addresses of an array's first byte and the one behind its last, whatever its strides."""
    low = high = array.ctypes.data
    if not array.size:
        return low, low
    for size, step in zip(array.shape, array.strides, strict=True):
        if step < 0:
            low += (size - 1) * step
        else:
            high += (size - 1) * step
    return low, high + array.itemsize


def guarded(array: np.ndarray) -> tuple[np.ndarray, int]:
    """A copy of the bytes that an array spans, with room around them, and the address of its first element there.

    That is the same modulo ALIGNMENT, so what was misaligned stays so.
    """
    low, high = span(array)
    buffer = np.full(high - low + 2 * GUARD + ALIGNMENT, POISON, np.uint8)
    begin = GUARD + (low - buffer.ctypes.data - GUARD) % ALIGNMENT
    ctypes.memmove(buffer.ctypes.data + begin, low, high - low)
    return buffer[begin : begin + high - low], buffer.ctypes.data + begin + array.ctypes.data - low
