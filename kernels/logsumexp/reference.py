"""Log-sum-exp in NumPy."""

from __future__ import annotations

import numpy as np


def forward(x, axis, keepdims):
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        top = x.max(axis, keepdims=True, initial=-np.inf)
        top = np.where(np.isinf(top), x.dtype.type(0), top)  # inf - inf would be NaN; the sum is 0 or inf by itself
        y = np.log(np.exp(x - top).sum(axis, keepdims=True)) + top
    return y if keepdims else np.asarray(y.squeeze(axis))


def grad_input(grad, x, y, axis, keepdims):
    if not keepdims:
        grad, y = np.expand_dims(grad, axis), np.expand_dims(y, axis)
    with np.errstate(invalid="ignore", over="ignore"):
        return grad * np.exp(x - y)
