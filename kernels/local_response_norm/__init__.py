"""Local response normalization across channels, and its gradient.

`forward(x, size, alpha, beta, k)`: x (N, C, H, W) -> y of the same shape,

    y_c = x_c / d_c**beta,    d_c = k + alpha / size * sum of x_j**2 over c - size // 2 <= j <= c + (size - 1) // 2

The window is cut at the first and the last channel. It is that of torch.nn.functional.local_response_norm, for even
sizes too, and Caffe's, which takes odd sizes alone. `grad_input(grad, x, size, alpha, beta, k)`:

    grad_c d_c**-beta - 2 alpha / size beta x_c sum of grad_j x_j d_j**(-beta - 1) over the windows j that hold c

alpha is divided by size, as in PyTorch and Caffe. The paper does not divide: its alpha = 1e-4 with n = 5 and k = 2
is alpha = 5e-4 here (Caffe's AlexNet has alpha = 1e-4, k = 1). TensorFlow's depth_radius r is size = 2 r + 1, and
its alpha is undivided too. NaN and infinity spread over the windows that hold them, as in PyTorch; where k = 0 and
a whole window is 0, y is NaN.

Any strides; cpu.channels_last and cuda.shared work channels-last and return channels-last views.

Source: Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012),
section 3.3.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds
from . import cuda

Array = np.ndarray


def _check_window(op: str, name: str, x: Array, size: int, **factors: float) -> None:
    if x.ndim != 4:
        raise ShapeError(f"{op}: {name} must have 4 axes (N, C, H, W); got shape {tuple(x.shape)}")
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ArgumentError(f"{op}: size must be an int from 1, the channels in a window; got {size!r}")
    for factor, value in factors.items():
        if not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
            raise ArgumentError(f"{op}: {factor} must be a finite number from 0; got {value!r}")


def _check_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> None:
    op = "local_response_norm"
    check_floats(op, x=x)
    _check_window(op, "x", x, size, alpha=alpha, beta=beta, k=k)


def _check_grad_input(grad: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> None:
    op = "local_response_norm.grad_input"
    check_floats(op, grad=grad, x=x)
    _check_window(op, "x", x, size, alpha=alpha, beta=beta, k=k)
    check_shape(op, "grad", grad, x.shape, "that of x")


def _dummies(
    dtype: np.dtype, x_shape: tuple[int, ...], size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Mapping[str, Any]:
    array = dummy(x_shape, dtype)
    return {"x": array, "grad": array, "size": size, "alpha": alpha, "beta": beta, "k": k}


# A square and an addition a neighbour; a power counts as one operation.
forward = KernelSpec(
    name="local_response_norm",
    package=__name__,
    check=_check_forward,
    cost=lambda x, size, **_: Cost((2 * size + 4) * x.size, 2 * x.nbytes),
    bound=bounds.local_response_norm,
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:forward"),
        Version("reference.window", "reference:forward"),
        Version("cuda.shared", "cuda:forward_shared", cuda.serves),
        Version("cuda.naive", "cuda:forward_naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="local_response_norm.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, x, size, **_: Cost((3 * size + 10) * x.size, 3 * x.nbytes),
    bound=bounds.local_response_norm_grad,
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:grad_input"),
        Version("reference.window", "reference:grad_input"),
        Version("cuda.shared", "cuda:grad_input_shared", cuda.grad_input_serves),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
