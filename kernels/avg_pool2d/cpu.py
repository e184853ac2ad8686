"""Average pooling in Numba, channels-last: the inner loop runs over channels, which lie side by side in memory.

Each thread owns the rows it writes (forward those of the output, backward those of the picture, which gather from
the windows that hold them), so results do not depend on the number of threads.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import from_dtype, prange, types

from ..cpu.compiled import compiled
from .divisors import divisors


def _forward(x, divisor, y, kernel, stride, padding):
    batch, height, width, channels = x.shape
    for task in prange(batch * y.shape[1]):
        n, p = task // y.shape[1], task % y.shape[1]
        top = p * stride[0] - padding[0]
        for q in range(y.shape[2]):
            left = q * stride[1] - padding[1]
            total = y[n, p, q]
            for c in range(channels):
                total[c] = 0
            for i in range(max(top, 0), min(top + kernel[0], height)):
                for j in range(max(left, 0), min(left + kernel[1], width)):
                    pixels = x[n, i, j]
                    for c in range(channels):
                        total[c] += pixels[c]
            area = divisor[p, q]
            for c in range(channels):
                total[c] /= area


def _grad_input(share, gx, kernel, stride, padding):
    batch, height, width, channels = gx.shape
    rows, columns = share.shape[1], share.shape[2]
    for task in prange(batch * height):
        n, i = task // height, task % height
        above = max(i + padding[0] - kernel[0] + stride[0], 0) // stride[0]  # the first window that holds row i
        below = min((i + padding[0]) // stride[0] + 1, rows)
        for j in range(width):
            left = max(j + padding[1] - kernel[1] + stride[1], 0) // stride[1]
            right = min((j + padding[1]) // stride[1] + 1, columns)
            total = gx[n, i, j]
            for c in range(channels):
                total[c] = 0
            for p in range(above, below):
                for q in range(left, right):
                    part = share[n, p, q]
                    for c in range(channels):
                        total[c] += part[c]


@cache
def _compiled(function, dtype):
    """The machine code for one dtype, whatever the strides and flags of the arrays that come."""
    real, pair = from_dtype(np.dtype(dtype)), types.UniTuple(types.int64, 2)
    read, written = (types.Array(real, 4, "C", readonly=readonly) for readonly in (True, False))
    arrays = (read, types.Array(real, 2, "C"), written) if function is _forward else (read, written)
    # error_model: no divisor is 0, and without the question the compiler can divide several channels at once
    signature = types.void(*arrays, pair, pair, pair)
    return compiled(function, signature, parallel=True, error_model="numpy")


def _channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # no copy if it lies so already


def _before(g):
    return g.padding[0][0], g.padding[1][0]


def forward(x, geometry, count_include_pad=True, divisor_override=None):
    g = geometry
    y = np.empty((g.batch, *g.output, g.channels), x.dtype)
    divisor = divisors(g, count_include_pad, divisor_override).astype(x.dtype)
    _compiled(_forward, x.dtype)(_channels_last(x), divisor, y, g.kernel, g.stride, _before(g))
    return y.transpose(0, 3, 1, 2)


def grad_input(grad, geometry, count_include_pad=True, divisor_override=None):
    g = geometry
    gx = np.empty((g.batch, *g.size, g.channels), grad.dtype)
    divisor = divisors(g, count_include_pad, divisor_override).astype(grad.dtype)
    share = _channels_last(grad) / divisor[:, :, None]
    _compiled(_grad_input, grad.dtype)(share, gx, g.kernel, g.stride, _before(g))
    return gx.transpose(0, 3, 1, 2)
