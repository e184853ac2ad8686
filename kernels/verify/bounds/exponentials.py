"""Bounds of what takes exponentials and logarithms: softmax and its kin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .core import both, gamma, underflow, unit_roundoff

# NumPy's exp and log err by at most 2.52 and 3.83 units in the last place in float32 (release notes of
# NumPy 1.17) and by less in float64; a unit in the last place is at most 2 unit roundoffs. CUDA's are within 2 and 1 of
# the rounded value, that is 2.5 and 1.5 of the exact one (CUDA C++ Programming Guide, mathematical functions).
EXP_ROUNDINGS = math.ceil(2 * 2.52)
LOG_ROUNDINGS = math.ceil(2 * 3.83)
# Its tests hold log1p to 2 units in either dtype (numpy/_core/tests/test_umath_accuracy.py with
# umath-validation-set-log1p.csv), and glibc lists 1 for its own (sysdeps/x86_64/fpu/libm-test-ulps); CUDA's
# is within 1.5 of the exact value.
LOG1P_ROUNDINGS = 4


def relative(roundings: Any, dtype: Any) -> Any:
    """gamma of an array of (real) numbers of roundings."""
    nu = roundings * unit_roundoff(dtype)
    with np.errstate(divide="ignore"):
        return np.where(nu < 1, nu / (1 - nu), np.inf)


def tiny(dtype: Any) -> float:
    """What is lost when a number below the smallest normal one is flushed to zero."""
    return float(np.finfo(dtype).tiny)


def row_length(x: Any, axis: Any) -> int:
    """How many elements of x share a row along `axis`, an int or several."""
    return math.prod(x.shape[a] for a in (axis if isinstance(axis, tuple) else (axis,)))


def row_powers(x: Any, axis: Any) -> tuple[Any, Any, Any, Any]:
    """Of a softmax of x: (d, s, r, roundings of s), see `softmax`. NaN and infinite rows stay NaN."""
    with np.errstate(invalid="ignore"):
        wide = x.astype(np.float64)
        d = wide - wide.max(axis, keepdims=True, initial=-np.inf)
        powers = np.exp(d)
        s = powers.sum(axis, keepdims=True)
        distance = np.where(powers > 0, np.abs(d), 0)  # what has underflowed to 0 adds no error but `tiny`
        r = distance + EXP_ROUNDINGS
        return d, s, r, (powers * r).sum(axis, keepdims=True) / s + row_length(x, axis)


def softmax(arguments: Mapping[str, Any], truth: Any) -> Any:
    """y_i = e_i / s with e_i = exp(d_i), d_i = x_i - max x, s = sum e_j over K elements.

    The rounding of d_i moves e_i by |d_i| u, exp itself by EXP_ROUNDINGS u: r_i = |d_i| + EXP_ROUNDINGS
    roundings. They reach s as the mean of r_j weighted by e_j, and the K additions add K. One
    rounding for the division; the truth's own, in float64, besides.
    """
    x, axis = arguments["x"], arguments["axis"]
    _, _, r, of_s = row_powers(x, axis)
    return both(x.dtype, lambda t: relative(r + of_s + 1, t) * np.abs(truth) + (1 + x.shape[axis]) * tiny(t))


def softmax_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """y_i (g_i - sum_j g_j y_j): K products summed, one subtraction, one product."""
    g, y, axis = (arguments[name] for name in ("grad", "y", "axis"))
    g, y, k = np.abs(g.astype(np.float64)), np.abs(y.astype(np.float64)), y.shape[axis]
    magnitude = y * (g + (g * y).sum(axis, keepdims=True))
    lost = 1 + k * y
    return both(arguments["y"].dtype, lambda t: gamma(k + 2, t) * magnitude + lost * underflow(1, t))


def log_softmax_error(x: Any, axis: int, truth: Any, dtype: Any) -> Any:
    """See `log_softmax`; for one dtype."""
    d, s, _, of_s = row_powers(x, axis)
    with np.errstate(invalid="ignore"):
        log_s = np.log(s)
        absolute = np.abs(d) + of_s + LOG_ROUNDINGS * np.abs(log_s) + np.abs(truth)
        lost = x.shape[axis] * tiny(dtype)
        return relative(1, dtype) * absolute / (1 - unit_roundoff(dtype) * of_s) + lost


def log_softmax(arguments: Mapping[str, Any], truth: Any) -> Any:
    """y_i = d_i - log(s), with d, s and the roundings of s as in `softmax`.

    |d_i| u from the first subtraction; a relative error of s is an absolute one of log(s), which is at
    most -log(1 - e) <= e / (1 - e); LOG_ROUNDINGS for the logarithm; |y_i| u from the last subtraction.
    """
    x, axis = arguments["x"], arguments["axis"]
    return both(x.dtype, lambda t: log_softmax_error(x, axis, truth, t))


def log_softmax_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """g_i - exp(y_i) sum_j g_j: K additions, exp, one product, one subtraction."""
    g, y, axis = (arguments[name] for name in ("grad", "y", "axis"))
    g, k = np.abs(g.astype(np.float64)), y.shape[axis]
    total = g.sum(axis, keepdims=True)
    magnitude = g + np.exp(y.astype(np.float64)) * total
    roundings = k + EXP_ROUNDINGS + 2
    return both(arguments["y"].dtype, lambda t: gamma(roundings, t) * magnitude + (1 + total) * tiny(t))


def logsumexp(arguments: Mapping[str, Any], truth: Any) -> Any:
    """y = max x + log(s), with s and its roundings as in `softmax`.

    A relative error of s is an absolute one of log(s), as in `log_softmax`; LOG_ROUNDINGS for the logarithm, and
    |y| u for the addition.
    """
    x, axis = arguments["x"], arguments["axis"]
    _, s, _, of_s = row_powers(x, axis)
    s, of_s = s.reshape(truth.shape), of_s.reshape(truth.shape)

    def error(t: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            roundings = of_s + LOG_ROUNDINGS * np.abs(np.log(s)) + np.abs(truth)
            return relative(1, t) * roundings / (1 - unit_roundoff(t) * of_s) + row_length(x, axis) * tiny(t)

    return both(x.dtype, error)


def logsumexp_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad exp(x - y): the subtraction's rounding moves the exponential by |x - y|; exp; one product."""
    x, y, axis = (arguments[name] for name in ("x", "y", "axis"))
    if not arguments["keepdims"]:
        y = np.expand_dims(y, axis)
    with np.errstate(invalid="ignore"):
        d = np.where(truth == 0, 0, np.abs(x.astype(np.float64) - y))  # what has underflowed adds no error but `tiny`
    grad = np.abs(arguments["grad"].astype(np.float64).reshape(y.shape))
    return both(x.dtype, lambda t: relative(d + EXP_ROUNDINGS + 1, t) * np.abs(truth) + (1 + grad) * tiny(t))
