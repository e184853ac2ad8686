"""GELU in NumPy and SciPy, by forms that keep the digits of the tail on the left."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from ..sigmoid import reference as sigmoid

# v = 2u = FACTOR (x + CUBIC x^3)
FACTOR = 2 * math.sqrt(2 / math.pi)
CUBIC = 0.044715
FLAT = 40  # from here on outwards exp(-x^2 / 2) and exp(-|v|) are 0 in float64 too


def _argument(x):
    return FACTOR * (x + CUBIC * x * x * x)


def forward(x, approximate):
    with np.errstate(invalid="ignore", over="ignore"):  # -inf times 0; the cube of a large number
        return np.asarray(x * (ndtr(x) if approximate == "none" else sigmoid.forward(_argument(x))))


def grad_input(grad, x, approximate):
    near = np.clip(x, -FLAT, FLAT)  # nothing overflows on the way to the 0 that lies further out
    if approximate == "none":
        share = ndtr(x)
        slope = np.exp(near * near * -0.5) * (1 / math.sqrt(2 * math.pi))
    else:
        v = _argument(near)
        share = sigmoid.forward(v)
        slope = share * sigmoid.forward(-v) * (FACTOR * (1 + 3 * CUBIC * near * near))
    with np.errstate(invalid="ignore"):
        return np.asarray(grad * (share + x * slope))
