"""Local response normalization in NumPy: one place of the window at a time, for all channels at once."""

from __future__ import annotations

import numpy as np


def _sums(values, before, after):
    """Sums over channels c - before ... c + after."""
    channels = values.shape[1]
    sums = np.zeros_like(values)
    for offset in range(-min(before, channels - 1), min(after, channels - 1) + 1):
        first, last = max(-offset, 0), channels - max(offset, 0)
        sums[:, first:last] += values[:, first + offset : last + offset]
    return sums


def _denominator(x, size, alpha, k):
    return _sums(x * x, size // 2, (size - 1) // 2) * (alpha / size) + k


def forward(x, size, alpha, beta, k):
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return x / _denominator(x, size, alpha, k) ** beta


def grad_input(grad, x, size, alpha, beta, k):
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        d = _denominator(x, size, alpha, k)
        direct = grad / d**beta
        # Channel c lies in the windows of c - (size - 1) // 2 ... c + size // 2: the forward window, mirrored.
        shared = _sums(direct * x / d, (size - 1) // 2, size // 2)
        return direct - x * shared * (2 * alpha * beta / size)
