"""A step of SGD from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import numpy as np


def forward(parameter, grad, velocity, rate, momentum, weight_decay, nesterov):
    new, kept = np.zeros(parameter.shape), np.zeros(parameter.shape)
    for at in np.ndindex(parameter.shape):
        p = float(parameter[at])
        slope = float(grad[at]) + weight_decay * p
        kept[at] = slope if velocity is None else momentum * float(velocity[at]) + slope
        new[at] = p - rate * (slope + momentum * float(kept[at]) if nesterov else float(kept[at]))
    return (new,) if velocity is None else (new, kept)
