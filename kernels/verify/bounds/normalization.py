"""Bounds of normalizations: over the batch, and over neighbouring channels.

Two facts are used throughout. A sum of numbers of one sign, each with a factor (1 + d)^(+-1) of at most n
roundings, has one itself (Higham 2002, lemma 3.1 and section 3.1). And of such a factor f, f**p is one of at most
ceil(n |p|) roundings, because (1 - u)^(n |p|) >= (1 - u)^ceil(n |p|).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .core import both, gamma, underflow
from .exponentials import relative

# 1 / sqrt(var + eps): half of the addition's rounding, the root, the division; and a weight's product with it.
INVERSE_ROUNDINGS = 3
SCALE_ROUNDINGS = INVERSE_ROUNDINGS + 1

# NumPy's powers err by at most 4 units in the last place (github.com/numpy/numpy/pull/19478, which brought the
# vectorized ones), the C library's by less; CUDA's powf is within 4 of the rounded value, that is 4.5 of the exact one
# (CUDA C++ Programming Guide, mathematical functions). A unit in the last place is at most 2 unit roundoffs.
POWER_ROUNDINGS = 9


def _wide(array: Any) -> Any:
    return np.abs(array.astype(np.float64))


def _along(channel: Any, x: Any) -> Any:
    """One value a channel, in a shape that broadcasts against x."""
    return channel.reshape(-1, *(1 for _ in x.shape[2:]))


def _over(x: Any) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _inverse_std(arguments: Mapping[str, Any], x: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _along(1 / np.sqrt(arguments["var"].astype(np.float64) + arguments["eps"]), x)


def _scale(arguments: Mapping[str, Any], x: Any) -> Any:
    weight = arguments["weight"]
    return _inverse_std(arguments, x) * (1 if weight is None else _along(_wide(weight), x))


def _distance(arguments: Mapping[str, Any]) -> Any:
    """|x - mean|, of the numbers as they are given."""
    x = arguments["x"]
    with np.errstate(invalid="ignore"):
        return np.abs(x.astype(np.float64) - _along(arguments["mean"].astype(np.float64), x))


def batch_statistics(arguments: Mapping[str, Any], truth: Any) -> Any:
    """(mean, var) of M values in any order, the variance about the mean or in blocks about means of their own.

    Mean: M additions, a division, a rounding to the dtype: gamma(M + 2) mean |x|. The same holds of the mean m_b of
    any block of values, with its own mean |x|; weighted by block sizes, the squares of these errors e_b average to
    at most D^2, D = gamma(M + 2) sqrt(mean x^2), and so does e^2 of the whole mean.

    Variance, exactly: mean (x - m_b)^2 + mean (m_b - m)^2 (each block weighted by its size). About m_b + e_b the
    first is mean e_b^2 <= D^2 too large. The second becomes the mean of ((m_b - m) + (e_b - e))^2, off by at most
    2 sqrt(var) 2 D + (2 D)^2 by Cauchy and Schwarz. Together 4 sqrt(var) D + 5 D^2. (In one block only e^2 is left:
    the two-pass algorithm.) Every term is a square of a difference (3 roundings), sums and weights of them add
    M + 4: gamma(M + 7) of the whole. Mean of squares less square of the mean would err by gamma(M) mean x^2,
    which is sqrt(mean x^2) / (4 sqrt(var)) times as much.

    Chan, Golub & LeVeque, "Algorithms for computing the sample variance: analysis and recommendations" (1983).
    """
    x = arguments["x"]
    axes = _over(x)
    count = int(np.prod([x.shape[axis] for axis in axes]))
    with np.errstate(invalid="ignore", over="ignore"):
        mean_size = _wide(x).mean(axes)
        root_mean_square = np.sqrt(np.square(_wide(x)).mean(axes))
        _, var = truth

        def of_mean(t: Any) -> Any:
            return gamma(count + 2, t) * mean_size + underflow(count, t)

        def of_var(t: Any) -> Any:
            d = gamma(count + 2, t) * root_mean_square + underflow(count, t)
            moved = 4 * np.sqrt(var) * d + 5 * d * d
            return moved + gamma(count + 7, t) * (var + moved) + underflow(count, t)

        return both(x.dtype, of_mean), both(x.dtype, of_var)


def batch_norm(arguments: Mapping[str, Any], truth: Any) -> Any:
    """(x - mean) scale + bias: a subtraction, the scale's own, its rounding, a product, an addition."""
    x, bias = arguments["x"], arguments["bias"]
    roundings = SCALE_ROUNDINGS + 4
    with np.errstate(invalid="ignore"):
        distance = _distance(arguments)
        magnitude = distance * _scale(arguments, x) + (0 if bias is None else _along(_wide(bias), x))
        return both(x.dtype, lambda t: gamma(roundings, t) * magnitude + (2 + distance) * underflow(1, t))


def batch_norm_grad_affine(arguments: Mapping[str, Any], truth: Any) -> Any:
    """sum of grad (x - mean) / sqrt(var + eps), and of grad, over M values each.

    A subtraction, two products and the inverse, M additions, a rounding to the dtype; the second, additions alone.
    """
    grad, x = _wide(arguments["grad"]), arguments["x"]
    axes = _over(x)
    count = int(np.prod([x.shape[axis] for axis in axes]))
    inverse = _inverse_std(arguments, x)
    products = (grad * _distance(arguments) * inverse).sum(axes)
    sums = grad.sum(axes)
    lost = count * (1 + inverse.reshape(x.shape[1])) + sums
    roundings = count + INVERSE_ROUNDINGS + 4
    return (
        both(x.dtype, lambda t: gamma(roundings, t) * products + lost * underflow(1, t)),
        both(x.dtype, lambda t: gamma(count + 1, t) * sums),
    )


def batch_norm_grad_input(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad scale: the scale's own roundings, its rounding to the dtype, a product."""
    grad = _wide(arguments["grad"])
    magnitude = grad * _scale(arguments, grad)
    return both(
        arguments["grad"].dtype,
        lambda t: gamma(SCALE_ROUNDINGS + 2, t) * magnitude + (1 + grad) * underflow(1, t),
    )


def batch_norm_grad_input_training(arguments: Mapping[str, Any], truth: Any) -> Any:
    """(grad - grad_bias / M - x' grad_weight / M) scale, with x' = (x - mean) / sqrt(var + eps).

    The last term has most: a subtraction, the inverse, two products and a division, a rounding of what is
    worked out once a channel; then two subtractions, the scale with its rounding, a product.
    """
    x = arguments["x"]
    count = max(int(np.prod([x.shape[axis] for axis in _over(x)])), 1)
    scale = _scale(arguments, x)
    distance = _distance(arguments)
    slope = _inverse_std(arguments, x) * _along(_wide(arguments["grad_weight"]), x) / count
    taken = _wide(arguments["grad"]) + _along(_wide(arguments["grad_bias"]), x) / count + distance * slope
    roundings = (1 + INVERSE_ROUNDINGS + 4) + 2 + SCALE_ROUNDINGS + 2
    lost = 1 + scale * (2 + distance) + taken
    return both(x.dtype, lambda t: gamma(roundings, t) * taken * scale + lost * underflow(1, t))


def _neighbours(values: Any, before: int, after: int) -> Any:
    """Sums over channels c - before ... c + after of an array (N, C, H, W)."""
    sums = np.zeros(values.shape)
    channels = values.shape[1]
    for c in range(channels):
        sums[:, c] = values[:, max(c - before, 0) : min(c + after + 1, channels)].sum(1)
    return sums


def _denominator(arguments: Mapping[str, Any]) -> tuple[Any, int]:
    """d = k + alpha / size * sum of squares, and its roundings.

    No term is negative: a square, an addition a neighbour, alpha / size and its rounding to the dtype, a product,
    k's rounding and its addition.
    """
    size = arguments["size"]
    squares = np.square(_wide(arguments["x"]))
    d = arguments["k"] + arguments["alpha"] / size * _neighbours(squares, size // 2, (size - 1) // 2)
    return d, min(size, arguments["x"].shape[1]) + 6


def _power(arguments: Mapping[str, Any]) -> tuple[Any, int, Any]:
    """d, its roundings n, and those of d**beta.

    ceil(beta n) from d, the power's own, and |log d| beta because beta is itself rounded to the dtype.
    """
    d, of_d = _denominator(arguments)
    beta = arguments["beta"]
    logarithm = np.where(np.isfinite(d) & (d > 0), np.abs(np.log(d)), 0)
    return d, of_d, math.ceil(beta * of_d) + POWER_ROUNDINGS + np.ceil(beta * logarithm)


def local_response_norm(arguments: Mapping[str, Any], truth: Any) -> Any:
    """x / d**beta: the power, and a division (or an inverse and a product)."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        _, _, of_power = _power(arguments)
        return both(arguments["x"].dtype, lambda t: relative(of_power + 2, t) * np.abs(truth) + underflow(2, t))


def local_response_norm_grad(arguments: Mapping[str, Any], truth: Any) -> Any:
    """grad_i d_i**-beta - 2 alpha / size beta x_i sum over windows j that hold i of grad_j x_j d_j**-beta / d_j.

    First term: the power, an inverse, a product. In the sum: the power and its inverse, d, three products or
    divisions, an addition a term; then the constant (3 and its rounding), two products. One subtraction.
    """
    x, size, beta = arguments["x"], arguments["size"], arguments["beta"]
    grad, wide = _wide(arguments["grad"]), _wide(x)
    d, of_d, of_power = _power(arguments)
    power = d**-beta
    constant = 2 * arguments["alpha"] / size * beta
    shared = grad * wide * power / d
    after, before = size // 2, (size - 1) // 2
    taps = min(size, x.shape[1])

    def error(t: Any) -> Any:
        first = relative(of_power + 3, t) * grad * power
        in_sum = _neighbours(relative(of_power + of_d + taps + 11, t) * shared, before, after)
        rest = constant * wide
        lost = 2 + rest + taps * rest * (2 + (1 / d).max(initial=0))
        return first + rest * in_sum + lost * underflow(1, t)

    return both(x.dtype, error)
