"""Unit roundoff, Higham's gamma, and the bounds of what moves, scales and sums.

Source: Higham, "Accuracy and Stability of Numerical Algorithms" (2nd ed., 2002), chapters 3 and 4. With unit
roundoff u, a sum of n products in any order differs from the exact one by at most gamma(n) times the
sum of the products' absolute values; gamma(n) = n u / (1 - n u).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Bound = Callable[..., Any]  # (arguments, truth), and of products also the version's precision


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


def dtype_of(arguments: Mapping[str, Any]) -> np.dtype:
    """The floating-point dtype of a call."""
    return next(a.dtype for a in arguments.values() if isinstance(a, np.ndarray) and a.dtype.kind == "f")


def exact(arguments: Mapping[str, Any], truth: Any) -> Any:
    """The op moves or compares numbers and never rounds."""
    if isinstance(truth, tuple):
        return tuple(exact(arguments, part) for part in truth)
    return np.zeros(np.shape(truth))


# What a product of two rounded operands may be off by, as a share of itself. An operand rounded to p bits is off by
# 2**-p of itself at most: TF32 has 11 bits, bfloat16 8. For tf32x3, a = hi + lo + rest: |rest| <= 2**-22 |a| (the part
# below hi is at most 2**-11 of it and is itself rounded to 11 bits), and lo * lo, which is left out, is at most 2**-22.
PRODUCT_ERROR = {
    "tf32x3": 3 * 2.0**-22 * (1 + 2.0**-10),
    "tf32": 2 * 2.0**-11 + 2.0**-22,
    "bfloat16": 2 * 2.0**-8 + 2.0**-16,
}
# Tensor cores may cut off sums where others round to nearest: twice the unit roundoff (Fasi, Higham, Mikaitis &
# Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021).
TENSOR_CORE_ROUNDINGS = 2


def inner_product(depth: Callable[..., int], op: str) -> Bound:
    """Sums of `depth(**arguments)` products: gamma(depth) times the same op on absolute values.

    One rounding more is granted: the truth rounded to the dtype, or one more addition. The truth is
    itself a sum in float64, so its gamma is added. The bound takes the version's precision as a third argument: below
    float32, what the operands lose is added.
    """

    def bound(arguments: Mapping[str, Any], truth: Any, precision: str = "float32") -> Any:
        from ...registry import spec

        kernel = spec(op)
        absolute = {k: np.abs(a) if isinstance(a, np.ndarray) else a for k, a in arguments.items()}
        magnitude = kernel.load(kernel.oracle)(**absolute)
        n, dtype = depth(**arguments) + 1, dtype_of(arguments)
        if precision != "float32":
            accumulated = gamma(3 * TENSOR_CORE_ROUNDINGS * n, dtype) * magnitude + underflow(3 * n, dtype)
            return PRODUCT_ERROR[precision] * magnitude + accumulated + gamma(n, np.float64) * magnitude
        return both(dtype, lambda t: gamma(n, t) * magnitude + underflow(n, t))

    return bound


def conv_grad_input_depth(geometry: Any, **_: Any) -> int:
    """Products that one input pixel of a convolution can receive: every tap of every filter of its group.

    Replicated padding gathers the whole border into the edge, at most every output pixel a tap.
    """
    taps = geometry.out_channels // geometry.groups * geometry.kernel[0] * geometry.kernel[1]
    if geometry.padding_mode == "replicate":
        return taps * geometry.output[0] * geometry.output[1]
    return taps


def both(dtype: Any, error: Callable[[Any], Any]) -> Any:
    """The error of a version that computes in `dtype` plus that of the oracle, which computes in float64."""
    return error(dtype) + error(np.float64)


def scaled_once(arguments: Mapping[str, Any], truth: Any) -> Any:
    """A product with a constant: the constant's division and rounding, and the product (3 roundings)."""
    dtype = dtype_of(arguments)
    return both(dtype, lambda t: gamma(3, t) * np.abs(truth) + underflow(1, t))
