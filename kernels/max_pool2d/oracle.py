"""Max pooling and its gradient from the definition: loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np


def forward(x, geometry):
    g = geometry
    y, indices = np.zeros(g.y_shape), np.zeros(g.y_shape, np.int32)
    for n, c, p, q in np.ndindex(g.y_shape):
        best, where = None, None
        for r in range(g.kernel[0]):
            for s in range(g.kernel[1]):
                i = p * g.stride[0] + r * g.dilation[0] - g.padding[0][0]
                j = q * g.stride[1] + s * g.dilation[1] - g.padding[1][0]
                if not (0 <= i < g.size[0] and 0 <= j < g.size[1]):
                    continue
                value = float(x[n, c, i, j])
                if best is None or (not math.isnan(best) and (math.isnan(value) or value > best)):
                    best, where = value, i * g.size[1] + j
        y[n, c, p, q], indices[n, c, p, q] = best, where
    return y, indices


def grad_input(grad, indices, geometry):
    gx = np.zeros(geometry.x_shape)
    for n, c, p, q in np.ndindex(geometry.y_shape):
        i, j = divmod(int(indices[n, c, p, q]), geometry.size[1])
        gx[n, c, i, j] += float(grad[n, c, p, q])
    return gx
