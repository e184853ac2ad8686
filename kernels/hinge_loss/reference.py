"""The multi-class hinge loss in NumPy. Everything is float64 until the result."""

from __future__ import annotations

import numpy as np

from ..losses import per_loss, reduce


def _violations(scores, labels, margin):
    """(N, K): by how much each class violates the margin, 0 where it does not, and at the label."""
    at = labels.astype(np.intp)[:, None]
    wide = scores.astype(np.float64)
    z = np.maximum((margin - np.take_along_axis(wide, at, 1)) + wide, 0)
    np.put_along_axis(z, at, 0, 1)
    return z, at


def _factor(labels, class_weight, classes):
    """(N,): what each row's sum is multiplied with."""
    weight = np.ones(len(labels)) if class_weight is None else class_weight.astype(np.float64)[labels]
    return weight / classes


def forward(scores, labels, margin, p, class_weight, reduction):
    with np.errstate(invalid="ignore"):
        z, _ = _violations(scores, labels, margin)
        losses = _factor(labels, class_weight, scores.shape[1]) * (z**p).sum(1)
    return reduce(losses, reduction, scores.dtype)


def grad_input(grad, scores, labels, margin, p, class_weight, reduction):
    with np.errstate(invalid="ignore"):
        z, at = _violations(scores, labels, margin)
        scale = per_loss(grad.astype(np.float64), reduction, len(labels))
        scale = scale * _factor(labels, class_weight, scores.shape[1])
        slopes = (2 * z if p == 2 else np.where(np.isnan(z), z, z > 0)) * scale[:, None]
        np.put_along_axis(slopes, at, -slopes.sum(1, keepdims=True), 1)
        return slopes.astype(scores.dtype)
