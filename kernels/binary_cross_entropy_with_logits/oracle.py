"""Binary cross-entropy of logits and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np

from ..binary_cross_entropy.oracle import reduced, weights
from ..sigmoid.oracle import sigmoid


def _softplus(x):
    return (x if x > 0 else 0.0) + math.log1p(math.exp(-abs(x)))


def forward(logits, targets, weight, pos_weight, reduction):
    losses = np.zeros(logits.shape)
    w, v = weights(weight, logits.shape), weights(pos_weight, logits.shape)
    for at in np.ndindex(logits.shape):
        x, t = float(logits[at]), float(targets[at])
        losses[at] = float(w[at]) * ((1 - t) * _softplus(x) + float(v[at]) * t * _softplus(-x))
    return reduced(losses, reduction)


def grad_input(grad, logits, targets, weight, pos_weight, reduction):
    gx = np.zeros(logits.shape)
    w, v = weights(weight, logits.shape), weights(pos_weight, logits.shape)
    for at in np.ndindex(logits.shape):
        x, t = float(logits[at]), float(targets[at])
        factor = float(grad[at] if reduction == "none" else grad) / (logits.size if reduction == "mean" else 1)
        gx[at] = factor * w[at] * ((1 - t) * sigmoid(x) - v[at] * t * sigmoid(-x))
    return gx
