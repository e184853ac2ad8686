"""Max pooling in Numba, channels-last: the inner loop runs over channels, which lie side by side in memory.

Each thread owns what it writes (rows of the output forward, blocks of channels of a picture backward), so
results do not depend on the number of threads.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import from_dtype, int32, njit, prange, types

CHANNEL_BLOCK = 32  # backward: channels a task; two cache lines of float32


def _forward(x, y, indices, kernel, stride, padding, dilation):
    batch, height, width, channels = x.shape
    for task in prange(batch * y.shape[1]):
        n, p = task // y.shape[1], task % y.shape[1]
        for q in range(y.shape[2]):
            best, where = y[n, p, q], indices[n, p, q]
            empty = True
            for r in range(kernel[0]):
                i = p * stride[0] + r * dilation[0] - padding[0]
                if i < 0 or i >= height:
                    continue
                for s in range(kernel[1]):
                    j = q * stride[1] + s * dilation[1] - padding[1]
                    if j < 0 or j >= width:
                        continue
                    pixels, number = x[n, i, j], np.int32(i * width + j)
                    if empty:
                        for c in range(channels):
                            best[c] = pixels[c]
                            where[c] = number
                        empty = False
                        continue
                    for c in range(channels):
                        value, old = pixels[c], best[c]
                        wins = (value > old) | ((value != value) & (old == old))
                        best[c] = value if wins else old
                        where[c] = number if wins else where[c]


def _grad_input(grad, indices, gx):
    batch, rows, columns, channels = grad.shape
    width = gx.shape[2]
    blocks = (channels + CHANNEL_BLOCK - 1) // CHANNEL_BLOCK
    for task in prange(batch * blocks):
        n, first = task // blocks, task % blocks * CHANNEL_BLOCK
        last = min(first + CHANNEL_BLOCK, channels)
        for p in range(rows):
            for q in range(columns):
                for c in range(first, last):
                    pixel = indices[n, p, q, c]
                    gx[n, pixel // width, pixel % width, c] += grad[n, p, q, c]


def _image(dtype, written=False):
    """The type of a C-ordered 4-D array; one that is only read may be write-protected."""
    return types.Array(dtype, 4, "C", readonly=not written)


@cache
def _compiled(function, dtype):
    """The machine code for one dtype, whatever the strides and flags of the arrays that come."""
    real = from_dtype(np.dtype(dtype))
    if function is _forward:
        pair = types.UniTuple(types.int64, 2)
        signature = types.void(_image(real), _image(real, True), _image(int32, True), pair, pair, pair, pair)
    else:
        signature = types.void(_image(real), _image(int32), _image(real, True))
    return njit([signature], parallel=True, nogil=True, cache=True)(function)


def _channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # no copy if it lies so already


def _shape(n, c, h, w):
    return n, h, w, c


def forward(x, geometry):
    g = geometry
    y = np.empty(_shape(*g.y_shape), x.dtype)
    indices = np.empty(y.shape, np.int32)
    run = _compiled(_forward, x.dtype)
    before = (g.padding[0][0], g.padding[1][0])
    run(_channels_last(x), y, indices, g.kernel, g.stride, before, g.dilation)
    return y.transpose(0, 3, 1, 2), indices.transpose(0, 3, 1, 2)


def grad_input(grad, indices, geometry):
    gx = np.zeros(_shape(*geometry.x_shape), grad.dtype)
    _compiled(_grad_input, grad.dtype)(_channels_last(grad), _channels_last(indices), gx)
    return gx.transpose(0, 3, 1, 2)
