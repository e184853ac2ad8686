"""Losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Context, Function
from ..kernels import cross_entropy as kernel
from ..tensor import Tensor
from .apply import apply, asarray


class CrossEntropy(Function):
    @staticmethod
    def forward(ctx: Context, logits: Any, labels: Any, class_weight: Any, label_smoothing: float) -> Any:
        if class_weight is not None:
            class_weight = np.array(class_weight, logits.dtype)
        loss, log_probabilities = kernel.forward(logits, labels, class_weight, label_smoothing)
        ctx.save(log_probabilities, labels, class_weight, label_smoothing)
        return loss

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return kernel.grad_input(grad, *ctx.saved)


def cross_entropy(logits: Tensor, labels: Any, class_weight: Any = None, label_smoothing: float = 0.0) -> Tensor:
    """The mean cross-entropy of logits with labels, as torch.nn.functional.cross_entropy computes it.

    logits: (N, K). labels: (N,) integers from 0 to K - 1. class_weight: (K,) numbers or None; the mean is
    weighted by them. label_smoothing: from 0 to 1, the share given to all classes alike. Returns a
    scalar. Raises ShapeError for a label outside the classes, naming it.
    """
    labels = np.array(asarray(labels))  # copied, as class_weight is: the caller may use the array again before backward
    return apply(
        CrossEntropy, logits, labels=labels, class_weight=asarray(class_weight), label_smoothing=label_smoothing
    )
