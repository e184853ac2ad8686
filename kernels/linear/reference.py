"""The dense layer as matrix products; NumPy hands them to BLAS."""

from __future__ import annotations

import numpy as np


def forward(x, w, b):
    y = x @ w.T  # (N, I) @ (I, O) -> (N, O)
    if b is not None:
        y += b
    return y


def grad_input(grad, w):
    return grad @ w  # (N, O) @ (O, I) -> (N, I)


def grad_weight(grad, x):
    return grad.T @ x  # (O, N) @ (N, I) -> (O, I)


def grad_bias(grad):
    return grad.sum(0, dtype=np.float64).astype(grad.dtype)
