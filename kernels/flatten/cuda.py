"""Flattening on a GPU: a view where memory allows, else a copy by flatten.cu. The gradient is a view."""

from __future__ import annotations

import math

from ..cuda import ceil_div, contiguous, empty, source, strides

SOURCE = source(__file__, "flatten.cu")
BLOCK = 128
TILE, THREADS = 32, 256  # pixels and channels of a tile; threads that copy one


def tiles_serves(x):
    return None if x.ndim == 4 else f"takes pictures (N, C, H, W), not {x.ndim} axes"


def _shape(x):
    return x.shape[0], math.prod(x.shape[1:])


def naive(x):
    if x.flags.c_contiguous or x.ndim > 4:
        return contiguous(x).reshape(_shape(x))
    y = empty(_shape(x), x.dtype, like=x)
    x4 = x[(..., *(None,) * (4 - x.ndim))]
    SOURCE.launch("flatten_naive", ceil_div(x.size, BLOCK), BLOCK, x4, y, *x4.shape, strides(x4), real=x.dtype)
    return y


def tiles(x):
    if x.flags.c_contiguous:
        return x.reshape(_shape(x))
    y = empty(_shape(x), x.dtype, like=x)
    n, c, h, w = x.shape
    SOURCE.launch(
        "flatten_tiles", ceil_div(h * w, TILE) * ceil_div(c, TILE) * n, THREADS,
        x, y, c, h, w, strides(x), real=x.dtype,
    )  # fmt: skip
    return y


def view(grad, x_shape):
    return contiguous(grad).reshape(x_shape)
