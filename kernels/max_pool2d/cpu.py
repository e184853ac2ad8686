"""Max pooling in Numba, channels-last: the inner loop runs over channels, which lie side by side in memory.

Each thread owns the rows of pixels that it writes, so results do not depend on the number of threads.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import from_dtype, int32, prange, types

from ..cpu.compiled import compiled
from ..cpu.memory import empty
from ..cpu.windows import copy, keep_largest


def _forward(x, y, indices, kernel, stride, padding, dilation):
    batch, height, width, channels = x.shape
    for task in prange(batch * y.shape[1]):
        n, p = task // y.shape[1], task % y.shape[1]
        for q in range(y.shape[2]):
            best, where = y[n, p, q], indices[n, p, q]
            untouched = True
            for r in range(kernel[0]):
                i = p * stride[0] + r * dilation[0] - padding[0]
                if i < 0 or i >= height:
                    continue
                for s in range(kernel[1]):
                    j = q * stride[1] + s * dilation[1] - padding[1]
                    if j < 0 or j >= width:
                        continue
                    pixels, number = x[n, i, j], np.int32(i * width + j)
                    if untouched:
                        for c in range(channels):
                            best[c] = pixels[c]
                            where[c] = number
                        untouched = False
                        continue
                    for c in range(channels):
                        value, old = pixels[c], best[c]
                        wins = (value > old) | ((value != value) & (old == old))
                        best[c] = value if wins else old
                        where[c] = number if wins else where[c]


def _values(x, y, kernel, stride, padding, dilation):
    batch, height, width, channels = x.shape
    pixels, out = x.reshape(x.size), y.reshape(y.size)
    rows, columns = y.shape[1:3]
    for task in prange(batch * rows):
        n, p = task // rows, task % rows
        for q in range(columns):
            to, untouched = (task * columns + q) * channels, True
            for r in range(kernel[0]):
                i = p * stride[0] + r * dilation[0] - padding[0]
                if i < 0 or i >= height:
                    continue
                for s in range(kernel[1]):
                    j = q * stride[1] + s * dilation[1] - padding[1]
                    if j < 0 or j >= width:
                        continue
                    at = ((n * height + i) * width + j) * channels
                    if untouched:
                        copy(out, to, pixels, at, channels)
                        untouched = False
                    else:
                        keep_largest(out, to, pixels, at, channels)


def _grad_input(grad, indices, gx, kernel, stride, padding, dilation):
    """A pixel gathers from the windows that it is in, in their order: nothing need be cleared, nor waited for."""
    batch, height, width, channels = gx.shape
    rows, columns = grad.shape[1:3]
    for task in prange(batch * height):
        n, i = task // height, task % height
        for j in range(width):
            to, number = gx[n, i, j], np.int32(i * width + j)
            untouched = True
            for r in range(kernel[0] - 1, -1, -1):
                p, beside = divmod(i + padding[0] - r * dilation[0], stride[0])
                if beside or p < 0 or p >= rows:
                    continue
                for s in range(kernel[1] - 1, -1, -1):
                    q, beside = divmod(j + padding[1] - s * dilation[1], stride[1])
                    if beside or q < 0 or q >= columns:
                        continue
                    sent, where = grad[n, p, q], indices[n, p, q]
                    if untouched:
                        for c in range(channels):
                            to[c] = sent[c] if where[c] == number else grad.dtype.type(0)
                        untouched = False
                        continue
                    for c in range(channels):
                        to[c] += sent[c] if where[c] == number else grad.dtype.type(0)
            if untouched:
                for c in range(channels):
                    to[c] = 0


def _image(dtype, written=False):
    """The type of a C-ordered 4-D array; one that is only read may be write-protected."""
    return types.Array(dtype, 4, "C", readonly=not written)


@cache
def _compiled(function, dtype):
    """The machine code for one dtype, whatever the strides and flags of the arrays that come."""
    real = from_dtype(np.dtype(dtype))
    arrays = (_image(real), _image(real, True), _image(int32, True))
    if function is _values:
        arrays = arrays[:2]
    elif function is _grad_input:
        arrays = (_image(real), _image(int32), _image(real, True))
    return compiled(function, types.void(*arrays, *[types.UniTuple(types.int64, 2)] * 4), parallel=True)


def _channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # no copy if it lies so already


def _shape(n, c, h, w):
    return n, h, w, c


def _windows(g):
    return g.kernel, g.stride, (g.padding[0][0], g.padding[1][0]), g.dilation


def forward(x, geometry, where=True):
    g = geometry
    y = empty(_shape(*g.y_shape), x.dtype)
    if not where:
        _compiled(_values, x.dtype)(_channels_last(x), y, *_windows(g))
        return y.transpose(0, 3, 1, 2), None
    indices = empty(y.shape, np.dtype(np.int32))
    _compiled(_forward, x.dtype)(_channels_last(x), y, indices, *_windows(g))
    return y.transpose(0, 3, 1, 2), indices.transpose(0, 3, 1, 2)


def grad_input(grad, indices, geometry):
    gx = empty(_shape(*geometry.x_shape), grad.dtype)
    _compiled(_grad_input, grad.dtype)(_channels_last(grad), _channels_last(indices), gx, *_windows(geometry))
    return gx.transpose(0, 3, 1, 2)
