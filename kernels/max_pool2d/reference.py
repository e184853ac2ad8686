"""Max pooling in NumPy: one tap of the window at a time, for all windows at once."""

from __future__ import annotations

import numpy as np


def _taps(g):
    """For each tap (r, s): the output positions whose tap lies inside the picture, and the pixels it sees.

    Yields slices (rows of y, columns of y, rows of x, columns of x); taps in row-major order, so that
    the pixels of one window come in row-major order too.
    """
    for r in range(g.kernel[0]):
        for s in range(g.kernel[1]):
            inside = []
            for axis, tap in ((0, r), (1, s)):
                start = tap * g.dilation[axis] - g.padding[axis][0]  # the pixel that output 0 sees
                stride, size = g.stride[axis], g.size[axis]
                first = max(-(start // stride), 0)  # the first output whose pixel is not left of the picture
                stop = min(-((start - size) // stride), g.output[axis])  # the first one beyond its right edge
                inside.append((first, stop, start, stride))
            if all(first < stop for first, stop, _, _ in inside):
                out = [slice(first, stop) for first, stop, _, _ in inside]
                pixels = [slice(st + k * f, st + k * (e - 1) + 1, k) for f, e, st, k in inside]
                yield (*out, *pixels)


def forward(x, geometry):
    g = geometry
    y = np.zeros(g.y_shape, x.dtype)
    indices = np.full(g.y_shape, -1, np.int32)  # -1: no pixel seen yet
    number = np.arange(g.size[0] * g.size[1], dtype=np.int32).reshape(g.size)
    for rows, columns, i, j in _taps(g):
        pixel, best, where = x[:, :, i, j], y[:, :, rows, columns], indices[:, :, rows, columns]
        # NaN compares false with everything: "not <=" holds for a larger pixel and for a first NaN.
        wins = (where < 0) | (~(pixel <= best) & (best == best))
        np.copyto(best, pixel, where=wins)
        np.copyto(where, number[i, j], where=wins)
    return y, indices


def grad_input(grad, indices, geometry):
    g = geometry
    planes, pixels = g.batch * g.channels, g.size[0] * g.size[1]
    gx = np.zeros((planes, pixels), grad.dtype)
    winners = indices.reshape(planes, g.output[0] * g.output[1])
    np.add.at(gx, (np.arange(planes)[:, None], winners), grad.reshape(winners.shape))
    return gx.reshape(g.x_shape)
