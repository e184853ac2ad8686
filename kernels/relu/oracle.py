"""ReLU and its gradient from the definition: loops, used by tests alone."""

from __future__ import annotations

import numpy as np


def forward(x):
    y = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        value = float(x[at])
        y[at] = 0.0 if value < 0 else value  # NaN is not below 0
    return y


def grad_input(grad, y):
    gx = np.zeros(y.shape)
    for at in np.ndindex(y.shape):
        gx[at] = 0.0 if float(y[at]) <= 0 else float(grad[at])
    return gx
