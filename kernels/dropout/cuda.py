"""Launchers of dropout.cu: one a version, with the signature of the op. The gradient is the same product again."""

from __future__ import annotations

import math

from ..cuda import ceil_div, contiguous, empty, source
from ..cuda.elementwise import AXES, BLOCK, empty_like, places
from . import scale, threshold

SOURCE = source(__file__, "dropout.cu")


def naive(x, p, keys, stream):
    y = empty_like(x) if x.ndim <= AXES else empty(x.shape, x.dtype, like=x)
    arrays, layout = places([x, y], order=range(x.ndim))
    per_row = math.prod(x.shape[1:])
    SOURCE.launch(
        "dropout_naive", ceil_div(x.size, BLOCK), BLOCK,
        *arrays, *layout, contiguous(keys), per_row, stream, threshold(p), scale(p), real=x.dtype,
    )  # fmt: skip
    return y


def vector(x, p, keys, stream):
    y = empty(x.shape, x.dtype, like=x)
    rows, per_row = x.shape[0], math.prod(x.shape[1:])
    SOURCE.launch(
        "dropout_vector", ceil_div(rows * ceil_div(per_row, 4), BLOCK), BLOCK,
        contiguous(x), y, contiguous(keys), rows, per_row, stream, threshold(p), scale(p), real=x.dtype,
    )  # fmt: skip
    return y


def grad_input_naive(grad, p, keys, stream):
    return naive(grad, p, keys, stream)


def grad_input_vector(grad, p, keys, stream):
    return vector(grad, p, keys, stream)
