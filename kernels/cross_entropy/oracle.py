"""Cross-entropy and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np

from ..log_softmax import oracle as log_softmax


def targets(shape, labels, class_weight, label_smoothing, ignore_index):
    """How much each -log p counts in the loss of its row (of logits' shape), and how much each row in the mean."""
    n, classes, *rest = shape
    weight = [1.0 if class_weight is None else float(class_weight[k]) for k in range(classes)]
    counts, rows = np.zeros(shape), np.zeros((n, *rest))
    for at in np.ndindex(rows.shape):
        row = [(at[0], k, *at[1:]) for k in range(classes)]
        if labels.ndim == len(shape):
            for k, place in enumerate(row):
                share = (1 - label_smoothing) * float(labels[place]) + label_smoothing / classes
                counts[place] = share * weight[k]
            rows[at] = 1
        elif labels[at] != ignore_index:
            label = int(labels[at])
            for k, place in enumerate(row):
                counts[place] = label_smoothing / classes * weight[k]
            counts[row[label]] += (1 - label_smoothing) * weight[label]
            rows[at] = weight[label]
    return counts, rows


def _costs_nothing(at, labels, ignore_index, label_smoothing):
    """Whether a label leaves the class at `at` out of its row's loss, so that not even 0 * inf comes of it."""
    label = int(labels[(at[0], *at[2:])])
    return label == ignore_index or (not label_smoothing and at[1] != label)


def forward(logits, labels, class_weight, label_smoothing, ignore_index, reduction):
    log_p = log_softmax.forward(logits, 1)
    counts, rows = targets(logits.shape, labels, class_weight, label_smoothing, ignore_index)
    losses = np.zeros(rows.shape)
    for at in np.ndindex(logits.shape):
        if labels.ndim < logits.ndim and _costs_nothing(at, labels, ignore_index, label_smoothing):
            continue
        losses[(at[0], *at[2:])] -= float(counts[at]) * float(log_p[at])
    if reduction == "none":
        return losses, log_p
    loss = sum((float(x) for x in losses.ravel()), 0.0)
    if reduction == "mean":
        total = math.fsum(rows.ravel())
        loss = loss / total if total else math.nan
    return np.array(loss), log_p


def grad_input(grad, log_probabilities, labels, class_weight, label_smoothing, ignore_index, reduction):
    shape = log_probabilities.shape
    counts, rows = targets(shape, labels, class_weight, label_smoothing, ignore_index)
    total = math.fsum(rows.ravel()) if reduction == "mean" else 1.0
    gx = np.zeros(shape)
    for at in np.ndindex(shape):
        row = (at[0], *at[2:])
        p = math.exp(float(log_probabilities[at]))
        slope = p * math.fsum(counts[at[0], k][at[2:]] for k in range(shape[1])) - counts[at]
        factor = float(grad[row]) if reduction == "none" else float(grad)
        ignored = labels.ndim < len(shape) and int(labels[row]) == ignore_index
        gx[at] = slope * (0.0 if ignored else factor / total if total else math.nan)
    return gx
