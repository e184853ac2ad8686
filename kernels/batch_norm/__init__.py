"""Batch normalization in its parts, and the gradients of each: y = (x - mean) / sqrt(var + eps) * weight + bias.

x (N, C, H, W) or (N, C); mean, var, weight, bias (C,); weight and bias may be None (1 and 0). M = N H W
values make up a channel.

- `statistics(x)` -> (mean, var): of each channel, var the biased one (divided by M). Accumulated in float64.
- `forward(x, mean, var, weight, bias, eps)` -> y, with whatever statistics are given: those of this batch in
  training, the running ones in inference.
- `grad_affine(grad, x, mean, var, eps)` -> (sum of grad x', sum of grad) of each channel, the gradients of weight
  and bias, where x' = (x - mean) / sqrt(var + eps).
- `grad_input(grad, var, weight, eps)`: of x where the statistics are constants, grad weight / sqrt(var + eps).
- `grad_input_training(grad, x, mean, var, weight, grad_weight, grad_bias, eps)`: of x where they are the statistics
  of x itself, (grad - grad_bias / M - x' grad_weight / M) weight / sqrt(var + eps), given the sums of `grad_affine`.

Whoever calls owns the running statistics; nothing here remembers a batch. NaN spreads over its channel in
training and stays alone in inference. A channel with var + eps = 0 becomes NaN or infinite, as in PyTorch.

Any strides; versions named channels_last work so and return channels-last views. The mean is rounded to the dtype
of x, so y is what an exact computation makes of an x off by one rounding: with float32 numbers near 10000 and a
deviation of 1, y is right to 5e-4.

Source: Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift" (2015), algorithms 1 and 2 and the gradients of section 3.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ..cuda import pixels
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds
from . import cuda

Array = np.ndarray


def values(shape: tuple[int, ...]) -> int:
    """M: how many numbers of an array of this shape make up one channel."""
    return math.prod((shape[0], *shape[2:]))


def _check_x(op: str, name: str, x: Array) -> None:
    if x.ndim not in (2, 4):
        raise ShapeError(f"{op}: {name} must have axes (N, C, H, W) or (N, C); got shape {tuple(x.shape)}")


def _check_channels(op: str, x: Array, **arrays: Array | None) -> None:
    """One value for each channel of x, or of the gradient of its shape."""
    for name, array in arrays.items():
        if array is not None:
            check_shape(op, name, array, (x.shape[1],), f"one value a channel of {tuple(x.shape)}")


def _check_eps(op: str, eps: float) -> None:
    if not isinstance(eps, numbers.Real) or not 0 <= eps < math.inf:
        raise ArgumentError(f"{op}: eps must be a number from 0, such as 1e-5; got {eps!r}")


def _check_statistics(x: Array) -> None:
    op = "batch_norm.statistics"
    check_floats(op, x=x)
    _check_x(op, "x", x)
    if not values(x.shape):
        raise ShapeError(
            f"{op}: x of shape {tuple(x.shape)} holds no value to take a mean of; pass at least one picture, or "
            "normalize by running statistics (training=False)"
        )


def _check_forward(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float) -> None:
    op = "batch_norm"
    check_floats(op, x=x, mean=mean, var=var, weight=weight, bias=bias)
    _check_x(op, "x", x)
    _check_channels(op, x, weight=weight, bias=bias, mean=mean, var=var)
    _check_eps(op, eps)


def _check_grad_affine(grad: Array, x: Array, mean: Array, var: Array, eps: float) -> None:
    op = "batch_norm.grad_affine"
    check_floats(op, grad=grad, x=x, mean=mean, var=var)
    _check_x(op, "x", x)
    check_shape(op, "grad", grad, x.shape, "that of x")
    _check_channels(op, x, mean=mean, var=var)
    _check_eps(op, eps)


def _check_grad_input(grad: Array, var: Array, weight: Array | None, eps: float) -> None:
    op = "batch_norm.grad_input"
    check_floats(op, grad=grad, var=var, weight=weight)
    _check_x(op, "grad", grad)
    _check_channels(op, grad, var=var, weight=weight)
    _check_eps(op, eps)


def _check_grad_input_training(
    grad: Array,
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None,
    grad_weight: Array,
    grad_bias: Array,
    eps: float,
) -> None:
    op = "batch_norm.grad_input_training"
    each = {"mean": mean, "var": var, "weight": weight, "grad_weight": grad_weight, "grad_bias": grad_bias}
    check_floats(op, grad=grad, x=x, **each)
    _check_x(op, "x", x)
    check_shape(op, "grad", grad, x.shape, "that of x")
    _check_channels(op, x, **each)
    _check_eps(op, eps)


def _dummies(dtype: np.dtype, x_shape: tuple[int, ...], affine: bool = True, eps: float = 1e-5) -> Mapping[str, Any]:
    channel = dummy(x_shape[1:2], dtype)
    each = dict.fromkeys(("mean", "var", "grad_weight", "grad_bias"), channel)
    pair = dict.fromkeys(("weight", "bias"), channel if affine else None)
    return {**dict.fromkeys(("x", "grad"), dummy(x_shape, dtype)), **each, **pair, "eps": eps}


def _by_fours(var: Array, **_: Any) -> str | None:
    return pixels.refusal(var.shape[0])


statistics = KernelSpec(
    name="batch_norm.statistics",
    package=__name__,
    check=_check_statistics,
    cost=lambda x: Cost(4 * x.size, x.nbytes),
    bound=bounds.batch_statistics,
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:statistics"),
        Version("reference.two_pass", "reference:statistics"),
        Version("cuda.channels_last", "cuda:statistics_channels_last", workspace=cuda.sums_workspace),
        Version("cuda.naive", "cuda:statistics_naive"),
    ),
    oracle="oracle:statistics",
    cases="cases:statistics",
)

forward = KernelSpec(
    name="batch_norm",
    package=__name__,
    check=_check_forward,
    cost=lambda x, **_: Cost(3 * x.size, 2 * x.nbytes),
    bound=bounds.batch_norm,
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:forward"),
        Version("reference.centred", "reference:forward"),
        Version("cuda.channels_last", "cuda:forward_channels_last", _by_fours),
        Version("cuda.naive", "cuda:forward_naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_affine = KernelSpec(
    name="batch_norm.grad_affine",
    package=__name__,
    check=_check_grad_affine,
    cost=lambda grad, x, **_: Cost(4 * x.size, grad.nbytes + x.nbytes),
    bound=bounds.batch_norm_grad_affine,
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:grad_affine"),
        Version("reference.sums", "reference:grad_affine"),
        Version("cuda.channels_last", "cuda:grad_affine_channels_last", workspace=cuda.sums_workspace),
        Version("cuda.naive", "cuda:grad_affine_naive"),
    ),
    oracle="oracle:grad_affine",
    cases="cases:grad_affine",
)

grad_input = KernelSpec(
    name="batch_norm.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, **_: Cost(grad.size, 2 * grad.nbytes),
    bound=bounds.batch_norm_grad_input,
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:grad_input"),
        Version("reference.scaled", "reference:grad_input"),
        Version("cuda.channels_last", "cuda:grad_input_channels_last", _by_fours),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)

grad_input_training = KernelSpec(
    name="batch_norm.grad_input_training",
    package=__name__,
    check=_check_grad_input_training,
    cost=lambda grad, x, **_: Cost(5 * x.size, 3 * x.nbytes),
    bound=bounds.batch_norm_grad_input_training,
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:grad_input_training"),
        Version("reference.centred", "reference:grad_input_training"),
        Version("cuda.channels_last", "cuda:grad_input_training_channels_last", _by_fours),
        Version("cuda.naive", "cuda:grad_input_training_naive"),
    ),
    oracle="oracle:grad_input_training",
    cases="cases:grad_input_training",
)
