"""Losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import device
from ..autograd import Context, Function
from ..errors import ArgumentError
from ..kernels import binary_cross_entropy as binary_kernel
from ..kernels import binary_cross_entropy_with_logits as logits_kernel
from ..kernels import cross_entropy as cross_entropy_kernel
from ..kernels import hinge_loss as hinge_kernel
from ..kernels.registry import KernelSpec, dummy
from ..tensor import Tensor
from .apply import apply, as_tensor, asarray


class CrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Context,
        logits: Any,
        labels: Any,
        class_weight: Any,
        label_smoothing: float,
        ignore_index: int,
        reduction: str,
    ) -> Any:
        options = labels, class_weight, label_smoothing, ignore_index, reduction
        loss, log_probabilities = cross_entropy_kernel.forward(logits, *options)
        ctx.save(log_probabilities, *options)
        return loss

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return cross_entropy_kernel.grad_input(grad, *ctx.saved)


class HingeLoss(Function):
    @staticmethod
    def forward(
        ctx: Context, scores: Any, labels: Any, margin: float, p: int, class_weight: Any, reduction: str
    ) -> Any:
        options = labels, margin, p, class_weight, reduction
        ctx.save(scores, *options)
        return hinge_kernel.forward(scores, *options)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return hinge_kernel.grad_input(grad, *ctx.saved)


class BinaryCrossEntropy(Function):
    @staticmethod
    def forward(ctx: Context, probabilities: Any, targets: Any, weight: Any, reduction: str) -> Any:
        ctx.save(probabilities, targets, weight, reduction)
        return binary_kernel.forward(probabilities, targets, weight, reduction)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return binary_kernel.grad_input(grad, *ctx.saved)


class BinaryCrossEntropyWithLogits(Function):
    @staticmethod
    def forward(ctx: Context, logits: Any, targets: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
        ctx.save(logits, targets, weight, pos_weight, reduction)
        return logits_kernel.forward(logits, targets, weight, pos_weight, reduction)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return logits_kernel.grad_input(grad, *ctx.saved)


def _given(op: str, name: str, values: Any, dtype: Any) -> Any:
    """The values of an argument that a loss has no gradient for, or None; a copy. dtype: None for their own.

    Raises ArgumentError for what are no numbers, and for a Tensor that requires a gradient, which it would never get.
    """
    if values is None:
        return None
    if isinstance(values, Tensor) and values.requires_grad:
        raise ArgumentError(f"{op}: {name} gets no gradient, but requires one; pass {name}.detach()")
    try:
        values = asarray(values)
        return values.astype(dtype or values.dtype) if device.on_gpu(values) else np.array(values, dtype)
    except (TypeError, ValueError):
        raise ArgumentError(f"{op}: {name} must be an array of numbers; got {values!r}") from None


def _beside(spec: KernelSpec, x: Tensor, **arguments: Any) -> dict[str, Any]:
    """The arguments of a loss of x, on its device.

    What comes from the host is checked before it goes there. What lives there already is not looked at: the host would
    wait for it in every step, and could not while work is captured in a graph.
    """
    if device.on_gpu(x.data):
        there = {name: dummy(a.shape, a.dtype) for name, a in arguments.items() if device.on_gpu(a)}
        spec.check(dummy(x.shape, x.dtype), **{**arguments, **there})
    return {name: device.beside(a, x.data) if device.is_array(a) else a for name, a in arguments.items()}


def cross_entropy(
    logits: Tensor,
    labels: Any,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The cross-entropy of logits with labels, as torch.nn.functional.cross_entropy computes it.

    logits: (N, K), or (N, K, …) for labels at every pixel, or (K,) for one picture. labels: (N,), (N, …) or ()
    integers from 0 to K - 1, or floats of logits' shape, the probabilities of every class. class_weight: (K,) numbers
    or None. label_smoothing: from 0 to 1, the share given to all classes alike. ignore_index: a label whose rows count
    for nothing. reduction: "mean", weighted by class_weight, over the rows that count (NaN if there are none; over all
    rows, unweighted, for probabilities); "sum"; or "none" for a loss of labels' shape, rather than a scalar. Raises
    ShapeError for a label outside the classes, naming it; ArgumentError for an option outside its domain. Labels that
    are on a device are not looked at, so that nobody waits for it: of one outside the classes, loss and gradient are
    NaN.
    """
    op, logits = "cross_entropy", as_tensor(logits)
    labels = _given(op, "labels", labels, None)
    if labels.dtype.kind == "f" and labels.ndim == logits.ndim:
        labels = labels.astype(logits.dtype)  # probabilities, in whatever dtype they came
    single = logits.ndim == 1
    if single:
        logits, labels = logits.reshape(1, -1), labels[None]
    given = _beside(
        cross_entropy_kernel.forward,
        logits,
        labels=labels,
        class_weight=_given(op, "class_weight", class_weight, logits.dtype),
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        reduction=reduction,
    )
    loss = apply(CrossEntropy, logits, **given)
    return loss.reshape(()) if single else loss


def hinge_loss(
    scores: Tensor,
    labels: Any,
    margin: float = 1.0,
    p: int = 1,
    class_weight: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The multi-class hinge loss, as torch.nn.functional.multi_margin_loss computes it.

    Of a row with label y: class_weight[y] / K times the sum over the other classes k of max(0, margin - scores[y] +
    scores[k])^p. scores: (N, K). labels: (N,) integers from 0 to K - 1. p: 1 or 2. class_weight: (K,) numbers or None.
    reduction: "mean" over the N rows, "sum", or "none" for the losses (N,). Source: Weston & Watkins, "Support Vector
    Machines for Multi-Class Pattern Recognition" (1999). Raises ShapeError for a label outside the classes, naming it
    (one on a device makes loss and gradient NaN, as cross_entropy's); ArgumentError for an option outside its domain.
    """
    op, scores = "hinge_loss", as_tensor(scores)
    given = _beside(
        hinge_kernel.forward,
        scores,
        labels=_given(op, "labels", labels, None),
        margin=margin,
        p=p,
        class_weight=_given(op, "class_weight", class_weight, scores.dtype),
        reduction=reduction,
    )
    return apply(HingeLoss, scores, **given)


def binary_cross_entropy(probabilities: Tensor, targets: Any, weight: Any = None, reduction: str = "mean") -> Tensor:
    """-weight (t log p + (1 - t) log(1 - p)), as torch.nn.functional.binary_cross_entropy computes it.

    probabilities: any shape, from 0 to 1; targets: the same. Logarithms are no lower than -100, so the loss is finite.
    weight: None or numbers that broadcast to that shape. reduction: "mean" over all elements, "sum", or "none" for a
    loss of that shape. Raises ShapeError for shapes that do not fit, ArgumentError for numbers outside their domain (on
    a device they are not looked at; what is no probability has the loss and gradient NaN). From logits, use
    binary_cross_entropy_with_logits, which keeps more digits.
    """
    op, probabilities = "binary_cross_entropy", as_tensor(probabilities)
    given = _beside(
        binary_kernel.forward,
        probabilities,
        targets=_given(op, "targets", targets, probabilities.dtype),
        weight=_given(op, "weight", weight, probabilities.dtype),
        reduction=reduction,
    )
    return apply(BinaryCrossEntropy, probabilities, **given)


def binary_cross_entropy_with_logits(
    logits: Tensor, targets: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """The binary cross-entropy of sigmoid(logits), accurate for logits of any size, as PyTorch's of the same name.

    logits: any shape; targets: the same, from 0 to 1. weight, pos_weight: None or numbers that broadcast to that shape;
    pos_weight multiplies what a positive target adds to the loss: more than 1 favours recall, less favours precision.
    reduction: "mean" over all elements, "sum", or "none" for a loss of that shape. Raises ShapeError for shapes that do
    not fit, ArgumentError for numbers outside their domain (those on a device are not looked at).
    """
    op, logits = "binary_cross_entropy_with_logits", as_tensor(logits)
    given = _beside(
        logits_kernel.forward,
        logits,
        targets=_given(op, "targets", targets, logits.dtype),
        weight=_given(op, "weight", weight, logits.dtype),
        pos_weight=_given(op, "pos_weight", pos_weight, logits.dtype),
        reduction=reduction,
    )
    return apply(BinaryCrossEntropyWithLogits, logits, **given)
