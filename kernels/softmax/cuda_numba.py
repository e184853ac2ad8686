"""Softmax in Numba-CUDA: one thread a row, then one warp a row.

An array of any shape is seen as (before, n, after), with the axis of the softmax in the middle; a row is the n numbers
of one place before and one after it.
"""

from __future__ import annotations

import math

from ..cuda import ceil_div, contiguous, empty
from ..cuda.numba import cuda, device, kernel

BLOCK = 128
WARP = 32  # threads that run in step and can hand each other numbers without shared memory
WARPS = 4  # rows a block takes
ALL_LANES = 0xFFFFFFFF


@device
def larger(a, b):
    """The larger of two numbers; NaN if one is NaN."""
    return a if a > b or a != a else b


@kernel(writes=["y"])
def softmax_naive(x, y):
    """One thread a row, in three passes: the largest number, the sum of the powers, the quotients."""
    row = cuda.grid(1)
    if row >= x.shape[0] * x.shape[2]:
        return
    before = row // x.shape[2]
    after = row % x.shape[2]
    largest = x[before, 0, after]
    for i in range(1, x.shape[1]):
        largest = larger(largest, x[before, i, after])
    # exp(x - largest) is at most 1: no power overflows, and the quotients are the same.
    total = x.dtype.type(0)
    for i in range(x.shape[1]):
        total += math.exp(x[before, i, after] - largest)
    for i in range(x.shape[1]):
        y[before, i, after] = math.exp(x[before, i, after] - largest) / total


@kernel(writes=["gx"])
def softmax_grad_naive(grad, y, gx):
    """gx_i = y_i (grad_i - sum_j grad_j y_j), one thread a row."""
    row = cuda.grid(1)
    if row >= y.shape[0] * y.shape[2]:
        return
    before = row // y.shape[2]
    after = row % y.shape[2]
    dot = y.dtype.type(0)
    for i in range(y.shape[1]):
        dot += grad[before, i, after] * y[before, i, after]
    for i in range(y.shape[1]):
        gx[before, i, after] = y[before, i, after] * (grad[before, i, after] - dot)


@device
def warp_max(value):
    """The largest of the values that the lanes of a warp hold, in every lane: 5 exchanges instead of 31 comparisons."""
    for step in range(5):
        value = larger(value, cuda.shfl_xor_sync(ALL_LANES, value, 16 >> step))
    return value


@device
def warp_sum(value):
    """The sum of the values that the lanes of a warp hold, in every lane."""
    for step in range(5):
        value += cuda.shfl_xor_sync(ALL_LANES, value, 16 >> step)
    return value


@kernel(writes=["y"])
def softmax_warp(x, y):
    """One warp a row: lane l takes numbers l, l + 32, ... so that neighbouring lanes read neighbouring numbers."""
    row = cuda.blockIdx.x * WARPS + cuda.threadIdx.y
    if row >= x.shape[0] * x.shape[2]:  # the whole warp leaves: no lane of it will be waited for
        return
    before = row // x.shape[2]
    after = row % x.shape[2]
    lane = cuda.threadIdx.x
    largest = x[before, 0, after]
    for i in range(lane, x.shape[1], WARP):
        largest = larger(largest, x[before, i, after])
    largest = warp_max(largest)
    total = x.dtype.type(0)
    for i in range(lane, x.shape[1], WARP):
        total += math.exp(x[before, i, after] - largest)
    total = warp_sum(total)
    for i in range(lane, x.shape[1], WARP):
        y[before, i, after] = math.exp(x[before, i, after] - largest) / total


@kernel(writes=["gx"])
def softmax_grad_warp(grad, y, gx):
    """The gradient, one warp a row."""
    row = cuda.blockIdx.x * WARPS + cuda.threadIdx.y
    if row >= y.shape[0] * y.shape[2]:
        return
    before = row // y.shape[2]
    after = row % y.shape[2]
    lane = cuda.threadIdx.x
    dot = y.dtype.type(0)
    for i in range(lane, y.shape[1], WARP):
        dot += grad[before, i, after] * y[before, i, after]
    dot = warp_sum(dot)
    for i in range(lane, y.shape[1], WARP):
        gx[before, i, after] = y[before, i, after] * (grad[before, i, after] - dot)


def _rows(array, axis):
    """A C-ordered array as (before, n, after)."""
    axis %= array.ndim
    before = math.prod(array.shape[:axis])
    return contiguous(array).reshape(before, array.shape[axis], math.prod(array.shape[axis + 1 :]))


def forward_naive(x, axis):
    rows = _rows(x, axis)
    y = empty(rows.shape, x.dtype, like=x)
    softmax_naive.launch(ceil_div(rows.shape[0] * rows.shape[2], BLOCK), BLOCK, rows, y)
    return y.reshape(x.shape)


def grad_input_naive(grad, y, axis):
    rows = _rows(y, axis)
    gx = empty(rows.shape, y.dtype, like=y)
    softmax_grad_naive.launch(ceil_div(rows.shape[0] * rows.shape[2], BLOCK), BLOCK, _rows(grad, axis), rows, gx)
    return gx.reshape(y.shape)


def forward_warp(x, axis):
    rows = _rows(x, axis)
    y = empty(rows.shape, x.dtype, like=x)
    softmax_warp.launch(ceil_div(rows.shape[0] * rows.shape[2], WARPS), (WARP, WARPS), rows, y)
    return y.reshape(x.shape)


def grad_input_warp(grad, y, axis):
    rows = _rows(y, axis)
    gx = empty(rows.shape, y.dtype, like=y)
    grid = ceil_div(rows.shape[0] * rows.shape[2], WARPS)
    softmax_grad_warp.launch(grid, (WARP, WARPS), _rows(grad, axis), rows, gx)
    return gx.reshape(y.shape)
