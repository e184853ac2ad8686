"""Adaptive average pooling: the mean of each of P x Q bins that cover the picture, and its gradient.

`forward(x, output_size)`: x (N, C, H, W) -> (N, C, P, Q); bin p spans the rows floor(p H / P) to
ceil((p + 1) H / P), as in PyTorch, so bins overlap where P does not divide H.
`grad_input(grad, x_shape)` spreads each gradient evenly over its bin.

Any strides; versions named channels_last work so and return channels-last views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..cuda import pixels
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def _check_shapes(op: str, x_shape: tuple[int, ...], output_size: tuple[int, int]) -> None:
    if len(x_shape) != 4:
        raise ShapeError(f"{op}: x must have 4 axes (N, C, H, W); got shape {tuple(x_shape)}")
    if min(x_shape[2:]) < 1:
        raise ShapeError(f"{op}: x of shape {tuple(x_shape)} has no pixel to average; pass a larger picture")
    if len(output_size) != 2 or min(output_size) < 1:
        raise ShapeError(f"{op}: output_size must be a pair of ints, each at least 1; got {output_size!r}")


def _check_forward(x: Array, output_size: tuple[int, int]) -> None:
    check_floats("adaptive_avg_pool2d", x=x)
    _check_shapes("adaptive_avg_pool2d", x.shape, output_size)


def _check_grad_input(grad: Array, x_shape: tuple[int, ...]) -> None:
    op = "adaptive_avg_pool2d.grad_input"
    check_floats(op, grad=grad)
    _check_shapes(op, x_shape, grad.shape[2:])
    check_shape(op, "grad", grad, (*x_shape[:2], *grad.shape[2:]), f"x has shape {tuple(x_shape)}")


def _bin_pixels(sizes: tuple[int, ...], bins: tuple[int, ...]) -> int:
    """The most pixels a bin can hold: each axis at most ceil(n / b) + 1."""
    return int(np.prod([-(-n // b) + 1 for n, b in zip(sizes, bins, strict=True)]))


def _pixel_bins(sizes: tuple[int, ...], bins: tuple[int, ...]) -> int:
    """The most bins a pixel can belong to: each axis at most ceil(b / n) + 1."""
    return _bin_pixels(bins, sizes)


forward = KernelSpec(
    name="adaptive_avg_pool2d",
    package=__name__,
    check=_check_forward,
    cost=lambda x, output_size: Cost(
        x.shape[0] * x.shape[1] * int(np.prod(output_size)) * _bin_pixels(x.shape[2:], output_size),
        x.nbytes + x.dtype.itemsize * x.shape[0] * x.shape[1] * int(np.prod(output_size)),
    ),
    # n - 1 additions and one division.
    bound=bounds.inner_product(lambda x, output_size: _bin_pixels(x.shape[2:], output_size), "adaptive_avg_pool2d"),
    dummies=lambda dtype, x_shape, output_size: {"x": dummy(x_shape, dtype), "output_size": output_size},
    versions=(
        Version("reference.bins", "reference:forward"),
        Version("cuda.channels_last", "cuda:forward_channels_last"),
        Version("cuda.naive", "cuda:forward_naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)


def _grad_dummies(dtype: np.dtype, x_shape: tuple[int, ...], output_size: tuple[int, int]) -> Mapping[str, Any]:
    return {"grad": dummy((*x_shape[:2], *output_size), dtype), "x_shape": x_shape}


grad_input = KernelSpec(
    name="adaptive_avg_pool2d.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, x_shape: Cost(
        grad.size * _bin_pixels(x_shape[2:], grad.shape[2:]),
        grad.nbytes + grad.dtype.itemsize * int(np.prod(x_shape)),
    ),
    # One division and one addition for each bin that a pixel belongs to.
    bound=bounds.inner_product(
        lambda grad, x_shape: _pixel_bins(x_shape[2:], grad.shape[2:]) + 1, "adaptive_avg_pool2d.grad_input"
    ),
    dummies=_grad_dummies,
    versions=(
        Version("reference.bins", "reference:grad_input"),
        Version(
            "cuda.channels_last",
            "cuda:grad_input_channels_last",
            lambda grad, x_shape: pixels.refusal(x_shape[1]),
        ),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
