"""Cross-entropy and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np

from ..log_softmax import oracle as log_softmax


def targets(labels, classes, class_weight, label_smoothing):
    """(N, K): how much each -log p counts in the loss, before the division by the sum of weights; and that sum."""
    weight = [1.0 if class_weight is None else float(class_weight[k]) for k in range(classes)]
    counts = np.zeros((len(labels), classes))
    for n, label in enumerate(labels):
        for k in range(classes):
            counts[n, k] = label_smoothing / classes * weight[k]
        counts[n, label] += (1 - label_smoothing) * weight[label]
    return counts, math.fsum(weight[label] for label in labels)


def forward(logits, labels, class_weight, label_smoothing):
    log_p = log_softmax.forward(logits, 1)
    counts, total = targets(labels, logits.shape[1], class_weight, label_smoothing)
    loss = 0.0
    for n, label in enumerate(labels):
        for k in range(logits.shape[1]):
            if k == label or label_smoothing:  # an impossible class that counts for nothing costs nothing
                loss -= float(counts[n, k]) * float(log_p[n, k])
    return np.array(loss / total if total else math.nan), log_p


def grad_input(grad, log_probabilities, labels, class_weight, label_smoothing):
    counts, total = targets(labels, log_probabilities.shape[1], class_weight, label_smoothing)
    gx = np.zeros(log_probabilities.shape)
    for n, k in np.ndindex(gx.shape):
        p = math.exp(float(log_probabilities[n, k]))
        gx[n, k] = float(grad) * (p * counts[n].sum() - counts[n, k]) / total if total else math.nan
    return gx
