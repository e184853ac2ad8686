"""ReLU in NumPy. Elementwise functions write their result in the memory order of their input."""

from __future__ import annotations

import numpy as np


def forward(x):
    return np.asarray(np.maximum(x, x.dtype.type(0)))  # maximum hands NaN on


def grad_input(grad, y):
    passes = ~(y <= 0)  # NaN too
    with np.errstate(invalid="ignore", over="ignore"):
        finite = np.isfinite(grad.sum())
    if finite:  # the product is three times quicker than the choice, but 0 * inf is NaN
        return np.asarray(grad * passes)
    return np.where(passes, grad, grad.dtype.type(0))
