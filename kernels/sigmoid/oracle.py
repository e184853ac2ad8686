"""The logistic function and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(x):
    """1 / (1 + exp(-x)) of a float, with an exponential that cannot overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def forward(x):
    y = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        y[at] = sigmoid(float(x[at]))
    return y


def grad_input(grad, y):
    gx = np.zeros(y.shape)
    for at in np.ndindex(y.shape):
        gx[at] = float(grad[at]) * float(y[at]) * (1 - float(y[at]))
    return gx
