"""Bounds of activations: the logistic function, the hyperbolic tangent, and GELU, made of the former or of erfc."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .core import both, gamma, underflow
from .exponentials import EXP_ROUNDINGS, relative, tiny

# NumPy's tests hold tanh to 2 units in the last place in either dtype (numpy/_core/tests/test_umath_accuracy.py with
# umath-validation-set-tanh.csv), and glibc lists 2 for its own (sysdeps/x86_64/fpu/libm-test-ulps). CUDA's is within 2
# of the rounded value, that is 2.5 of the exact one (CUDA C++ Programming Guide, mathematical functions, tanhf). A unit
# is at most 2 unit roundoffs.
TANH_ROUNDINGS = math.ceil(2 * 2.5)

# Of the logistic function from e = exp(-|x|), whose argument is exact: e moves both the numerator and 1 + e, and the
# addition and the division round once each.
SIGMOID_ROUNDINGS = 2 * EXP_ROUNDINGS + 2

# Of erfc without its argument's errors: two polynomials of degree 8 with positive coefficients by Horner's rule (2 * 8
# each), exp, a product and a quotient (Cephes, ndtr.c, which SciPy's erfc and ndtr are; its stated peak of 5.7e-14 over
# 0 .. 26.6, that is 513 roundings at 26.6^2 = 708, is mostly the rounding of the square, counted in `_normal_share`).
# CUDA's erfcf and erfc are within 4 and 5 units of the rounded value: at most 11 roundings.
ERFC_ROUNDINGS = 2 * 16 + EXP_ROUNDINGS + 2

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def sigmoid(arguments: Mapping[str, Any], truth: Any) -> Any:
    """1 / (1 + e) or e / (1 + e) with e = exp(-|x|): SIGMOID_ROUNDINGS, and `tiny` where e underflows."""
    return both(arguments["x"].dtype, lambda t: gamma(SIGMOID_ROUNDINGS, t) * np.abs(truth) + tiny(t))


def sigmoid_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad y (1 - y): one subtraction, two products."""
    lost = 1 + np.abs(arguments["grad"].astype(np.float64))
    return both(arguments["y"].dtype, lambda t: gamma(3, t) * np.abs(truth) + lost * underflow(1, t))


def tanh(arguments: Mapping[str, Any], truth: Any) -> Any:
    """TANH_ROUNDINGS; the smallest numbers may be flushed."""
    return both(arguments["x"].dtype, lambda t: gamma(TANH_ROUNDINGS, t) * np.abs(truth) + tiny(t))


def tanh_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad (1 - y) (1 + y): a subtraction, an addition, two products."""
    lost = 1 + np.abs(arguments["grad"].astype(np.float64))
    return both(arguments["y"].dtype, lambda t: gamma(4, t) * np.abs(truth) + lost * underflow(1, t))


def _normal_share(x: Any, dtype: Any) -> Any:
    """The error of Phi(x), from the tail beyond |x|, which is erfc(z) / 2 with z = |x| / sqrt 2.

    z takes 2 roundings, and erfc(z) changes by at most 2 z^2 + 1 = x^2 + 1 times a relative change of z (from
    erfc(z) > 2 / sqrt(pi) exp(-z^2) / (z + sqrt(z^2 + 2))). The rounding of z^2 moves exp(-z^2) by z^2 = x^2 / 2 more.
    ERFC_ROUNDINGS for the rest, 1 for the half. On the right the tail is subtracted from 1, with one rounding.
    """
    tail = _erfc(np.abs(x) / math.sqrt(2)) / 2
    roundings = np.where(tail > 0, 2.5 * x * x, 0) + ERFC_ROUNDINGS + 3
    return relative(roundings, dtype) * tail + np.where(x > 0, relative(1, dtype), 0) + tiny(dtype)


def _logistic(x: Any) -> tuple[Any, Any, Any]:
    """(sigmoid(v), sigmoid(v) sigmoid(-v), roundings of v times |v|) for v = 2 sqrt(2 / pi) (x + 0.044715 x^3).

    v takes 3 products and a constant, an addition, a product and a constant, all of one sign: 7 roundings. A relative
    change of v changes sigmoid(v) by |v| (1 - sigmoid(v)) times as much. What has underflowed changes no more.
    """
    v = 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    left, right = 1 / (1 + np.exp(-v)), 1 / (1 + np.exp(v))
    return left, left * right, np.where(left * right > 0, 7 * np.abs(v), 0)


def _logistic_share(x: Any, dtype: Any) -> Any:
    """The error of sigmoid(v); twice 1 - sigmoid(v), at most 1, covers how it changes on the way. See `_logistic`."""
    share, _, of_v = _logistic(x)
    return relative(of_v * np.minimum(1, 2 * (1 - share)) + SIGMOID_ROUNDINGS, dtype) * share + tiny(dtype)


def gelu(arguments: Mapping[str, Any], truth: Any) -> Any:
    """x Phi(x) or x sigmoid(v): the error of the share (`_normal_share`, `_logistic_share`) times |x|; one product."""
    x = arguments["x"].astype(np.float64)
    share = _normal_share if arguments["approximate"] == "none" else _logistic_share

    def error(t: Any) -> Any:
        with np.errstate(invalid="ignore", over="ignore"):
            return share(x, t) * np.abs(x) * (1 + gamma(1, t)) + gamma(1, t) * np.abs(truth) + tiny(t)

    return both(arguments["x"].dtype, error)


def _normal_slope(x: Any) -> tuple[Any, Any]:
    """(phi(x), its roundings): the rounding of x^2 moves exp(-x^2 / 2) by x^2 / 2; exp, a constant and its product."""
    phi = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return phi, np.where(phi > 0, x * x / 2, 0) + EXP_ROUNDINGS + 2


def _logistic_slope(x: Any) -> tuple[Any, Any]:
    """(the derivative of sigmoid(v) by x, its roundings): sigmoid(v) sigmoid(-v) 2 sqrt(2 / pi) (1 + 3 * 0.044715 x^2).

    Those of v reach the product of the two as |v| (`_logistic`); two logistic functions; the polynomial takes 3
    products with 2 constants and an addition; 2 products.
    """
    _, product, of_v = _logistic(x)
    factor = 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return np.where(product > 0, product * factor, product), of_v + 2 * SIGMOID_ROUNDINGS + 8


def gelu_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad (share + x slope): the errors of share and slope, two products and an addition.

    Before it underflows, a slope has |x| < 40 and is a number below `tiny` times a factor below 500, so |x| times the
    slope loses at most 20000 `tiny`.
    """
    x, grad = arguments["x"].astype(np.float64), np.abs(arguments["grad"].astype(np.float64))
    plain = arguments["approximate"] == "none"

    def error(t: Any) -> Any:
        with np.errstate(invalid="ignore", over="ignore"):
            of_share = (_normal_share if plain else _logistic_share)(x, t)
            slope, roundings = (_normal_slope if plain else _logistic_slope)(x)
            of_slope = relative(roundings + 1, t) * np.abs(x) * slope + 20_000 * tiny(t)
            share = _erfc(-x / math.sqrt(2)) / 2 if plain else _logistic(x)[0]
            magnitude = share + np.abs(x) * slope
            return grad * ((of_share + of_slope) * (1 + gamma(2, t)) + gamma(2, t) * magnitude) + tiny(t)

    return both(arguments["x"].dtype, error)
