"""Whole numbers: small ones are exact in every format a version may compute in, so its answers must be, to the bit.

Their products add up below 2**24 in any order, and factors and divisors are powers of two. What rounding would hide,
one product too many or a tap too few, cannot hide here. Source: CUTLASS verifies its kernels so.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...geometry import adaptive_windows
from ...registry import KernelSpec, Version
from ..agreement import Call
from ..truth import each, truth
from .ask import Ask, same
from .calls import integers


def _with(**settings: object) -> Callable[[Call], Call | None]:
    return lambda call: integers(call, **settings)


def _adaptive(call: Call) -> Call | None:
    """Only where every bin holds a power of two of pixels: other divisions round."""
    sizes = call["x"].shape[2:] if "x" in call else call["x_shape"][2:]
    bins = call["output_size"] if "x" in call else call["grad"].shape[2:]
    for size, count in zip(sizes, bins, strict=True):
        if any((stop - start) & (stop - start - 1) for start, stop in adaptive_windows(size, count)):
            return None
    return integers(call)


def _hinge(call: Call) -> Call | None:
    """Losses are divided by the number of classes."""
    classes, weight = call["scores"].shape[1], call["class_weight"]
    if classes & (classes - 1):
        return None
    made = integers(call, margin=1, reduction="sum", grad=np.array(2, call["scores"].dtype))
    return {**made, "class_weight": None if weight is None else np.abs(made["class_weight"])}


def _step(call: Call) -> Call:
    return integers(call, rate=0.5, momentum=0.5 if call["momentum"] else 0.0, weight_decay=0.25)


# How a call of each op that can be exact is made so; None where this one cannot.
EXACT: dict[str, Callable[[Call], Call | None]] = {
    **dict.fromkeys(
        (
            "conv2d", "conv2d.grad_input", "conv2d.grad_weight", "conv2d.grad_bias",
            "linear", "linear.grad_input", "linear.grad_weight", "linear.grad_bias",
            "max_pool2d", "max_pool2d.grad_input", "pad.grad_input",
            "relu", "relu.grad_input", "concat", "concat.grad_input", "flatten", "flatten.grad_input",
        ),
        integers,
    ),
    **dict.fromkeys(("avg_pool2d", "avg_pool2d.grad_input"), _with(divisor_override=4)),
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_avg_pool2d.grad_input"), _adaptive),
    "pad": _with(value=0.5),
    **dict.fromkeys(("leaky_relu", "leaky_relu.grad_input"), _with(negative_slope=-0.5)),
    **dict.fromkeys(("dropout", "dropout.grad_input"), _with(p=0.5)),
    **dict.fromkeys(("hinge_loss", "hinge_loss.grad_input"), _hinge),
    "sgd_step": _step,
}  # fmt: skip


def exact(kernel: KernelSpec, version: Version, call: Call) -> float | None:
    """0 where the version's answers on whole numbers are the oracle's; None where op or version cannot be exact."""
    made = EXACT[kernel.name](call) if kernel.name in EXACT and version.exact else None
    if made is None:
        return None
    truths = each(truth(kernel, made))
    return same(Ask(kernel, version)(made), truths, (0,) * len(truths))
