"""Leaky ReLU and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import numpy as np


def forward(x, negative_slope):
    y = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        value = float(x[at])
        y[at] = value if value > 0 else negative_slope * value
    return y


def grad_input(grad, x, negative_slope):
    gx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        gx[at] = float(grad[at]) if float(x[at]) > 0 else negative_slope * float(grad[at])
    return gx
