"""Memory for CPU kernels: aligned to cache lines, and used again once nobody holds it.

A page that is touched for the first time costs more than a kernel's work on it (measured: first writes at 3 GB/s,
later ones at 25 and more), and a network asks for the same sizes over and over.
"""

from __future__ import annotations

import math
import os
import sys
import threading

import numpy as np

LINE = 64  # bytes of a cache line; registers are no wider
LEAST = 1 << 16  # bytes: below, NumPy's own memory is quick enough
KEPT = 1 << 30  # bytes kept for later, at most, besides what is in use
ROOM = 2.0  # a buffer serves for what is so much smaller than itself, at most: more would waste memory

_buffers: list[np.ndarray] = []  # those in use and those kept, longest unused first
_lock = threading.Lock()


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A C-ordered array whose numbers are anything, to be overwritten by who asked for it.

    It is a view of a buffer. Every array that shows some of it refers to that buffer, so while the list here alone
    does, nobody can see it any more, and it may serve again.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < LEAST:
        return _view(np.empty(size + LINE, np.uint8), shape, dtype)
    if not _lock.acquire(blocking=False):  # another thread's turn, or this one's, if a signal came in its midst
        return _view(np.empty(size + LINE, np.uint8), shape, dtype)
    try:
        buffer = _free(size)
        if buffer is None:
            _forget(max(_idle() - size, 0))  # what is kept pays for what is new, so that both do not add up
            buffer = np.empty(size + LINE, np.uint8)
        _buffers.append(buffer)
        array = _view(buffer, shape, dtype)
        if sum(map(len, _buffers)) > KEPT:
            _forget(KEPT)
    finally:
        _lock.release()
    return array


def _view(buffer: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.ndarray(shape, dtype, buffer, -buffer.__array_interface__["data"][0] % LINE)


def _free(size: int) -> np.ndarray | None:
    """The smallest buffer that nobody holds and that suits, taken off the list; None if there is none."""
    best = None
    for i in range(len(_buffers)):  # by number: a name for the buffer would be one more that holds it
        suits = size + LINE <= _buffers[i].size <= ROOM * (size + LINE)
        if suits and _unused(i) and (best is None or _buffers[i].size < _buffers[best].size):
            best = i
    return None if best is None else _buffers.pop(best)


def _unused(i: int) -> bool:
    return sys.getrefcount(_buffers[i]) <= _ALONE


def release() -> None:
    """Gives back to the system what is kept for later, unless another thread is asking for memory just then."""
    if _lock.acquire(blocking=False):
        try:
            _forget(0)
        finally:
            _lock.release()


def _idle() -> int:
    """Bytes of the buffers that nobody holds."""
    return sum(_buffers[i].size for i in range(len(_buffers)) if _unused(i))


def _forget(most: int) -> None:
    """Lets go of the buffers longest unused, beyond `most` bytes in all."""
    free = [i for i in range(len(_buffers)) if _unused(i)]
    excess = sum(_buffers[i].size for i in free) - most
    for i in list(free):
        if excess <= 0:
            break
        excess -= _buffers[i].size
        _buffers[i] = _NOTHING
    _buffers[:] = [buffer for buffer in _buffers if buffer is not _NOTHING]


_NOTHING = np.empty(0, np.uint8)


def _count_alone() -> int:
    """What getrefcount says of an array that a list alone holds; it counts its own argument too."""
    _buffers.append(np.empty(1, np.uint8))
    try:
        return sys.getrefcount(_buffers[-1])
    finally:
        _buffers.pop()


_ALONE = _count_alone()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
