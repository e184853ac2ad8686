"""Cross-entropy of logits with labels or with probabilities, as torch.nn.functional.cross_entropy computes it.

With log-probabilities l = log_softmax(logits), class weights v (1 each unless given), smoothing e and K classes, row n
has the loss

    labels:         (1 - e) v[label_n] (-l[n, label_n]) + e / K sum_k v[k] (-l[n, k])
    probabilities:  sum_k ((1 - e) p[n, k] + e / K) v[k] (-l[n, k])

A row whose label is `ignore_index` has the loss 0 and no gradient. reduction="none" gives the losses, "sum" their sum,
"mean" that divided by the sum of v[label_n] over the rows not ignored, or, for probabilities, by the number of rows.
The mean over no row, or over rows that all weigh 0, is NaN.

`forward(logits, labels, class_weight, label_smoothing, ignore_index, reduction)`: logits (N, K, …), labels (N, …)
integers or probabilities of logits' shape, class_weight (K,) or None -> (loss () or (N, …), log_probabilities
(N, K, …)); the latter is what `grad_input(grad, log_probabilities, labels, …)` needs. Every position along the axes
after K, such as a pixel, is a row of its own.

Label smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2016).
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ..cuda import rows
from ..losses import check_class_weight, check_classes, check_labels, check_loss_grad, check_range, check_reduction
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, check_share, dummy
from ..verify import bounds

Array = np.ndarray

IGNORED = -100  # PyTorch's choice


def holds_probabilities(labels: Array, logits: Array) -> bool:
    """Whether `labels` are probabilities for every class, rather than class indices."""
    return labels.dtype.kind == "f" and labels.ndim == logits.ndim


def _check_targets(
    op: str, name: str, logits: Array, labels: Array, class_weight: Array | None, smoothing: float, ignored: Any
) -> None:
    check_classes(op, name, logits)
    soft = holds_probabilities(labels, logits)
    check_floats(op, **{name: logits}, class_weight=class_weight, labels=labels if soft else None)
    if isinstance(ignored, bool) or not isinstance(ignored, numbers.Integral):
        raise ArgumentError(f"{op}: ignore_index must be an integer, a label; got {ignored!r}")
    if soft:
        check_shape(op, "labels", labels, logits.shape, f"one probability for each of {name}")
        check_range(op, "labels", labels, 1)
        if ignored >= 0:
            raise ArgumentError(
                f"{op}: ignore_index={ignored} ignores a label, but the labels of shape {tuple(labels.shape)} are "
                "probabilities; leave it out, or give class indices"
            )
    else:
        check_labels(op, name, labels, logits.shape, int(ignored))
    check_class_weight(op, class_weight, logits.shape[1])
    check_share(op, "label_smoothing", smoothing)


def _check_forward(
    logits: Array,
    labels: Array,
    class_weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
) -> None:
    op = "cross_entropy"
    _check_targets(op, "logits", logits, labels, class_weight, label_smoothing, ignore_index)
    check_reduction(op, reduction)


def _check_grad_input(
    grad: Array,
    log_probabilities: Array,
    labels: Array,
    class_weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
) -> None:
    op = "cross_entropy.grad_input"
    check_floats(op, grad=grad, log_probabilities=log_probabilities)
    _check_targets(op, "log_probabilities", log_probabilities, labels, class_weight, label_smoothing, ignore_index)
    check_reduction(op, reduction)
    n, _, *rest = log_probabilities.shape
    check_loss_grad(op, grad, reduction, (n, *rest))


def _dummies(
    dtype: np.dtype, x_shape: tuple[int, ...], class_weight: bool = False, reduction: str = "mean"
) -> Mapping[str, Any]:
    n, classes, *rest = x_shape
    return {
        "logits": dummy(x_shape, dtype),
        "log_probabilities": dummy(x_shape, dtype),
        "grad": dummy((n, *rest) if reduction == "none" else (), dtype),
        "labels": dummy((n, *rest), np.dtype(np.int64)),
        "class_weight": dummy((classes,), dtype) if class_weight else None,
        "label_smoothing": 0.0,
        "ignore_index": IGNORED,
        "reduction": reduction,
    }


def _rows(logits: Array | None = None, log_probabilities: Array | None = None, **_: Any) -> str | None:
    """Why several threads had better not share a row, or None."""
    return rows.refusal(log_probabilities if logits is None else logits, 1)


def _short_rows(logits: Array | None = None, log_probabilities: Array | None = None, **_: Any) -> str | None:
    """The same of the threads of one warp."""
    return rows.refusal(log_probabilities if logits is None else logits, 1, rows.SHORT)


forward = KernelSpec(
    name="cross_entropy",
    package=__name__,
    check=_check_forward,
    cost=lambda logits, **_: Cost(6 * logits.size, 2 * logits.nbytes),
    bound=bounds.cross_entropy,
    dummies=_dummies,
    versions=(
        Version("reference.log_softmax", "reference:forward"),
        Version("cuda.warp", "cuda:warp", _short_rows),
        Version("cuda.block", "cuda:block", _rows),
        Version("cuda.naive", "cuda:naive"),
    ),
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
    versions=(
        Version("reference.targets", "reference:grad_input"),
        Version("cuda.warp", "cuda:grad_input_warp", _short_rows),
        Version("cuda.block", "cuda:grad_input_block", _rows),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
