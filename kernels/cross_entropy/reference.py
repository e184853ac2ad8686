"""Cross-entropy in NumPy, through log_softmax. Sums over rows run in float64: they may be over many pictures."""

from __future__ import annotations

import numpy as np

from ..log_softmax import reference as log_softmax
from ..losses import per_loss, reduce


def _column(shape, class_weight):
    """The weights of classes, in float64, with the axes that follow the classes."""
    weight = np.ones(shape[1]) if class_weight is None else class_weight.astype(np.float64)
    return weight.reshape(-1, *[1] * (len(shape) - 2))


def _rows(labels, class_weight, ignore_index):
    """Of labels: which rows count, their labels with an axis for the classes, and how much each row weighs."""
    known = labels != ignore_index
    safe = np.where(known, labels, 0)
    weight = known.astype(np.float64)
    if class_weight is not None:
        weight = np.where(known, class_weight.astype(np.float64)[safe], 0)
    return known, np.expand_dims(safe.astype(np.intp, copy=False), 1), weight


def _shares(shape, probabilities, class_weight, label_smoothing):
    """Of probabilities: how much each -log p counts in its row's loss, and the number of rows."""
    smoothed = (1 - label_smoothing) * probabilities.astype(np.float64) + label_smoothing / shape[1]
    return smoothed * _column(shape, class_weight), probabilities.size // shape[1]


def forward(logits, labels, class_weight, label_smoothing, ignore_index, reduction):
    log_p = log_softmax.forward(logits, 1)
    with np.errstate(invalid="ignore"):
        if labels.ndim == logits.ndim:
            counts, total = _shares(logits.shape, labels, class_weight, label_smoothing)
            losses = -(counts * log_p).sum(1)
        else:
            known, at, weight = _rows(labels, class_weight, ignore_index)
            total, losses = weight.sum(), 0.0
            if label_smoothing < 1:
                losses = (label_smoothing - 1) * weight * np.take_along_axis(log_p, at, 1)[:, 0]
            if label_smoothing:
                every = log_p if class_weight is None else log_p * _column(logits.shape, class_weight)
                losses = losses - label_smoothing / logits.shape[1] * every.sum(1, dtype=np.float64)
            losses = np.where(known, losses, 0)
    return reduce(losses, reduction, logits.dtype, total), log_p


def grad_input(grad, log_probabilities, labels, class_weight, label_smoothing, ignore_index, reduction):
    gx, dtype = np.exp(log_probabilities), log_probabilities.dtype
    with np.errstate(invalid="ignore"):
        if labels.ndim == gx.ndim:
            counts, total = _shares(gx.shape, labels, class_weight, label_smoothing)
            scale = per_loss(grad, reduction, total)
            scale = np.expand_dims(scale, 1) if scale.ndim else scale
            return ((gx * counts.sum(1, keepdims=True) - counts) * scale).astype(dtype)
        known, at, weight = _rows(labels, class_weight, ignore_index)
        scale = np.where(known, per_loss(grad, reduction, weight.sum()), 0)  # ignored: 0, where the mean is NaN too
        of_label = (1 - label_smoothing) * weight
        of_each = label_smoothing / gx.shape[1] * _column(gx.shape, class_weight)
        gx *= np.expand_dims(((of_label + of_each.sum()) * scale).astype(dtype), 1)
        if label_smoothing:
            gx -= of_each.astype(dtype) * np.expand_dims(scale.astype(dtype, copy=False), 1)
        hit = np.take_along_axis(gx, at, 1) - np.expand_dims((of_label * scale).astype(dtype), 1)
        np.put_along_axis(gx, at, hit, 1)
    return gx
