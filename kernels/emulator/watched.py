"""Arrays as an interpreted kernel sees them: every access is checked before it happens.

Values are kept as a list in C order, None where nobody has written. Each element of memory that several threads share
also remembers who touched it last, so that a race is found whichever way it went in this run.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from . import memory

if TYPE_CHECKING:
    from .interpreter import Launch, Thread

KEPT_CELLS = 1 << 16  # tables of larger shapes are not kept from one launch to the next
ATOMIC = {"add": operator.add, "sub": operator.sub, "max": np.maximum, "min": np.minimum}


class Touch:
    """An access: which thread made it, and when.

    block: the number of the block. clock: counts the intervals between barriers through the whole launch. step: of the
    thread, counts its warp barriers. known: by lane, how many warp barriers of that lane come before this moment.
    """

    __slots__ = ("atomic", "block", "clock", "known", "step", "thread")

    def __init__(self, block: int, clock: int, thread: Thread, atomic: bool = False) -> None:
        self.block, self.clock, self.thread, self.atomic = block, clock, thread, atomic
        self.known, self.step = thread.known, thread.known[thread.lane]

    def precedes(self, now: Touch) -> bool:
        """Whether this access is ordered before `now`: blocks never are, threads by a barrier between them."""
        if self.clock != now.clock:
            return self.block == now.block
        if self.thread is now.thread:
            return True
        return self.thread.warp == now.thread.warp and self.step < now.known[self.thread.lane]


class _Cells(dict):
    """Index -> position in C order, for one shape; None for an index that names no element."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def __missing__(self, at: Any) -> int | None:
        index = at if isinstance(at, tuple) else (at,)
        if len(index) != len(self.shape):
            return None
        cell = 0
        for i, size in zip(index, self.shape, strict=True):
            if not isinstance(i, (int, np.integer)) or not 0 <= i < size:
                return None
            cell = cell * size + int(i)
        self[at] = cell
        return cell


@lru_cache(maxsize=64)
def _kept_cells(shape: tuple[int, ...]) -> _Cells:
    return _Cells(shape)


class Watched:
    """What an array is to a kernel: shape, ndim, size, dtype, and single elements by index."""

    def __init__(self, launch: Launch, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape, self.dtype, self.ndim, self.size = shape, dtype, len(shape), math.prod(shape)
        self._launch, self._name = launch, name
        self._cells = _kept_cells(shape) if self.size <= KEPT_CELLS else _Cells(shape)
        # As in Numba, integers of any size are added and multiplied as 64-bit ones: Python's stand in for them.
        scalar = dtype.type
        self._kept: Any = scalar if dtype.kind == "f" else lambda value: scalar(value).item()
        self._values: list[Any] = []

    def __len__(self) -> int:
        return self.shape[0]

    def _cell(self, at: Any) -> int:
        try:
            cell = self._cells[at]
        except TypeError:  # a slice
            cell = None
        if cell is None:
            self._launch.fault("out of bounds", f"{self._element(at)} names no element; its shape is {self.shape}")
        return cell

    def _element(self, at: Any) -> str:
        index = at if isinstance(at, tuple) else (at,)
        return f"{self._name}[{', '.join(str(i) for i in index)}]"

    def _uninitialised(self, at: Any) -> None:
        self._launch.fault("uninitialised", f"reads {self._element(at)}, which nobody wrote")


class Input(Watched):
    """An array that the kernel may only read."""

    def __init__(self, launch: Launch, name: str, array: np.ndarray) -> None:
        super().__init__(launch, name, array.shape, array.dtype)
        self._values = _values(array)

    def __getitem__(self, at: Any) -> Any:
        value = self._values[self._cell(at)]
        if value is None:
            self._uninitialised(at)
        return value

    def __setitem__(self, at: Any, value: Any) -> None:
        self._cell(at)
        self._launch.fault("write to input", f"writes {self._element(at)}, which the kernel does not name in `writes`")


class Local(Watched):
    """An array of one thread's own."""

    def __init__(self, launch: Launch, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        super().__init__(launch, name, shape, dtype)
        self._values = [None] * self.size

    def __getitem__(self, at: Any) -> Any:
        value = self._values[self._cell(at)]
        if value is None:
            self._uninitialised(at)
        return value

    def __setitem__(self, at: Any, value: Any) -> None:
        self._values[self._cell(at)] = self._kept(value)


class Shared(Watched):
    """Memory that several threads read and write: a block's shared array, or an output of the launch."""

    def __init__(self, launch: Launch, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        super().__init__(launch, name, shape, dtype)
        self._values = [None] * self.size
        self._wrote: list[Touch | None] = [None] * self.size
        # The last two readers that differ: one of them is not the thread that writes next.
        self._read: list[Touch | None] = [None] * self.size
        self._other: list[Touch | None] = [None] * self.size

    def __getitem__(self, at: Any) -> Any:
        cell, now = self._cell(at), self._launch.now
        wrote = self._wrote[cell]
        if wrote is not None and not wrote.precedes(now):
            self._race(f"reads {self._element(at)}, which {{}} writes", wrote)
        value = self._values[cell]
        if value is None:
            self._uninitialised(at)
        last = self._read[cell]
        if last is not now:
            if last is not None and last.thread is not now.thread:
                self._other[cell] = last
            self._read[cell] = now
        return value

    def __setitem__(self, at: Any, value: Any) -> None:
        self._write(at, self._cell(at), value, self._launch.now)

    def atomically(self, operation: Any, at: Any, value: Any) -> Any:
        """Replaces an element by operation(it, value); returns what it was. Atomic accesses race with others only."""
        cell = self._cell(at)
        before = self._values[cell]
        if before is None:
            self._uninitialised(at)
        now = self._launch.now
        self._write(at, cell, operation(before, value), Touch(now.block, now.clock, now.thread, atomic=True))
        return before

    def _write(self, at: Any, cell: int, value: Any, now: Touch) -> None:
        wrote = self._wrote[cell]
        if wrote is not None and not (now.atomic and wrote.atomic) and not wrote.precedes(now):
            self._race(f"writes {self._element(at)}, which {{}} writes too", wrote)
        for read in (self._read[cell], self._other[cell]):
            if read is not None and not read.precedes(now):
                self._race(f"writes {self._element(at)}, which {{}} reads", read)
        self._wrote[cell] = now
        self._values[cell] = self._kept(value)

    def _race(self, what: str, other: Touch) -> None:
        place = f"thread {other.thread.index}"
        if other.block != self._launch.now.block:
            where = self._launch.block_index(other.block)
            self._launch.fault("race", what.format(f"{place} of block {where}") + "; nothing orders blocks")
        self._launch.fault("race", what.format(place) + ", with no barrier between them")


class Output(Shared):
    """An array that the kernel may write; `finish` puts what it wrote into the caller's."""

    def __init__(self, launch: Launch, name: str, array: np.ndarray) -> None:
        super().__init__(launch, name, array.shape, array.dtype)
        self._array, self._values = array, _values(array)

    def finish(self) -> None:
        """Stores what was written."""
        cells = [cell for cell, wrote in enumerate(self._wrote) if wrote is not None]
        if not cells:
            return
        self._array.flat[cells] = np.array([self._values[cell] for cell in cells], self.dtype)
        known = memory.written(self._array)
        if known is not None:
            known.flags[_flags(self._array, known)[cells]] = 1


def _values(array: np.ndarray) -> list[Any]:
    """The elements in C order; None for those of an output of an earlier kernel that it never wrote."""
    values = list(array.flat) if array.dtype.kind == "f" else array.ravel().tolist()
    known = memory.written(array)
    if known is not None:
        for cell in np.flatnonzero(~known.flags[_flags(array, known)].astype(bool).all(1)):
            values[cell] = None
    return values


def _flags(array: np.ndarray, known: memory.Written) -> np.ndarray:
    """Which flags stand for each element, in C order: (elements, flags an element)."""
    offsets = np.full(array.shape, array.ctypes.data - known.address, np.int64)
    for axis, (size, step) in enumerate(zip(array.shape, array.strides, strict=True)):
        offsets += (np.arange(size) * step).reshape(-1, *[1] * (array.ndim - axis - 1))
    width = array.itemsize // known.size
    return offsets.reshape(-1, 1) // known.size + np.arange(width)
