"""A step of RMSprop in NumPy."""

from __future__ import annotations

import numpy as np


def forward(parameter, grad, mean_square, mean_gradient, velocity, rate, alpha, eps, weight_decay, momentum):
    with np.errstate(invalid="ignore", over="ignore"):
        slope = grad + weight_decay * parameter if weight_decay else grad
        square = spread = alpha * mean_square + (1 - alpha) * slope * slope
        kept = [square]
        if mean_gradient is not None:
            mean = mean_gradient + (1 - alpha) * (slope - mean_gradient)
            spread = np.maximum(square - mean * mean, 0)
            kept.append(mean)
        direction = slope / (np.sqrt(spread) + eps)
        if velocity is not None:
            direction = momentum * velocity + direction
            kept.append(direction)
        return tuple(np.asarray(array) for array in (parameter - rate * direction, *kept))
