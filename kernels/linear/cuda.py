"""Launches the dense layer's kernels for CUDA cores (linear.cu), for float32 and float64."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..cuda import ceil_div, contiguous, empty, source

LINEAR = source(__file__, "linear.cu")
THREADS = 128  # of a block of linear_naive
TILE = 16  # as in linear.cu


def _product(left: Any, right: Any, bias: Any, tiled: bool):
    """left (M, K) @ right (K, N) + bias, of matrices in any layout."""
    (m, k), n = left.shape, right.shape[1]
    to = empty((m, n), left.dtype, like=left)
    steps = [step // array.itemsize for array in (left, right) for step in array.strides]
    if tiled:
        launch = partial(LINEAR.launch, "linear_tiled", ceil_div(m, TILE) * ceil_div(n, TILE), (TILE, TILE))
    else:
        launch = partial(LINEAR.launch, "linear_naive", ceil_div(m * n, THREADS), THREADS)
    launch(left, right, bias, to, m, n, k, *steps, real=left.dtype)
    return to


def forward(x, w, b, tiled=True):
    return _product(x, w.T, None if b is None else contiguous(b), tiled)


def grad_input(grad, w, tiled=True):
    return _product(grad, w, None, tiled)


def grad_weight(grad, x, tiled=True):
    return _product(grad.T, x, None, tiled)


forward_naive = partial(forward, tiled=False)
grad_input_naive = partial(grad_input, tiled=False)
grad_weight_naive = partial(grad_weight, tiled=False)


def grad_bias(grad):
    n, o = grad.shape
    gb = empty((o,), grad.dtype, like=grad)
    LINEAR.launch("linear_grad_bias", ceil_div(o, 32), (32, 8), contiguous(grad), gb, n, o, real=grad.dtype)
    return gb
