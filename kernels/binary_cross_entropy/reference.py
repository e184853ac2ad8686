"""Binary cross-entropy in NumPy."""

from __future__ import annotations

import numpy as np

from ..losses import per_loss, reduce
from . import LEAST_VARIANCE, LOWEST_LOG


def forward(probabilities, targets, weight, reduction):
    with np.errstate(divide="ignore"):  # the logarithm of 0 is raised to the lowest
        log_p = np.maximum(np.log(probabilities), LOWEST_LOG)
        log_rest = np.maximum(np.log1p(-probabilities), LOWEST_LOG)
    losses = -(targets * log_p + (1 - targets) * log_rest)
    if weight is not None:
        losses = losses * weight
    return reduce(np.asarray(losses), reduction, probabilities.dtype)


def grad_input(grad, probabilities, targets, weight, reduction):
    scale = per_loss(grad, reduction, targets.size)
    if weight is not None:
        scale = scale * weight
    slope = (probabilities - targets) / np.maximum(probabilities * (1 - probabilities), LEAST_VARIANCE)
    return np.asarray(slope * scale)
