"""A step of Adam in NumPy."""

from __future__ import annotations

import math

import numpy as np

from . import corrections


def forward(
    parameter, grad, first_moment, second_moment, largest_second_moment, step, rate, betas, eps, weight_decay, decoupled
):
    b1, b2 = betas
    of_first, of_second = corrections(step, betas)
    with np.errstate(invalid="ignore", over="ignore"):
        slope = grad + weight_decay * parameter if weight_decay and not decoupled else grad
        first = first_moment + (1 - b1) * (slope - first_moment)
        second = b2 * second_moment + (1 - b2) * slope * slope
        largest = second if largest_second_moment is None else np.maximum(largest_second_moment, second)
        change = rate / of_first * first / (np.sqrt(largest) / math.sqrt(of_second) + eps)
        if decoupled:
            change = change + rate * weight_decay * parameter
        new = parameter - change
    arrays = (new, first, second) if largest_second_moment is None else (new, first, second, largest)
    return tuple(np.asarray(array) for array in arrays)
