"""A step of RMSprop from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np


def forward(parameter, grad, mean_square, mean_gradient, velocity, rate, alpha, eps, weight_decay, momentum):
    new, square, mean, kept = (np.zeros(parameter.shape) for _ in range(4))
    for at in np.ndindex(parameter.shape):
        p = float(parameter[at])
        slope = float(grad[at]) + weight_decay * p
        square[at] = s = alpha * float(mean_square[at]) + (1 - alpha) * slope * slope
        if mean_gradient is not None:
            mean[at] = m = alpha * float(mean_gradient[at]) + (1 - alpha) * slope
            s = s - m * m
            s = 0.0 if s < 0 else s
        u = slope / (math.sqrt(s) + eps)
        kept[at] = v = u if velocity is None else momentum * float(velocity[at]) + u
        new[at] = p - rate * v
    extra = [array for given, array in ((mean_gradient, mean), (velocity, kept)) if given is not None]
    return (new, square, *extra)
