"""Cross-entropy in NumPy, through log_softmax. Sums run in float64: they may be over many pictures."""

from __future__ import annotations

import numpy as np

from ..log_softmax import reference as log_softmax


def _targets(labels, classes, class_weight, label_smoothing):
    """(N, K): how much each -log p counts, before the division by the sum of weights; and that sum."""
    weight = np.ones(classes) if class_weight is None else class_weight.astype(np.float64)
    counts = np.tile(label_smoothing / classes * weight, (len(labels), 1))
    counts[np.arange(len(labels)), labels] += (1 - label_smoothing) * weight[labels]
    return counts, weight[labels].sum() or np.nan  # the mean of nothing is NaN


def forward(logits, labels, class_weight, label_smoothing):
    log_p = log_softmax.forward(logits, 1)
    counts, total = _targets(labels, logits.shape[1], class_weight, label_smoothing)
    with np.errstate(invalid="ignore"):
        if label_smoothing:
            loss = -(counts * log_p).sum() / total
        else:  # an impossible class that counts for nothing costs nothing, and not 0 * inf
            rows = np.arange(len(labels))
            loss = -(counts[rows, labels] * log_p[rows, labels]).sum() / total
    return np.array(loss, logits.dtype), log_p


def grad_input(grad, log_probabilities, labels, class_weight, label_smoothing):
    counts, total = _targets(labels, log_probabilities.shape[1], class_weight, label_smoothing)
    with np.errstate(invalid="ignore"):
        gx = (np.exp(log_probabilities) * counts.sum(1, keepdims=True) - counts) * (grad / total)
    return gx.astype(log_probabilities.dtype)
