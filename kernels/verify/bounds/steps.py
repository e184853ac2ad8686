"""Bounds of the optimizers' steps. A number that a setting becomes in the dtype counts as one rounding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .core import both, gamma, underflow
from .exponentials import tiny


def _wide(array: Any) -> Any:
    return 0.0 if array is None else array.astype(np.float64)


def _slope(arguments: Mapping[str, Any], decay: float, t: Any) -> tuple[Any, Any, Any]:
    """(g = grad + decay p, |grad| + decay |p|, the error of g): a constant, a product and an addition."""
    grad, p = _wide(arguments["grad"]), _wide(arguments["parameter"])
    size = np.abs(grad) + decay * np.abs(p)
    return grad + decay * p, size, (gamma(3, t) * size if decay else 0 * size) + underflow(1, t)


def sgd_step(arguments: Mapping[str, Any], truth: Any) -> Any:
    """(p', v'), sums of products throughout.

    The longest way to v' is that of the decay: 3 roundings for g, an addition. From there to p': a constant, a product
    and an addition (nesterov), a constant, a product, a subtraction.
    """
    p = np.abs(_wide(arguments["parameter"]))
    rate, momentum = arguments["rate"], arguments["momentum"]

    def errors(t: Any) -> tuple[Any, Any]:
        _, size, _ = _slope(arguments, arguments["weight_decay"], t)
        kept = momentum * np.abs(_wide(arguments["velocity"])) + size
        moved = size + momentum * kept if arguments["nesterov"] else kept
        lost = underflow(4, t) * (1 + rate) * (1 + momentum)
        return gamma(10, t) * (p + rate * moved) + lost, gamma(4, t) * kept + lost

    with np.errstate(invalid="ignore"):
        return _of_each(arguments, truth, errors)


def _of_each(arguments: Mapping[str, Any], truth: Any, errors: Any) -> Any:
    """The bound of every array that comes back; `errors` gives one more where one of them is not asked for."""
    dtype = arguments["parameter"].dtype
    return tuple(both(dtype, lambda t, i=i: errors(t)[i]) for i in range(len(truth)))


def _running_mean(kept: Any, keep: float, slope: tuple[Any, Any, Any], t: Any) -> Any:
    """Of m + keep (g - m), or (1 - keep) m + keep g: a difference, a constant, a product, an addition.

    The error of g counts `keep` times.
    """
    _, size, of_slope = slope
    magnitude = np.abs(kept) + keep * (size + np.abs(kept))
    return gamma(4, t) * magnitude + keep * of_slope * (1 + gamma(4, t)) + underflow(2, t)


def _running_square(kept: Any, keep: float, slope: tuple[Any, Any, Any], t: Any) -> Any:
    """Of (1 - keep) s + keep g g: two constants, three products, an addition; g^2 is off by 2 |g| e + e^2."""
    g, _, of_slope = slope
    of_square = of_slope * (2 * np.abs(g) + of_slope)
    magnitude = (1 - keep) * kept + keep * (g * g + of_square)
    return gamma(6, t) * magnitude + keep * of_square + 3 * tiny(t)


def _root(value: Any, error: Any) -> Any:
    """How far the root of what is off by `error` is off: |sqrt a - sqrt b| is |a - b| / (sqrt a + sqrt b)."""
    with np.errstate(divide="ignore"):
        return np.minimum(np.sqrt(error), error / np.sqrt(value))


def _quotient(above: Any, of_above: Any, below: Any, of_below: Any, least: float) -> Any:
    """Of above / below, exactly divided, where what is below is computed as no less than `least`."""
    low = np.maximum(below - of_below, least)
    return of_above / low + np.abs(above) * of_below / (below * low)


def adam_step(arguments: Mapping[str, Any], truth: Any) -> Any:
    """(p', m', v', largest): m' and v' as running means; then rate / (1 - b1^t) m' / (sqrt(v') / sqrt(1 - b2^t) + eps).

    Below: a root, a constant, a quotient, another constant, an addition. Then a constant, a product, a quotient; the
    decoupled decay takes a constant, a product and an addition; a subtraction. The maximum does not enlarge an error.
    """
    p, rate, eps = np.abs(_wide(arguments["parameter"])), arguments["rate"], arguments["eps"]
    (b1, b2), step, decay = arguments["betas"], arguments["step"], arguments["weight_decay"]
    scaled, root = rate / (1 - b1**step), np.sqrt(1 - b2**step)
    decoupled = arguments["decoupled"]
    _, first, second = truth[:3]
    largest = truth[-1] if len(truth) > 3 else second

    def errors(t: Any) -> tuple[Any, ...]:
        slope = _slope(arguments, 0.0 if decoupled else decay, t)
        of_first = _running_mean(_wide(arguments["first_moment"]), 1 - b1, slope, t)
        of_second = _running_square(_wide(arguments["second_moment"]), 1 - b2, slope, t)
        below = np.sqrt(largest) / root + eps
        of_below = _root(largest, of_second) / root * (1 + gamma(5, t)) + gamma(5, t) * below
        change = scaled * np.abs(first) / below
        of_change = scaled * _quotient(first, of_first, below, of_below, eps * (1 - gamma(5, t)))
        of_change = of_change * (1 + gamma(3, t)) + gamma(3, t) * change
        whole = p + change + (rate * decay * p if decoupled else 0)
        of_p = of_change * (1 + gamma(4, t)) + gamma(4, t) * whole + underflow(4, t) * (1 + scaled / eps)
        return of_p, of_first, of_second, of_second

    with np.errstate(invalid="ignore"):
        return _of_each(arguments, truth, errors)


def rmsprop_step(arguments: Mapping[str, Any], truth: Any) -> Any:
    """(p', s', mean, velocity): s' and the mean as running means; u = g / (sqrt(s' - mean^2) + eps).

    The variance takes a product and a subtraction. Below: a root, a constant, an addition. A quotient for u. The
    velocity: a constant, a product, an addition. p': a constant, a product, a subtraction.
    """
    p, rate, eps = np.abs(_wide(arguments["parameter"])), arguments["rate"], arguments["eps"]
    keep = 1 - arguments["alpha"]
    momentum, decay = arguments["momentum"], arguments["weight_decay"]
    centered = arguments["mean_gradient"] is not None
    square, mean = truth[1], truth[2] if centered else 0.0

    def errors(t: Any) -> tuple[Any, ...]:
        slope = _slope(arguments, decay, t)
        of_square = _running_square(_wide(arguments["mean_square"]), keep, slope, t)
        spread, of_spread = square, of_square
        of_mean = 0 * square
        if centered:
            of_mean = _running_mean(_wide(arguments["mean_gradient"]), keep, slope, t)
            spread = np.maximum(square - mean * mean, 0)
            of_spread = of_square + of_mean * (2 * np.abs(mean) + of_mean)
            of_spread = of_spread * (1 + gamma(2, t)) + gamma(2, t) * (square + mean * mean)
        below = np.sqrt(spread) + eps
        of_below = _root(spread, of_spread) * (1 + gamma(3, t)) + gamma(3, t) * below
        g, _, of_slope = slope
        of_u = _quotient(g, of_slope, below, of_below, eps * (1 - gamma(3, t))) * (1 + gamma(1, t))
        kept = momentum * np.abs(_wide(arguments["velocity"])) + np.abs(g) / below
        of_kept = of_u * (1 + gamma(3, t)) + gamma(4, t) * kept + underflow(2, t)
        of_p = rate * of_kept * (1 + gamma(3, t)) + gamma(3, t) * (p + rate * kept) + underflow(2, t)
        return (of_p, of_square, *((of_mean,) if centered else ()), of_kept)

    with np.errstate(invalid="ignore"):
        return _of_each(arguments, truth, errors)
