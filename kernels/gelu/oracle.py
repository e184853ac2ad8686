"""GELU and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np

from ..sigmoid.oracle import sigmoid


def _share(x, approximate):
    """The factor of x in the output: Phi(x), or (1 + tanh(u)) / 2."""
    if approximate == "none":
        return math.erfc(-x / math.sqrt(2)) / 2
    return sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))


def _share_slope(x, approximate):
    """Its derivative."""
    if math.isinf(x):
        return 0.0
    if approximate == "none":
        return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    v = 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return sigmoid(v) * sigmoid(-v) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def forward(x, approximate):
    y = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        y[at] = float(x[at]) * _share(float(x[at]), approximate)
    return y


def grad_input(grad, x, approximate):
    gx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        value = float(x[at])
        slope = _share(value, approximate) + value * _share_slope(value, approximate)
        gx[at] = float(grad[at]) * slope
    return gx
