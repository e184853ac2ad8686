"""The rectified linear unit max(x, 0) and its gradient, on arrays of any shape; memory layout is kept.

`forward(x)`; `grad_input(grad, y)` from the output: grad where y > 0, else 0. NaN stays NaN forward and
lets the gradient pass, as in PyTorch.
"""

from __future__ import annotations

import numpy as np

from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def _check_forward(x: Array) -> None:
    check_floats("relu", x=x)


def _check_grad_input(grad: Array, y: Array) -> None:
    check_floats("relu.grad_input", grad=grad, y=y)
    check_shape("relu.grad_input", "grad", grad, y.shape, "that of y")


LEAST = 1 << 14  # numbers: for fewer, NumPy is done before threads have started


def _large(x: Array | None = None, y: Array | None = None, **_: Array) -> str | None:
    size = (y if x is None else x).size  # type: ignore[union-attr]  # one of the two is there
    return f"{size} numbers are too few to share out among threads; from {LEAST} on" if size < LEAST else None


forward = KernelSpec(
    name="relu",
    package=__name__,
    check=_check_forward,
    cost=lambda x: Cost(x.size, 2 * x.nbytes),
    bound=bounds.exact,
    dummies=lambda dtype, x_shape: {"x": dummy(x_shape, dtype)},
    versions=(
        Version("cpu.flat", "cpu:forward", _large, cases="cases:forward_large"),
        Version("reference.maximum", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
        Version("numba_cuda.naive", "cuda_numba:forward"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="relu.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, y: Cost(grad.size, 3 * grad.nbytes),
    bound=bounds.exact,
    dummies=lambda dtype, x_shape: {"grad": dummy(x_shape, dtype), "y": dummy(x_shape, dtype)},
    versions=(
        Version("cpu.flat", "cpu:grad_input", _large, cases="cases:grad_input_large"),
        Version("reference.where", "reference:grad_input"),
        Version("cuda.vector", "cuda:grad_input_vector"),
        Version("cuda.naive", "cuda:grad_input_naive"),
        Version("numba_cuda.naive", "cuda_numba:grad_input"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
