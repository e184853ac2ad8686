"""Launchers of hinge_loss.cu, with the signature of the op."""

from __future__ import annotations

from ..cuda import ceil_div, contiguous, empty, source
from ..cuda.rows import BLOCK
from ..cuda.total import reduced

SOURCE = source(__file__, "hinge_loss.cu")


def _given(scores, labels, class_weight):
    weight = None if class_weight is None else contiguous(class_weight)
    return contiguous(scores), contiguous(labels).astype("int64", copy=False), weight


def naive(scores, labels, margin, p, class_weight, reduction):
    rows, n = scores.shape
    losses = empty((rows,), scores.dtype, like=scores)
    given = _given(scores, labels, class_weight)
    SOURCE.launch(
        "hinge_loss_naive", ceil_div(rows, BLOCK), BLOCK, *given, losses, rows, n, margin, p, real=scores.dtype
    )
    return reduced(losses, reduction)


def grad_input_naive(grad, scores, labels, margin, p, class_weight, reduction):
    rows, n = scores.shape
    gx = empty((rows, n), scores.dtype, like=scores)
    SOURCE.launch(
        "hinge_loss_grad_naive", ceil_div(rows, BLOCK), BLOCK,
        contiguous(grad), *_given(scores, labels, class_weight), gx, rows, n, margin, p,
        rows if reduction == "mean" else 1, int(reduction == "none"), real=scores.dtype,
    )  # fmt: skip
    return gx
