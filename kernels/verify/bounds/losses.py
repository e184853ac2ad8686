"""Bounds of losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .activations import SIGMOID_ROUNDINGS
from .core import both, gamma, underflow
from .exponentials import (
    EXP_ROUNDINGS,
    LOG1P_ROUNDINGS,
    LOG_ROUNDINGS,
    log_softmax,
    log_softmax_error,
    tiny,
)


def _targets(arguments: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[Any, int]:
    """How much each -log p counts in a cross-entropy, reduced or not, and the roundings of that number.

    A count is a division, two products and an addition; for the mean it is divided by a sum of N weights.
    """
    labels, weight, smoothing = (arguments[name] for name in ("labels", "class_weight", "label_smoothing"))
    weight = np.ones(shape[1]) if weight is None else weight.astype(np.float64)
    column = weight.reshape(-1, *[1] * (len(shape) - 2))
    if labels.ndim == len(shape):
        share, rows = labels.astype(np.float64), np.ones((shape[0], *shape[2:]))
        known = rows > 0
    else:
        known = labels != arguments["ignore_index"]
        classes = np.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))
        share = (np.expand_dims(labels, 1) == classes).astype(np.float64)
        rows = known * weight[np.where(known, labels, 0)]
    counts = ((1 - smoothing) * share + smoothing / shape[1]) * column * np.expand_dims(known, 1)
    if arguments["reduction"] != "mean":
        return counts, 5
    with np.errstate(invalid="ignore"):
        return counts / (rows.sum() or np.nan), rows.size + 6


def _total(errors: Any, arguments: Mapping[str, Any]) -> Any:
    """Of the errors of each loss, that of the reduced one."""
    return errors if arguments["reduction"] == "none" else errors.sum()


def _additions(terms: int, scores: Any, arguments: Mapping[str, Any]) -> int:
    """How many numbers are added up: `terms` in each loss, all that `scores` hold in a reduced one."""
    return terms if arguments["reduction"] == "none" else scores.size


def cross_entropy(arguments: Mapping[str, Any], truth: Any) -> Any:
    """(loss, log p): sum over N K of t (-log p), with t the counts of `_targets` and log p as `log_softmax`.

    The errors of log p weighted by t, and gamma of the additions and of t's own roundings on t |log p|; of every row
    by itself where the losses are not reduced.
    """
    logits = arguments["logits"]
    counts, roundings = _targets(arguments, logits.shape)
    _, log_p = truth
    roundings += _additions(logits.shape[1], logits, arguments) + 2

    def error(t: Any) -> Any:
        with np.errstate(invalid="ignore"):
            of_log_p = np.where(counts > 0, counts * log_softmax_error(logits, 1, log_p, t), 0).sum(1)
            of_sum = np.where(counts > 0, counts * np.abs(log_p), 0).sum(1)
            of_loss = (1 + gamma(roundings, t)) * of_log_p + gamma(roundings, t) * of_sum
            return _total(of_loss, arguments) + underflow(roundings, t)

    of_loss = both(logits.dtype, error)
    return of_loss, log_softmax({"x": logits, "axis": 1}, log_p)


def cross_entropy_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad (p_k sum_j t_j - t_k) with p = exp(log p): exp, K additions, two products, a subtraction."""
    log_p = arguments["log_probabilities"]
    counts, roundings = _targets(arguments, log_p.shape)
    total = counts.sum(1, keepdims=True)
    grad = np.abs(arguments["grad"].astype(np.float64))
    grad = np.expand_dims(grad, 1) if arguments["reduction"] == "none" else grad
    magnitude = grad * (np.exp(log_p.astype(np.float64)) * total + counts)
    roundings += EXP_ROUNDINGS + log_p.shape[1] + 4
    lost = 1 + grad * total
    if arguments["reduction"] == "mean":
        # the mean over rows that are all ignored has no gradient, though it is NaN
        magnitude, lost = (np.where(truth == 0, np.nan_to_num(part), part) for part in (magnitude, lost))
    return both(log_p.dtype, lambda t: gamma(roundings, t) * magnitude + lost * tiny(t))


def _hinge(arguments: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Of a hinge loss: the violations z (N, K), what bounds |z| and its error, and each row's factor (N, 1)."""
    scores, labels, weight = (arguments[name] for name in ("scores", "labels", "class_weight"))
    at = labels.astype(np.intp)[:, None]
    wide = scores.astype(np.float64)
    right = np.take_along_axis(wide, at, 1)
    with np.errstate(invalid="ignore"):
        z = np.maximum(arguments["margin"] - right + wide, 0)
    size = abs(arguments["margin"]) + np.abs(right) + np.abs(wide)
    for part in (z, size):
        np.put_along_axis(part, at, 0, 1)
    factor = np.ones(at.shape) if weight is None else weight.astype(np.float64)[at]
    factor = factor / scores.shape[1]
    return z, np.where(z > 0, size, 0), factor / (max(len(labels), 1) if arguments["reduction"] == "mean" else 1), at


def hinge_loss(arguments: Mapping[str, Any], truth: Any) -> Any:
    """factor sum_k max(0, z)^p: 3 roundings for z = m - x_label + x_k, on |m| + |x_label| + |x_k|.

    The maximum does not enlarge the error. The square errs by (2 z + error) times as much, and by the product's own
    rounding. Then K and N additions, and the factor: two quotients, two products.
    """
    z, size, factor, _ = _hinge(arguments)
    scores, p = arguments["scores"], arguments["p"]
    roundings = _additions(scores.shape[1], scores, arguments) + 5

    def error(t: Any) -> Any:
        with np.errstate(invalid="ignore", over="ignore"):
            of_z = gamma(3, t) * size
            of_power = of_z if p == 1 else of_z * (2 * z + of_z)
            rows = (factor * (of_power * (1 + gamma(roundings, t)) + gamma(roundings, t) * z**p)).sum(1)
            return _total(rows, arguments) + underflow(roundings, t)

    return both(scores.dtype, error)


def hinge_loss_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad factor (1 or 2 z) for violating classes, minus their sum for the label.

    Which classes violate the margin is the same in every version (differences in float64, in one order), so no slope
    appears or vanishes: 3 roundings of z on its magnitude where p is 2, then two products, two quotients, and up to
    K additions.
    """
    z, size, factor, at = _hinge(arguments)
    grad = np.abs(arguments["grad"].astype(np.float64))
    grad = np.expand_dims(grad, 1) if arguments["reduction"] == "none" else grad
    slopes, wrong = (2 * z, 2 * size) if arguments["p"] == 2 else ((z > 0).astype(np.float64), np.zeros_like(z))
    roundings = z.shape[1] + 5

    def error(t: Any) -> Any:
        with np.errstate(invalid="ignore", over="ignore"):
            of_slopes = gamma(3, t) * wrong
            each = grad * factor * (of_slopes * (1 + gamma(roundings, t)) + gamma(roundings, t) * slopes)
            np.put_along_axis(each, at, each.sum(1, keepdims=True), 1)
            return each + underflow(roundings, t)

    return both(arguments["scores"].dtype, error)


def _weighted(arguments: Mapping[str, Any]) -> float:
    """The sum of what multiplies the losses of a binary cross-entropy: how often a flushed number can count."""
    count = arguments["targets"].size
    for name in ("weight", "pos_weight"):
        if arguments.get(name) is not None:
            count *= 1 + float(arguments[name].max(initial=0))
    return count + 1


def binary_cross_entropy(arguments: Mapping[str, Any], truth: Any) -> Any:
    """w (t (-log p) + (1 - t) (-log(1 - p))), of terms that are never negative, so errors stay relative.

    A logarithm (cutting it off at -100 does not enlarge its error), 1 - t, two products, an addition; N additions and
    a quotient where the losses are reduced.
    """
    targets = arguments["targets"]
    roundings = max(LOG_ROUNDINGS, LOG1P_ROUNDINGS) + 4 + _additions(0, targets, arguments) + 1
    lost = _weighted(arguments)
    return both(targets.dtype, lambda t: gamma(roundings, t) * np.abs(truth) + lost * tiny(t))


def binary_cross_entropy_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad w (p - t) / max(p (1 - p), 1e-12): two differences, two products, a constant, a quotient; grad's quotient.

    One more for the weight; all relative.
    """
    lost = _weighted(arguments) * (1 + np.abs(arguments["grad"].astype(np.float64)).max(initial=0)) * 1e12
    return both(arguments["targets"].dtype, lambda t: gamma(8, t) * np.abs(truth) + lost * underflow(1, t))


def binary_cross_entropy_with_logits(arguments: Mapping[str, Any], truth: Any) -> Any:
    """w ((1 - t) softplus(x) + v t softplus(-x)), of terms that are never negative, so errors stay relative.

    softplus(x) = max(x, 0) + log1p(e), e = exp(-|x|): the error of e reaches log1p(e) at most as it is, relatively;
    log1p; an addition. Then 1 - t, three products, an addition; N additions and a quotient where it is reduced.
    """
    targets = arguments["targets"]
    roundings = EXP_ROUNDINGS + LOG1P_ROUNDINGS + 1 + 5 + _additions(0, targets, arguments) + 1
    lost = 2 * _weighted(arguments)
    return both(targets.dtype, lambda t: gamma(roundings, t) * np.abs(truth) + lost * tiny(t))


def binary_cross_entropy_with_logits_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad w ((1 - t) sigmoid(x) - v t sigmoid(-x)): as `sigmoid`, 1 - t, four products, a difference, a quotient."""
    x, targets = (arguments[name].astype(np.float64) for name in ("logits", "targets"))
    grad = np.abs(arguments["grad"].astype(np.float64))
    weight, positive = (1.0 if arguments[name] is None else arguments[name] for name in ("weight", "pos_weight"))
    if arguments["reduction"] == "mean":
        grad = grad / max(x.size, 1)
    with np.errstate(over="ignore"):
        magnitude = (1 - targets) / (1 + np.exp(-x)) + positive * targets / (1 + np.exp(x))
    magnitude = grad * weight * magnitude
    lost = 1 + grad * _weighted(arguments)
    roundings = SIGMOID_ROUNDINGS + 7
    return both(arguments["logits"].dtype, lambda t: gamma(roundings, t) * magnitude + lost * tiny(t))
