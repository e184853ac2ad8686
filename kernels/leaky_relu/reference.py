"""Leaky ReLU in NumPy. A maximum or a product is several times quicker than a choice."""

from __future__ import annotations

import numpy as np


def forward(x, negative_slope):
    slope = x.dtype.type(negative_slope)
    with np.errstate(invalid="ignore", over="ignore"):
        if slope == 0:  # 0 * inf is NaN, and would be the maximum
            return np.where(x > 0, x, x * slope)
        larger = np.maximum if slope <= 1 else np.minimum  # of x and its multiple, the one that is wanted
        return np.asarray(larger(x, x * slope))


def grad_input(grad, x, negative_slope):
    slope = x.dtype.type(negative_slope)
    factor = np.maximum(x > 0, slope) if 0 <= slope <= 1 else np.where(x > 0, x.dtype.type(1), slope)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(grad * factor)
