"""The hyperbolic tangent in NumPy."""

from __future__ import annotations

import numpy as np


def forward(x):
    return np.asarray(np.tanh(x))


def grad_input(grad, y):
    return np.asarray(grad * ((1 - y) * (1 + y)))
