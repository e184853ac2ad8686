"""A step of SGD in NumPy."""

from __future__ import annotations

import numpy as np


def forward(parameter, grad, velocity, rate, momentum, weight_decay, nesterov):
    with np.errstate(invalid="ignore", over="ignore"):
        slope = grad + weight_decay * parameter if weight_decay else grad
        if velocity is None:
            return (np.asarray(parameter - rate * slope),)
        kept = np.asarray(momentum * velocity + slope)
        direction = slope + momentum * kept if nesterov else kept
        return np.asarray(parameter - rate * direction), kept
