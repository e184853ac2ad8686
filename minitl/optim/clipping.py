"""Gradients kept within bounds, between backward() and step()."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..tensor import Parameter
from .blocks import blocks
from .checks import positive, trainable

MARGIN = 1e-6  # PyTorch's: added to the norm before dividing by it


def clip_grad_norm(parameters: Iterable[Parameter], most: float) -> float:
    """Scales all gradients by one factor, so that their Euclidean norm together is at most `most`.

    Returns the norm before. Parameters that are frozen or have no gradient do not count. As PyTorch's
    clip_grad_norm_, the factor is min(1, most / (norm + 1e-6)); unlike there, gradients whose norm is NaN or Inf are
    left as they are (PyTorch's turn to NaN and 0), so look at what is returned. Squares are summed in float64.
    Raises ArgumentError unless `most` is above 0. Source: Pascanu et al. 2013, "On the difficulty of training
    recurrent neural networks".
    """
    most = positive("clip_grad_norm", "most", most)
    moving = _moving("clip_grad_norm", parameters)
    with np.errstate(over="ignore", invalid="ignore"):  # the answer says so
        norm = math.sqrt(sum(_square_sum(grad) for _, grad in moving))
    factor = most / (norm + MARGIN)
    if math.isfinite(norm) and factor < 1:
        for p, grad in moving:
            p.grad = grad * factor  # a new array: gradients may be shared between leaves
    return norm


def clip_grad_value(parameters: Iterable[Parameter], most: float) -> None:
    """Limits every number of every gradient to [-most, most], as PyTorch's clip_grad_value_; NaN stays NaN.

    Frozen parameters are left out. Raises ArgumentError unless `most` is above 0.
    """
    most = positive("clip_grad_value", "most", most)
    for p, grad in _moving("clip_grad_value", parameters):
        p.grad = np.clip(grad, -most, most)


def _moving(where: str, parameters: Iterable[Parameter]) -> list[tuple[Parameter, np.ndarray]]:
    return [(p, p.grad) for p in trainable(where, parameters) if not p.frozen and p.grad is not None]


def _square_sum(grad: np.ndarray) -> float:
    """Without BLAS, whose sum depends on the number of threads."""
    rows, total = np.atleast_1d(grad), 0.0
    for part in blocks(rows):
        block = rows[part].astype(np.float64)
        block *= block
        total += float(block.sum())
    return total
