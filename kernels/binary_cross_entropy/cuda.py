"""Launchers of binary_cross_entropy.cu, with the signature of the op."""

from __future__ import annotations

from ..cuda import ceil_div, source
from ..cuda.elementwise import BLOCK, empty_like, places
from ..cuda.total import reduced
from . import LEAST_VARIANCE, LOWEST_LOG

SOURCE = source(__file__, "binary_cross_entropy.cu")


def launched(source, kernel, like, *inputs, numbers):
    """A kernel (inputs…, y, shape, strides of each…, numbers…), one thread an element of y, which is as `like`."""
    arrays, layout = places([*inputs, empty_like(like)])
    source.launch(kernel, ceil_div(like.size, BLOCK), BLOCK, *arrays, *layout, *numbers, real=like.dtype)
    return arrays[-1]


def naive(probabilities, targets, weight, reduction):
    losses = launched(
        SOURCE, "binary_cross_entropy_naive", probabilities, probabilities, targets, weight, numbers=(LOWEST_LOG,)
    )
    return reduced(losses, reduction)


def grad_input_naive(grad, probabilities, targets, weight, reduction):
    numbers = (max(targets.size, 1) if reduction == "mean" else 1, LEAST_VARIANCE)
    arrays = grad, probabilities, targets, weight
    return launched(SOURCE, "binary_cross_entropy_grad_naive", probabilities, *arrays, numbers=numbers)
