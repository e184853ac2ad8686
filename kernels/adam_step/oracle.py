"""A step of Adam from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np

from ..softmax.oracle import largest as largest_of


def forward(
    parameter, grad, first_moment, second_moment, largest_second_moment, step, rate, betas, eps, weight_decay, decoupled
):
    b1, b2 = betas
    new, first, second, largest = (np.zeros(parameter.shape) for _ in range(4))
    for at in np.ndindex(parameter.shape):
        p = float(parameter[at])
        slope = float(grad[at]) + (0.0 if decoupled else weight_decay * p)
        first[at] = m = b1 * float(first_moment[at]) + (1 - b1) * slope
        second[at] = v = b2 * float(second_moment[at]) + (1 - b2) * slope * slope
        if largest_second_moment is not None:
            largest[at] = v = largest_of([float(largest_second_moment[at]), v])
        change = rate * (m / (1 - b1**step)) / (math.sqrt(v / (1 - b2**step)) + eps)
        new[at] = p - change - (rate * weight_decay * p if decoupled else 0.0)
    return (new, first, second) if largest_second_moment is None else (new, first, second, largest)
