"""The multi-class hinge loss and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np


def _violations(scores, labels, margin):
    """(n, k, by how much) for every class k that comes closer to row n's label than the margin, or is NaN there."""
    for n, label in enumerate(labels):
        for k in range(scores.shape[1]):
            z = margin - float(scores[n, label]) + float(scores[n, k])
            if k != label and not z <= 0:
                yield n, k, z


def _factor(n, labels, class_weight, classes):
    return (1.0 if class_weight is None else float(class_weight[labels[n]])) / classes


def forward(scores, labels, margin, p, class_weight, reduction):
    losses = np.zeros(len(labels))
    for n, _, z in _violations(scores, labels, margin):
        losses[n] += _factor(n, labels, class_weight, scores.shape[1]) * z**p
    if reduction == "none":
        return losses
    total = sum((float(x) for x in losses), 0.0)
    if reduction == "mean":
        total = total / len(losses) if len(losses) else math.nan
    return np.array(total)


def grad_input(grad, scores, labels, margin, p, class_weight, reduction):
    gx = np.zeros(scores.shape)
    for n, k, z in _violations(scores, labels, margin):
        slope = _factor(n, labels, class_weight, scores.shape[1]) * (2 * z if p == 2 else z if math.isnan(z) else 1.0)
        slope *= float(grad[n] if reduction == "none" else grad)
        if reduction == "mean":
            slope /= len(labels)
        gx[n, k] = slope
        gx[n, labels[n]] -= slope
    return gx
