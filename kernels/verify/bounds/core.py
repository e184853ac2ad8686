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
# 2**-p of itself at most: TF32 has 11 bits, bfloat16 8. For tf32x3, a = high + low + rest: |rest| <= 2**-22 |a| (the
# part below high is at most 2**-11 of it and is itself rounded to 11 bits), and low * low, which is left out, is at
# most 2**-22.
PRODUCT_ERROR = {
    "tf32x3": 3 * 2.0**-22 * (1 + 2.0**-10),
    "tf32": 2 * 2.0**-11 + 2.0**-22,
    "bfloat16": 2 * 2.0**-8 + 2.0**-16,
}
# What an operand may be off by besides where it, or its low part, is below the smallest normal number, 2**-126: half
# the distance of subnormal numbers with 10 and with 7 bits of fraction. It counts times the other operand.
SUBNORMAL_ERROR = {"tf32x3": 2.0**-137, "tf32": 2.0**-137, "bfloat16": 2.0**-134}


def tensor_core_sums(n: int, dtype: Any, precision: str) -> float:
    """What sums of n products on tensor cores may be off by, as a share of the sum M of the products' absolute values.

    Tensor cores add up blocks of at least 4 products and what they had: they shift these 5 to the largest exponent and
    cut off what lies below 24 bits, then cut the sum off; 6 cuts, each at most 2**-23 M = 2 u M (Fasi, Higham,
    Mikaitis & Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021). In tf32 and bfloat16 that is 6 ceil(n / 4)
    cuts, at most 3 u (n + 3) M; parts of a long sum and a bias are added with n u M at most. In tf32x3, tensor cores
    sum 8 products at a time, from 0 on: 2 blocks for the products of high parts, and 4 for products 2**-11 as large,
    together less than 13 cuts of their own M; all that follows is rounded as in float32, fewer than n times.
    """
    u = unit_roundoff(dtype)
    return gamma(n, dtype) + 26 * u if precision == "tf32x3" else gamma(4 * (n + 3), dtype)


def inner_product(depth: Callable[..., int], op: str) -> Bound:
    """Sums of `depth(**arguments)` products: gamma(depth) times the same op on absolute values.

    One rounding more is granted: the truth rounded to the dtype, or one more addition. The truth is
    itself a sum in float64, so its gamma is added. The bound takes the version's precision as a third argument: below
    float32, what the operands and the tensor cores' sums lose is added. Operands that round to infinity (from
    2**128 (1 - 2**-12) on in TF32) are beyond it.
    """

    def bound(arguments: Mapping[str, Any], truth: Any, precision: str = "float32") -> Any:
        from ...registry import LENT, spec

        kernel = spec(op)
        known = {k: a for k, a in arguments.items() if k not in LENT}
        absolute = {k: np.abs(a) if isinstance(a, np.ndarray) else a for k, a in known.items()}
        magnitude = kernel.load(kernel.oracle)(**absolute)
        n, dtype = depth(**arguments) + 1, dtype_of(arguments)
        if precision != "float32":
            lost = PRODUCT_ERROR[precision]
            share = lost + tensor_core_sums(n, dtype, precision) * (1 + lost)
            largest = [a[np.isfinite(a)].max(initial=0) for a in absolute.values() if isinstance(a, np.ndarray)]
            tiny = n * SUBNORMAL_ERROR[precision] * float(sum(largest)) + underflow(3 * n, dtype)
            return share * magnitude + tiny + gamma(n, np.float64) * magnitude
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
