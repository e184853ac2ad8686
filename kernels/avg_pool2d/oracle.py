"""Average pooling and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import numpy as np


def _window(p, axis, g):
    """The positions of window p along one axis: (pixels of the picture, pixels of it or its padding)."""
    first = p * g.stride[axis] - g.padding[axis][0]
    tapped = range(first, first + g.kernel[axis])
    pixels = [i for i in tapped if 0 <= i < g.size[axis]]
    padded = [i for i in tapped if -g.padding[axis][0] <= i < g.size[axis] + g.padding[axis][1]]
    return pixels, padded


def _windows(g, count_include_pad, divisor_override):
    """(p, q, pixels, divisor) of every window."""
    for p in range(g.output[0]):
        rows, padded_rows = _window(p, 0, g)
        for q in range(g.output[1]):
            columns, padded_columns = _window(q, 1, g)
            if divisor_override is not None:
                divisor = divisor_override
            elif count_include_pad:
                divisor = len(padded_rows) * len(padded_columns)
            else:
                divisor = len(rows) * len(columns)
            yield p, q, [(i, j) for i in rows for j in columns], divisor


def forward(x, geometry, count_include_pad=True, divisor_override=None):
    y = np.zeros(geometry.y_shape)
    for p, q, pixels, divisor in _windows(geometry, count_include_pad, divisor_override):
        for n, c in np.ndindex(geometry.x_shape[:2]):
            y[n, c, p, q] = sum(float(x[n, c, i, j]) for i, j in pixels) / divisor
    return y


def grad_input(grad, geometry, count_include_pad=True, divisor_override=None):
    gx = np.zeros(geometry.x_shape)
    for p, q, pixels, divisor in _windows(geometry, count_include_pad, divisor_override):
        for n, c in np.ndindex(geometry.x_shape[:2]):
            for i, j in pixels:
                gx[n, c, i, j] = float(gx[n, c, i, j]) + float(grad[n, c, p, q]) / divisor
    return gx
