"""Binary cross-entropy of logits with targets, as PyTorch's function of the same name computes it.

With softplus(x) = log(1 + exp(x)) = -log(sigmoid(-x)) = max(x, 0) + log1p(exp(-|x|)),

    loss_i = w_i ((1 - t_i) softplus(x_i) + v_i t_i softplus(-x_i))

whose terms are never negative, so nothing overflows and nothing cancels.

`forward(logits, targets, weight, pos_weight, reduction)`: logits of any shape, targets of the same from 0 to 1; weight
w and pos_weight v (None: 1) broadcast to that shape -> the losses for reduction="none", their "sum" (), or their "mean"
(), that is divided by their number whatever the weights, and NaN over nothing. `grad_input(grad, logits, targets,
weight, pos_weight, reduction)`: w ((1 - t) sigmoid(x) - v t sigmoid(-x)) times grad. NaN propagates. An infinite logit
gives inf where it is wrong and NaN where it is right (0 times inf), as in PyTorch, whose form however makes NaN of
every -inf.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..binary_cross_entropy import check_targets
from ..losses import check_loss_grad, check_reduction
from ..registry import Cost, KernelSpec, Version, check_floats, dummy
from ..verify import bounds

Array = np.ndarray


def _check_forward(
    logits: Array,
    targets: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: str = "mean",
) -> None:
    op = "binary_cross_entropy_with_logits"
    check_targets(op, "logits", logits, targets, {"weight": weight, "pos_weight": pos_weight})
    check_reduction(op, reduction)


def _check_grad_input(
    grad: Array,
    logits: Array,
    targets: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: str = "mean",
) -> None:
    op = "binary_cross_entropy_with_logits.grad_input"
    check_floats(op, grad=grad, logits=logits)
    check_targets(op, "logits", logits, targets, {"weight": weight, "pos_weight": pos_weight})
    check_reduction(op, reduction)
    check_loss_grad(op, grad, reduction, logits.shape)


def _dummies(
    dtype: np.dtype, x_shape: tuple[int, ...], weight: bool = False, pos_weight: bool = False, reduction: str = "mean"
) -> Mapping[str, Any]:
    x = dummy(x_shape, dtype)
    return {
        "logits": x,
        "targets": x,
        "grad": x if reduction == "none" else dummy((), dtype),
        "weight": x if weight else None,
        "pos_weight": x if pos_weight else None,
        "reduction": reduction,
    }


forward = KernelSpec(
    name="binary_cross_entropy_with_logits",
    package=__name__,
    check=_check_forward,
    cost=lambda logits, **_: Cost(10 * logits.size, 2 * logits.nbytes),
    bound=bounds.binary_cross_entropy_with_logits,
    dummies=_dummies,
    versions=(
        Version("reference.softplus", "reference:forward"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="binary_cross_entropy_with_logits.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda logits, **_: Cost(12 * logits.size, 3 * logits.nbytes),
    bound=bounds.binary_cross_entropy_with_logits_grad,
    dummies=_dummies,
    versions=(
        Version("reference.sigmoid", "reference:grad_input"),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
