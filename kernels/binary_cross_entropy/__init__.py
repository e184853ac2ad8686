"""Binary cross-entropy of probabilities with targets, as torch.nn.functional.binary_cross_entropy computes it.

    loss_i = -w_i (t_i log p_i + (1 - t_i) log(1 - p_i)),  logarithms no lower than -100

`forward(probabilities, targets, weight, reduction)`: both of any one shape, from 0 to 1; weight (None: 1) broadcasts to
that shape -> the losses for reduction="none", their "sum" (), or their "mean" (), that is divided by their number
whatever the weights, and NaN over nothing. `grad_input(grad, probabilities, targets, weight, reduction)`:
w (p - t) / max(p (1 - p), 1e-12) times grad (1e-12 rounded to float32 in either dtype, as PyTorch has it).

Logits, where they are to be had, keep more digits: see binary_cross_entropy_with_logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..losses import check_broadcasts, check_loss_grad, check_range, check_reduction
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray

LOWEST_LOG = -100.0
LEAST_VARIANCE = float(np.float32(1e-12))  # of p (1 - p) in the gradient; PyTorch's constant is a float32


def check_targets(op: str, name: str, predicted: Array, targets: Array, weights: Mapping[str, Array | None]) -> None:
    """Raises unless targets lie from 0 to 1, one for each of `predicted`, and no weight is negative."""
    check_floats(op, **{name: predicted}, targets=targets, **weights)
    check_shape(op, "targets", targets, predicted.shape, f"one for each of {name}")
    check_range(op, "targets", targets, 1)
    for role, weight in weights.items():
        check_broadcasts(op, role, weight, name, predicted.shape)
        check_range(op, role, weight)


def _check_forward(probabilities: Array, targets: Array, weight: Array | None = None, reduction: str = "mean") -> None:
    op = "binary_cross_entropy"
    check_targets(op, "probabilities", probabilities, targets, {"weight": weight})
    check_range(op, "probabilities", probabilities, 1)
    check_reduction(op, reduction)


def _check_grad_input(
    grad: Array, probabilities: Array, targets: Array, weight: Array | None = None, reduction: str = "mean"
) -> None:
    op = "binary_cross_entropy.grad_input"
    check_floats(op, grad=grad, probabilities=probabilities)
    check_targets(op, "probabilities", probabilities, targets, {"weight": weight})
    check_range(op, "probabilities", probabilities, 1)
    check_reduction(op, reduction)
    check_loss_grad(op, grad, reduction, probabilities.shape)


def _dummies(
    dtype: np.dtype, x_shape: tuple[int, ...], weight: bool = False, reduction: str = "mean"
) -> Mapping[str, Any]:
    x = dummy(x_shape, dtype)
    return {
        "probabilities": x,
        "targets": x,
        "grad": x if reduction == "none" else dummy((), dtype),
        "weight": x if weight else None,
        "reduction": reduction,
    }


forward = KernelSpec(
    name="binary_cross_entropy",
    package=__name__,
    check=_check_forward,
    cost=lambda probabilities, **_: Cost(8 * probabilities.size, 2 * probabilities.nbytes),
    bound=bounds.binary_cross_entropy,
    dummies=_dummies,
    versions=(
        Version("reference.logarithms", "reference:forward"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="binary_cross_entropy.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda probabilities, **_: Cost(6 * probabilities.size, 3 * probabilities.nbytes),
    bound=bounds.binary_cross_entropy_grad,
    dummies=_dummies,
    versions=(
        Version("reference.quotient", "reference:grad_input"),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
