"""Average pooling in NumPy: the sum of a window is the sum over its rows, then over its columns, of a picture
that zeros surround."""

from __future__ import annotations

import numpy as np

from .divisors import divisors


def _surroundings(g):
    """(padded H, padded W) that hold every window, those included that reach beyond the padding, and the picture."""
    extents = [
        max((g.output[a] - 1) * g.stride[a] + g.kernel[a], g.padding[a][0] + g.size[a])  # pixels may lie in no window
        for a in (0, 1)
    ]
    inside = tuple(slice(g.padding[a][0], g.padding[a][0] + g.size[a]) for a in (0, 1))
    return extents, (..., *inside)


def _taps(g, axis):
    """For each tap along one axis, the pixels that it sees from all windows."""
    reach = (g.output[axis] - 1) * g.stride[axis] + 1
    return [slice(tap, tap + reach, g.stride[axis]) for tap in range(g.kernel[axis])]


def forward(x, geometry, count_include_pad=True, divisor_override=None):
    g = geometry
    extents, inside = _surroundings(g)
    padded = np.zeros((g.batch, g.channels, *extents), x.dtype)
    padded[inside] = x
    with np.errstate(invalid="ignore"):  # inf - inf
        rows = np.zeros((g.batch, g.channels, g.output[0], extents[1]), x.dtype)
        for tap in _taps(g, 0):
            rows += padded[:, :, tap]
        y = np.zeros(g.y_shape, x.dtype)
        for tap in _taps(g, 1):
            y += rows[..., tap]
        return y / divisors(g, count_include_pad, divisor_override).astype(x.dtype)


def grad_input(grad, geometry, count_include_pad=True, divisor_override=None):
    g = geometry
    extents, inside = _surroundings(g)
    share = grad / divisors(g, count_include_pad, divisor_override).astype(grad.dtype)
    with np.errstate(invalid="ignore"):
        rows = np.zeros((g.batch, g.channels, g.output[0], extents[1]), grad.dtype)
        for tap in _taps(g, 1):
            rows[..., tap] += share
        padded = np.zeros((g.batch, g.channels, *extents), grad.dtype)
        for tap in _taps(g, 0):
            padded[:, :, tap] += rows
    return padded[inside]
