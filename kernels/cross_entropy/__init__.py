"""Cross-entropy of logits with integer labels, averaged as torch.nn.functional.cross_entropy averages.

With log-probabilities l = log_softmax(logits), class weights v (1 each unless given), smoothing e and
K classes, the loss is

    sum_n [ (1 - e) v[label_n] (-l[n, label_n]) + e / K sum_k v[k] (-l[n, k]) ]  /  sum_n v[label_n]

`forward(logits, labels, class_weight, label_smoothing)`: logits (N, K), labels (N,) integers,
class_weight (K,) or None -> (loss (), log_probabilities (N, K)); the latter is what
`grad_input(grad, log_probabilities, labels, class_weight, label_smoothing)` needs. The mean over no
picture, or over pictures that all weigh 0, is NaN.

Label smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, check_share, dummy
from ..verify import bounds

Array = np.ndarray


def _check_labels(op: str, labels: Array, shape: tuple[int, int], class_weight: Array | None, smoothing: float) -> None:
    n, classes = shape
    if labels.dtype.kind not in "iu":
        raise ShapeError(f"{op}: labels must be integers, one class index a picture; got dtype {labels.dtype}")
    check_shape(op, "labels", labels, (n,), f"one for each row of logits of shape {tuple(shape)}")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        at = int(wrong[0])
        raise ShapeError(
            f"{op}: label {int(labels[at])} of picture {at} is outside 0 .. {classes - 1}, since logits of shape "
            f"{tuple(shape)} know {classes} classes; check the labels or the size of the last layer"
        )
    if class_weight is not None:
        check_shape(op, "class_weight", class_weight, (classes,), "one for each class")
        if not (class_weight >= 0).all():
            at = int(np.flatnonzero(~(class_weight >= 0))[0])
            raise ArgumentError(f"{op}: class_weight must not be negative; class {at} has {class_weight[at]}")
    check_share(op, "label_smoothing", smoothing)


def _check_logits(op: str, name: str, logits: Array) -> None:
    if logits.ndim != 2 or logits.shape[1] < 1:
        raise ShapeError(f"{op}: {name} must have shape (N, classes); got {tuple(logits.shape)}")


def _check_forward(logits: Array, labels: Array, class_weight: Array | None, label_smoothing: float) -> None:
    op = "cross_entropy"
    check_floats(op, logits=logits, class_weight=class_weight)
    _check_logits(op, "logits", logits)
    _check_labels(op, labels, logits.shape, class_weight, label_smoothing)


def _check_grad_input(
    grad: Array, log_probabilities: Array, labels: Array, class_weight: Array | None, label_smoothing: float
) -> None:
    op = "cross_entropy.grad_input"
    check_floats(op, grad=grad, log_probabilities=log_probabilities, class_weight=class_weight)
    check_shape(op, "grad", grad, (), "that of the loss")
    _check_logits(op, "log_probabilities", log_probabilities)
    _check_labels(op, labels, log_probabilities.shape, class_weight, label_smoothing)


def _dummies(dtype: np.dtype, x_shape: tuple[int, int], class_weight: bool = False) -> Mapping[str, Any]:
    return {
        "logits": dummy(x_shape, dtype),
        "log_probabilities": dummy(x_shape, dtype),
        "grad": dummy((), dtype),
        "labels": dummy(x_shape[:1], np.dtype(np.int64)),
        "class_weight": dummy(x_shape[1:], dtype) if class_weight else None,
        "label_smoothing": 0.0,
    }


forward = KernelSpec(
    name="cross_entropy",
    package=__name__,
    check=_check_forward,
    cost=lambda logits, **_: Cost(6 * logits.size, 2 * logits.nbytes),
    bound=bounds.cross_entropy,
    dummies=_dummies,
    versions=(Version("reference.log_softmax", "reference:forward"),),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="cross_entropy.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda log_probabilities, **_: Cost(4 * log_probabilities.size, 2 * log_probabilities.nbytes),
    bound=bounds.cross_entropy_grad,
    dummies=_dummies,
    versions=(Version("reference.targets", "reference:grad_input"),),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
