"""Error bounds, derived from dtype, accumulation length and algorithm. The only place that knows any.

Source: Higham, "Accuracy and Stability of Numerical Algorithms" (2nd ed., 2002), chapters 3 and 4. With unit
roundoff u, a sum of n products in any order differs from the exact one by at most gamma(n) times the
sum of the products' absolute values; gamma(n) = n u / (1 - n u).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Bound = Callable[[Mapping[str, Any], Any], Any]


def unit_roundoff(dtype: Any) -> float:
    """Half the distance from 1 to the next number: 2**-24 for float32, 2**-53 for float64."""
    return float(np.finfo(dtype).eps) / 2


def gamma(n: int, dtype: Any) -> float:
    """Higham's gamma(n) for accumulation in `dtype`."""
    nu = n * unit_roundoff(dtype)
    if nu >= 1:
        return math.inf
    return nu / (1 - nu)


def underflow(n: int, dtype: Any) -> float:
    """What n products can lose below the smallest normal number."""
    return n * float(np.finfo(dtype).smallest_subnormal)


def _dtype(arguments: Mapping[str, Any]) -> np.dtype:
    return next(a.dtype for a in arguments.values() if isinstance(a, np.ndarray) and a.dtype.kind == "f")


def exact(arguments: Mapping[str, Any], truth: Any) -> Any:
    """The op moves or compares numbers and never rounds."""
    if isinstance(truth, tuple):
        return tuple(exact(arguments, part) for part in truth)
    return np.zeros(np.shape(truth))


def inner_product(depth: Callable[..., int], op: str) -> Bound:
    """Sums of `depth(**arguments)` products: gamma(depth) times the same op on absolute values.

    One rounding more is granted: the truth rounded to the dtype, or one more addition. The truth is
    itself a sum in float64, so its gamma is added.
    """

    def bound(arguments: Mapping[str, Any], truth: Any) -> Any:
        from ..registry import spec

        kernel = spec(op)
        absolute = {k: np.abs(a) if isinstance(a, np.ndarray) else a for k, a in arguments.items()}
        magnitude = kernel.load(kernel.oracle)(**absolute)
        n, dtype = depth(**arguments) + 1, _dtype(arguments)
        return _both(dtype, lambda t: gamma(n, t) * magnitude + underflow(n, t))

    return bound


def conv_grad_input_depth(geometry: Any, **_: Any) -> int:
    """Products that one input pixel of a convolution can receive: every tap of every filter of its group.

    Replicated padding gathers the whole border into the edge, at most every output pixel a tap.
    """
    taps = geometry.out_channels // geometry.groups * geometry.kernel[0] * geometry.kernel[1]
    if geometry.padding_mode == "replicate":
        return taps * geometry.output[0] * geometry.output[1]
    return taps


def _both(dtype: Any, error: Callable[[Any], Any]) -> Any:
    """The error of a version that computes in `dtype` plus that of the oracle, which computes in float64."""
    return error(dtype) + error(np.float64)


def scaled_once(arguments: Mapping[str, Any], truth: Any) -> Any:
    """A product with a constant: the constant's division and rounding, and the product (3 roundings)."""
    dtype = _dtype(arguments)
    return _both(dtype, lambda t: gamma(3, t) * np.abs(truth) + underflow(1, t))


# NumPy's exp and log err by at most 2.52 and 3.83 units in the last place in float32 (release notes of
# NumPy 1.17) and by less in float64; a unit in the last place is at most 2 unit roundoffs.
EXP_ROUNDINGS = math.ceil(2 * 2.52)
LOG_ROUNDINGS = math.ceil(2 * 3.83)


def _relative(roundings: Any, dtype: Any) -> Any:
    """gamma of an array of (real) numbers of roundings."""
    nu = roundings * unit_roundoff(dtype)
    with np.errstate(divide="ignore"):
        return np.where(nu < 1, nu / (1 - nu), np.inf)


def _tiny(dtype: Any) -> float:
    """What is lost when a number below the smallest normal one is flushed to zero."""
    return float(np.finfo(dtype).tiny)


def _powers(x: Any, axis: int) -> tuple[Any, Any, Any, Any]:
    """Of a softmax of x: (d, s, r, roundings of s), see `softmax`. NaN and infinite rows stay NaN."""
    with np.errstate(invalid="ignore"):
        wide = x.astype(np.float64)
        d = wide - wide.max(axis, keepdims=True)
        powers = np.exp(d)
        s = powers.sum(axis, keepdims=True)
        distance = np.where(powers > 0, np.abs(d), 0)  # what has underflowed to 0 adds no error but `_tiny`
        r = distance + EXP_ROUNDINGS
        return d, s, r, (powers * r).sum(axis, keepdims=True) / s + x.shape[axis]


def softmax(arguments: Mapping[str, Any], truth: Any) -> Any:
    """y_i = e_i / s with e_i = exp(d_i), d_i = x_i - max x, s = sum e_j over K elements.

    The rounding of d_i moves e_i by |d_i| u, exp itself by EXP_ROUNDINGS u: r_i = |d_i| + EXP_ROUNDINGS
    roundings. They reach s as the mean of r_j weighted by e_j, and the K additions add K. One
    rounding for the division; the truth's own, in float64, besides.
    """
    x, axis = arguments["x"], arguments["axis"]
    _, _, r, of_s = _powers(x, axis)
    return _both(x.dtype, lambda t: _relative(r + of_s + 1, t) * np.abs(truth) + (1 + x.shape[axis]) * _tiny(t))


def softmax_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """y_i (g_i - sum_j g_j y_j): K products summed, one subtraction, one product."""
    g, y, axis = (arguments[name] for name in ("grad", "y", "axis"))
    g, y, k = np.abs(g.astype(np.float64)), np.abs(y.astype(np.float64)), y.shape[axis]
    magnitude = y * (g + (g * y).sum(axis, keepdims=True))
    lost = 1 + k * y
    return _both(arguments["y"].dtype, lambda t: gamma(k + 2, t) * magnitude + lost * underflow(1, t))


def _log_softmax(x: Any, axis: int, truth: Any, dtype: Any) -> Any:
    """See `log_softmax`; for one dtype."""
    d, s, _, of_s = _powers(x, axis)
    with np.errstate(invalid="ignore"):
        log_s = np.log(s)
        absolute = np.abs(d) + of_s + LOG_ROUNDINGS * np.abs(log_s) + np.abs(truth)
        lost = x.shape[axis] * _tiny(dtype)
        return _relative(1, dtype) * absolute / (1 - unit_roundoff(dtype) * of_s) + lost


def log_softmax(arguments: Mapping[str, Any], truth: Any) -> Any:
    """y_i = d_i - log(s), with d, s and the roundings of s as in `softmax`.

    |d_i| u from the first subtraction; a relative error of s is an absolute one of log(s), which is at
    most -log(1 - e) <= e / (1 - e); LOG_ROUNDINGS for the logarithm; |y_i| u from the last subtraction.
    """
    x, axis = arguments["x"], arguments["axis"]
    return _both(x.dtype, lambda t: _log_softmax(x, axis, truth, t))


def log_softmax_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """g_i - exp(y_i) sum_j g_j: K additions, exp, one product, one subtraction."""
    g, y, axis = (arguments[name] for name in ("grad", "y", "axis"))
    g, k = np.abs(g.astype(np.float64)), y.shape[axis]
    total = g.sum(axis, keepdims=True)
    magnitude = g + np.exp(y.astype(np.float64)) * total
    roundings = k + EXP_ROUNDINGS + 2
    return _both(arguments["y"].dtype, lambda t: gamma(roundings, t) * magnitude + (1 + total) * _tiny(t))


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
            of_log_p = np.where(counts > 0, counts * _log_softmax(logits, 1, log_p, t), 0).sum()
            of_sum = np.where(counts > 0, counts * np.abs(log_p), 0).sum()
        return (1 + gamma(roundings, t)) * of_log_p + gamma(roundings, t) * of_sum + underflow(roundings, t)

    of_loss = _both(logits.dtype, error)
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
    return _both(log_p.dtype, lambda t: gamma(roundings, t) * magnitude + lost * _tiny(t))
