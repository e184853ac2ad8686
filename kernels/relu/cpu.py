"""ReLU in Numba, on every core: it takes as long as memory does, and results lie in memory used before.

A result lies as its input does: axes in the same order, without gaps.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import from_dtype, get_num_threads, int64, prange, types

from ..cpu.compiled import compiled
from ..cpu.memory import LINE, empty


def _forward(x, y, share, workers):
    for worker in prange(workers):
        # Unsigned: an index that might be negative keeps the compiler from vectorising.
        for e in range(np.uint64(min(worker * share, x.size)), np.uint64(min((worker + 1) * share, x.size))):
            y[e] = x.dtype.type(0) if x[e] < 0 else x[e]  # NaN is not below 0


def _grad_input(grad, y, gx, share, workers):
    for worker in prange(workers):
        for e in range(np.uint64(min(worker * share, y.size)), np.uint64(min((worker + 1) * share, y.size))):
            gx[e] = y.dtype.type(0) if y[e] <= 0 else grad[e]


@cache
def _compiled(function, dtype):
    """The machine code for one dtype, whatever the flags of the arrays that come."""
    real = from_dtype(np.dtype(dtype))
    read, written = (types.Array(real, 1, "C", readonly=flag) for flag in (True, False))
    inputs = [read] if function is _forward else [read, read]
    return compiled(function, types.void(*inputs, written, int64, int64), parallel=True)


def _run(function, *arrays):
    """The result of `function`, laid out as the last of the arrays."""
    like = arrays[-1]
    order = sorted(range(like.ndim), key=lambda axis: -abs(like.strides[axis]))
    result = empty(tuple(like.shape[axis] for axis in order), like.dtype)
    workers, line = get_num_threads(), LINE // like.itemsize
    share = -(-like.size // (workers * line)) * line
    flat = [np.ascontiguousarray(array.transpose(order)).reshape(like.size) for array in arrays]
    _compiled(function, like.dtype)(*flat, result.reshape(like.size), share, workers)
    return result.transpose(np.argsort(order))


def forward(x):
    return _run(_forward, x)


def grad_input(grad, y):
    return _run(_grad_input, grad, y)
