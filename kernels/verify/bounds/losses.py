"""Bounds of losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .core import both, gamma, underflow
from .exponentials import EXP_ROUNDINGS, log_softmax, log_softmax_error, tiny


def _targets(arguments: Mapping[str, Any], shape: tuple[int, int]) -> tuple[Any, int]:
    """How much each -log p counts in a cross-entropy (N, K), and the roundings of that number.

    A count is a division, two products and an addition, divided by a sum of N weights.
    """
    labels, weight, smoothing = (arguments[name] for name in ("labels", "class_weight", "label_smoothing"))
    weight = np.ones(shape[1]) if weight is None else weight.astype(np.float64)
    counts = np.tile(smoothing / shape[1] * weight, (shape[0], 1))
    counts[np.arange(shape[0]), labels] += (1 - smoothing) * weight[labels]
    with np.errstate(invalid="ignore"):
        return counts / (weight[labels].sum() or np.nan), shape[0] + 6


def cross_entropy(arguments: Mapping[str, Any], truth: Any) -> Any:
    """(loss, log p): sum over N K of t (-log p), with t the counts of `_targets` and log p as `log_softmax`.

    The errors of log p weighted by t, and gamma of the additions and of t's own roundings on t |log p|.
    """
    logits = arguments["logits"]
    counts, roundings = _targets(arguments, logits.shape)
    _, log_p = truth
    roundings += logits.size + 2

    def error(t: Any) -> Any:
        with np.errstate(invalid="ignore"):
            of_log_p = np.where(counts > 0, counts * log_softmax_error(logits, 1, log_p, t), 0).sum()
            of_sum = np.where(counts > 0, counts * np.abs(log_p), 0).sum()
        return (1 + gamma(roundings, t)) * of_log_p + gamma(roundings, t) * of_sum + underflow(roundings, t)

    of_loss = both(logits.dtype, error)
    return of_loss, log_softmax({"x": logits, "axis": 1}, log_p)


def cross_entropy_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad (p_k sum_j t_j - t_k) with p = exp(log p): exp, K additions, two products, a subtraction."""
    log_p = arguments["log_probabilities"]
    counts, roundings = _targets(arguments, log_p.shape)
    total = counts.sum(1, keepdims=True)
    grad = np.abs(arguments["grad"].astype(np.float64))
    magnitude = grad * (np.exp(log_p.astype(np.float64)) * total + counts)
    roundings += EXP_ROUNDINGS + log_p.shape[1] + 4
    lost = 1 + grad * total
    return both(log_p.dtype, lambda t: gamma(roundings, t) * magnitude + lost * tiny(t))
