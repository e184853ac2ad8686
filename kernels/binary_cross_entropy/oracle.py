"""Binary cross-entropy and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np


def reduced(losses, reduction):
    """The losses, their sum, or their mean, which is NaN over nothing."""
    if reduction == "none":
        return losses
    total = sum((float(x) for x in losses.ravel()), 0.0)
    if reduction == "mean":
        total = total / losses.size if losses.size else math.nan
    return np.array(total)


def weights(weight, shape):
    """`weight` at every place of `shape`; 1 without one."""
    return np.broadcast_to(1.0 if weight is None else weight.astype(np.float64), shape)


def _log(p):
    return max(math.log(p), -100.0) if p > 0 else -100.0


def _log_of_rest(p):
    return max(math.log1p(-p), -100.0) if p < 1 else -100.0


def forward(probabilities, targets, weight, reduction):
    losses, w = np.zeros(targets.shape), weights(weight, targets.shape)
    for at in np.ndindex(targets.shape):
        p, t = float(probabilities[at]), float(targets[at])
        losses[at] = -w[at] * (t * _log(p) + (1 - t) * _log_of_rest(p))
    return reduced(losses, reduction)


def grad_input(grad, probabilities, targets, weight, reduction):
    gx, w = np.zeros(targets.shape), weights(weight, targets.shape)
    for at in np.ndindex(targets.shape):
        p, t = float(probabilities[at]), float(targets[at])
        factor = float(grad[at] if reduction == "none" else grad) / (targets.size if reduction == "mean" else 1)
        gx[at] = factor * w[at] * (p - t) / max(p * (1 - p), float(np.float32(1e-12)))
    return gx
