"""What losses have in common: labels, weights of classes, and how many numbers become one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .registry import check_shape

Array = np.ndarray

REDUCTIONS = ("mean", "sum", "none")


def _on_host(array: Array | None) -> bool:
    """Whether the numbers of an array may be looked at: on a device, the host would wait for all that it has to do."""
    return isinstance(array, np.ndarray)


def check_reduction(op: str, reduction: Any) -> None:
    """Raises ArgumentError unless `reduction` is "mean", "sum" or "none"."""
    if reduction not in REDUCTIONS:
        raise ArgumentError(f'{op}: reduction must be "mean", "sum" or "none"; got {reduction!r}')


def check_loss_grad(op: str, grad: Array, reduction: str, shape: tuple[int, ...]) -> None:
    """Raises ShapeError unless `grad` has the shape of a loss over `shape`, reduced or not."""
    check_shape(op, "grad", grad, shape if reduction == "none" else (), "that of the loss")


def check_classes(op: str, name: str, scores: Array) -> None:
    """Raises ShapeError unless `scores` has shape (N, classes) or (N, classes, …) and knows at least one class."""
    if scores.ndim < 2 or scores.shape[1] < 1:
        raise ShapeError(f"{op}: {name} must have shape (N, classes); got {tuple(scores.shape)}")


def check_labels(op: str, name: str, labels: Array, shape: tuple[int, ...], ignore_index: int | None = None) -> None:
    """Raises ShapeError unless `labels` are class indices for scores of `shape`, the array called `name`.

    Their numbers are looked at on the host alone; on a device, kernels make NaN of a label that is no class.
    """
    n, classes, *rest = shape
    if labels.dtype.kind not in "iu":
        raise ShapeError(f"{op}: labels must be integers, one class index a picture; got dtype {labels.dtype}")
    check_shape(op, "labels", labels, (n, *rest), f"one for each row of {name} of shape {tuple(shape)}")
    if not _on_host(labels):
        return
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any() and ignore_index is not None:
        wrong &= labels != ignore_index
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f"of picture {at[0]}" if not rest else f"at {at}"
        raise ShapeError(
            f"{op}: label {int(labels[at])} {where} is outside 0 .. {classes - 1}, since {name} of shape "
            f"{tuple(shape)} know {classes} classes; check the labels or the size of the last layer"
        )


def check_class_weight(op: str, class_weight: Array | None, classes: int) -> None:
    """Raises ShapeError unless there is one weight a class, ArgumentError for a negative one or NaN on the host."""
    if class_weight is None:
        return
    check_shape(op, "class_weight", class_weight, (classes,), "one for each class")
    if _on_host(class_weight) and not (class_weight >= 0).all():
        at = int(np.flatnonzero(~(class_weight >= 0))[0])
        raise ArgumentError(f"{op}: class_weight must not be negative; class {at} has {class_weight[at]}")


def check_range(op: str, name: str, values: Array | None, most: float = np.inf) -> None:
    """Raises ArgumentError, naming the place, unless all `values` on the host lie from 0 to `most`; NaN does not."""
    if values is None or not _on_host(values):
        return
    inside = (values >= 0) & (values <= most)
    if not inside.all():
        at = tuple(int(i) for i in np.argwhere(~inside)[0])
        allowed = "be 0 or more" if most == np.inf else f"lie between 0 and {most:g}"
        raise ArgumentError(f"{op}: {name} must {allowed}; got {values[at]} at {at}")


def check_broadcasts(op: str, name: str, values: Array | None, like: str, shape: tuple[int, ...]) -> None:
    """Raises ShapeError unless `values` broadcast to `shape`, that of the array called `like`."""
    if values is None:
        return
    sizes = zip(values.shape[::-1], shape[::-1], strict=False)
    if values.ndim > len(shape) or any(mine not in (1, theirs) for mine, theirs in sizes):
        raise ShapeError(
            f"{op}: {name} of shape {tuple(values.shape)} does not broadcast to {like} of shape {tuple(shape)}"
        )


def reduce(losses: Array, reduction: str, dtype: np.dtype, total: float | None = None) -> Array:
    """The losses as they are, their sum, or that divided by `total` (their number); sums run in float64.

    The mean of nothing, or by a total of 0, is NaN.
    """
    if reduction == "none":
        return losses.astype(dtype, copy=False)
    with np.errstate(invalid="ignore", over="ignore"):
        value = losses.sum(dtype=np.float64)
        if reduction == "mean":
            value = value / ((losses.size if total is None else total) or np.nan)
        return np.asarray(value).astype(dtype)


def per_loss(grad: Array, reduction: str, total: float) -> Array:
    """The gradient with respect to each loss, from that of the reduced one: `reduce` backwards."""
    return grad / grad.dtype.type(total or np.nan) if reduction == "mean" else grad
