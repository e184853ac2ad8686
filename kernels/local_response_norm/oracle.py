"""Local response normalization and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import numpy as np


def _window(c, size, channels):
    """The channels whose squares count for channel c."""
    first = c - size // 2
    return range(max(first, 0), min(first + size, channels))


def _denominator(x, at, size, alpha, k):
    n, c, h, w = at
    total = 0.0
    for j in _window(c, size, x.shape[1]):
        total += float(x[n, j, h, w]) * float(x[n, j, h, w])
    return np.float64(k + alpha * total / size)


def forward(x, size, alpha, beta, k):
    y = np.zeros(x.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        for at in np.ndindex(x.shape):
            y[at] = float(x[at]) / _denominator(x, at, size, alpha, k) ** beta
    return y


def grad_input(grad, x, size, alpha, beta, k):
    gx = np.zeros(x.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        for n, j, h, w in np.ndindex(x.shape):  # what y of channel j hands back to each channel of its window
            g, value = float(grad[n, j, h, w]), float(x[n, j, h, w])
            d = _denominator(x, (n, j, h, w), size, alpha, k)
            gx[n, j, h, w] += g * d**-beta
            for c in _window(j, size, x.shape[1]):
                gx[n, c, h, w] -= g * value * beta * d ** (-beta - 1) * 2 * alpha / size * float(x[n, c, h, w])
    return gx
