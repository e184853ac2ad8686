"""Binary cross-entropy of logits in NumPy."""

from __future__ import annotations

import numpy as np

from ..losses import per_loss, reduce
from ..sigmoid import reference as sigmoid


def _shares(targets, pos_weight):
    """How much softplus(x), and how much softplus(-x), counts."""
    return 1 - targets, targets if pos_weight is None else targets * pos_weight


def forward(logits, targets, weight, pos_weight, reduction):
    negative, positive = _shares(targets, pos_weight)
    with np.errstate(invalid="ignore"):  # 0 * inf is NaN, as it should be
        both = np.log1p(np.exp(-np.abs(logits)))
        losses = negative * (np.maximum(logits, 0) + both) + positive * (np.maximum(-logits, 0) + both)
        if weight is not None:
            losses = losses * weight
    return reduce(np.asarray(losses), reduction, logits.dtype)


def grad_input(grad, logits, targets, weight, pos_weight, reduction):
    negative, positive = _shares(targets, pos_weight)
    scale = per_loss(grad, reduction, logits.size)
    if weight is not None:
        scale = scale * weight
    return np.asarray((negative * sigmoid.forward(logits) - positive * sigmoid.forward(-logits)) * scale)
