"""Local response normalization in Numba, channels-last: the channels of a pixel lie side by side and stay in cache.

Each pixel is worked out by itself, from sums taken anew for every window (a running sum would cancel, and hand a
NaN on to all channels behind it), so results do not depend on the number of threads.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import from_dtype, int64, prange, types

from ..cpu.compiled import compiled

BLOCK = 64  # pixels a task

# A power of 3/4, the paper's, is two roots and a product, which run on whole vectors; the C library's powers do not.


def _forward(x, before, after, factor, k, beta, y):
    pixels, channels = x.shape
    before, after = min(before, channels - 1), min(after, channels - 1)
    tasks = (pixels + BLOCK - 1) // BLOCK
    rooms = np.empty((tasks, 2, channels), x.dtype)
    for task in prange(tasks):
        squares, d = rooms[task, 0], rooms[task, 1]
        for pixel in range(task * BLOCK, min(task * BLOCK + BLOCK, pixels)):
            values, out = x[pixel], y[pixel]
            for c in range(channels):
                squares[c] = values[c] * values[c]
                d[c] = 0
            for offset in range(-before, after + 1):
                first, count = max(-offset, 0), channels - abs(offset)
                to, source = d[first : first + count], squares[first + offset : first + offset + count]
                for c in range(count):
                    to[c] += source[c]
            if beta == 0.75:
                for c in range(channels):
                    root = np.sqrt(d[c] * factor + k)
                    out[c] = values[c] / (root * np.sqrt(root))
            else:
                for c in range(channels):
                    out[c] = values[c] / (d[c] * factor + k) ** beta


def _grad_input(grad, x, before, after, factor, k, beta, slope, gx):
    pixels, channels = x.shape
    before, after = min(before, channels - 1), min(after, channels - 1)
    tasks = (pixels + BLOCK - 1) // BLOCK
    rooms = np.empty((tasks, 2, channels), x.dtype)
    for task in prange(tasks):
        squares, d = rooms[task, 0], rooms[task, 1]
        shared, sums = squares, d  # by then nobody needs the others
        for pixel in range(task * BLOCK, min(task * BLOCK + BLOCK, pixels)):
            values, above, out = x[pixel], grad[pixel], gx[pixel]
            for c in range(channels):
                squares[c] = values[c] * values[c]
                d[c] = 0
            for offset in range(-before, after + 1):
                first, count = max(-offset, 0), channels - abs(offset)
                to, source = d[first : first + count], squares[first + offset : first + offset + count]
                for c in range(count):
                    to[c] += source[c]
            for c in range(channels):
                d[c] = d[c] * factor + k
            if beta == 0.75:
                for c in range(channels):
                    root = np.sqrt(d[c])
                    out[c] = above[c] / (root * np.sqrt(root))
            else:
                for c in range(channels):
                    out[c] = above[c] / d[c] ** beta
            for c in range(channels):
                shared[c] = out[c] * values[c] / d[c]
                sums[c] = 0
            for offset in range(-after, before + 1):  # the windows that hold a channel: its own, mirrored
                first, count = max(-offset, 0), channels - abs(offset)
                to, source = sums[first : first + count], shared[first + offset : first + offset + count]
                for c in range(count):
                    to[c] += source[c]
            for c in range(channels):
                out[c] -= values[c] * sums[c] * slope


@cache
def _compiled(function, dtype):
    """The machine code for one dtype, whatever the strides and flags of the arrays that come."""
    real = from_dtype(np.dtype(dtype))
    read, wrote = (types.Array(real, 2, "C", readonly=readonly) for readonly in (True, False))
    if function is _forward:
        signature = types.void(read, int64, int64, real, real, real, wrote)
    else:
        signature = types.void(read, read, int64, int64, real, real, real, real, wrote)
    return compiled(function, signature, parallel=True, error_model="numpy")


def _rows(x):
    """(N, C, H, W) in any strides -> (N H W, C) in C order; no copy if it lies so already."""
    last = np.require(x.transpose(0, 2, 3, 1), requirements="CA")
    return last.reshape(-1, x.shape[1]) if x.size else np.empty((0, x.shape[1]), x.dtype)


def _unrows(rows, shape):
    """Back to (N, C, H, W), as a channels-last view."""
    n, c, h, w = shape
    return rows.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def _as(dtype, *factors):
    return (dtype.type(factor) for factor in factors)


def forward(x, size, alpha, beta, k):
    rows = _rows(x)
    y = np.empty(rows.shape, x.dtype)
    _compiled(_forward, x.dtype)(rows, size // 2, (size - 1) // 2, *_as(x.dtype, alpha / size, k, beta), y)
    return _unrows(y, x.shape)


def grad_input(grad, x, size, alpha, beta, k):
    rows = _rows(x)
    gx = np.empty(rows.shape, x.dtype)
    factors = _as(x.dtype, alpha / size, k, beta, 2 * alpha * beta / size)
    _compiled(_grad_input, x.dtype)(_rows(grad), rows, size // 2, (size - 1) // 2, *factors, gx)
    return _unrows(gx, x.shape)
