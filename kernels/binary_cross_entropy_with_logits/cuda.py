"""Launchers of binary_cross_entropy_with_logits.cu, with the signature of the op."""

from __future__ import annotations

from ..binary_cross_entropy.cuda import launched
from ..cuda import source
from ..cuda.total import reduced

SOURCE = source(__file__, "binary_cross_entropy_with_logits.cu")


def naive(logits, targets, weight, pos_weight, reduction):
    losses = launched(SOURCE, "bce_with_logits_naive", logits, logits, targets, weight, pos_weight, numbers=())
    return reduced(losses, reduction)


def grad_input_naive(grad, logits, targets, weight, pos_weight, reduction):
    numbers = (max(logits.size, 1) if reduction == "mean" else 1,)
    arrays = grad, logits, targets, weight, pos_weight
    return launched(SOURCE, "bce_with_logits_grad_naive", logits, *arrays, numbers=numbers)
