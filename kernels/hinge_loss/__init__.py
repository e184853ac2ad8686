"""The multi-class hinge loss, as torch.nn.functional.multi_margin_loss computes it.

With the margin m, K classes, and class weights v (1 each unless given), row n has the loss

    v[label_n] / K  sum over k other than label_n of max(0, m - scores[n, label_n] + scores[n, k])^p

`forward(scores, labels, margin, p, class_weight, reduction)`: scores (N, K), labels (N,) integers, p 1 or 2,
class_weight (K,) or None -> the losses (N,) for reduction="none", their "sum" (), or their "mean" (), that is divided
by N whatever the weights, and NaN over nothing. `grad_input(grad, scores, labels, …)` takes the same arguments.

Differences of scores are formed in float64, in the order written above, so every version agrees on which classes
violate the margin; at the margin itself the slope is 0. NaN propagates (PyTorch's loop counts a NaN score as no
violation, and so hides it).

Source: Weston & Watkins, "Support Vector Machines for Multi-Class Pattern Recognition" (1999), whose loss sums over the
classes; that of Crammer & Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines"
(2001), takes the largest violation alone.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ..losses import check_class_weight, check_labels, check_loss_grad, check_reduction
from ..registry import Cost, KernelSpec, Version, check_floats, dummy
from ..verify import bounds

Array = np.ndarray


def _check(
    op: str, scores: Array, labels: Array, margin: Any, p: Any, class_weight: Array | None, reduction: str
) -> None:
    check_floats(op, scores=scores, class_weight=class_weight)
    if scores.ndim != 2 or scores.shape[1] < 1:
        raise ShapeError(f"{op}: scores must have shape (N, classes); got {tuple(scores.shape)}")
    check_labels(op, "scores", labels, scores.shape)
    check_class_weight(op, class_weight, scores.shape[1])
    if not isinstance(margin, numbers.Real) or not math.isfinite(margin):
        raise ArgumentError(f"{op}: margin must be a finite number; got {margin!r}")
    if p not in (1, 2):
        raise ArgumentError(f"{op}: p must be 1 or 2; got {p!r}")
    check_reduction(op, reduction)


def _check_forward(
    scores: Array,
    labels: Array,
    margin: float = 1.0,
    p: int = 1,
    class_weight: Array | None = None,
    reduction: str = "mean",
) -> None:
    _check("hinge_loss", scores, labels, margin, p, class_weight, reduction)


def _check_grad_input(
    grad: Array,
    scores: Array,
    labels: Array,
    margin: float = 1.0,
    p: int = 1,
    class_weight: Array | None = None,
    reduction: str = "mean",
) -> None:
    op = "hinge_loss.grad_input"
    check_floats(op, grad=grad, scores=scores)
    _check(op, scores, labels, margin, p, class_weight, reduction)
    check_loss_grad(op, grad, reduction, scores.shape[:1])


def _dummies(
    dtype: np.dtype, x_shape: tuple[int, int], class_weight: bool = False, reduction: str = "mean"
) -> Mapping[str, Any]:
    return {
        "scores": dummy(x_shape, dtype),
        "grad": dummy(x_shape[:1] if reduction == "none" else (), dtype),
        "labels": dummy(x_shape[:1], np.dtype(np.int64)),
        "margin": 1.0,
        "p": 1,
        "class_weight": dummy(x_shape[1:], dtype) if class_weight else None,
        "reduction": reduction,
    }


forward = KernelSpec(
    name="hinge_loss",
    package=__name__,
    check=_check_forward,
    cost=lambda scores, **_: Cost(4 * scores.size, scores.nbytes),
    bound=bounds.hinge_loss,
    dummies=_dummies,
    versions=(
        Version("reference.margins", "reference:forward"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="hinge_loss.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda scores, **_: Cost(6 * scores.size, 2 * scores.nbytes),
    bound=bounds.hinge_loss_grad,
    dummies=_dummies,
    versions=(
        Version("reference.margins", "reference:grad_input"),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
