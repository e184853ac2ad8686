"""Softmax along one axis and its gradient: y_i = exp(x_i) / sum_j exp(x_j).

`forward(x, axis)`, computed from x minus its maximum, so that large inputs do not overflow;
`grad_input(grad, y, axis)` from the output: y_i (grad_i - sum_j grad_j y_j). Rows that hold a NaN or +inf,
or nothing but -inf, become NaN, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..cuda import rows
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def check_axis(op: str, x: Array, axis: int) -> None:
    """Raises ShapeError unless x has `axis` and something along it."""
    if not isinstance(axis, (int, np.integer)) or not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"{op}: axis {axis!r} does not exist in an array of shape {x.shape}")
    if x.shape[axis] < 1:
        raise ShapeError(f"{op}: axis {axis} of shape {x.shape} is empty; there is nothing to share probability among")


def _check_forward(x: Array, axis: int) -> None:
    check_floats("softmax", x=x)
    check_axis("softmax", x, axis)


def _check_grad_input(grad: Array, y: Array, axis: int) -> None:
    op = "softmax.grad_input"
    check_floats(op, grad=grad, y=y)
    check_axis(op, y, axis)
    check_shape(op, "grad", grad, y.shape, "that of y")


def dummies(dtype: np.dtype, x_shape: tuple[int, ...], axis: int = -1) -> Mapping[str, Any]:
    """Arguments of forward and grad_input for x of this shape."""
    return {**dict.fromkeys(("x", "grad", "y"), dummy(x_shape, dtype)), "axis": axis}


def rows_together(axis: int, x: Array | None = None, y: Array | None = None, **_: Any) -> str | None:
    """Why several threads had better not share a row, or None."""
    return rows.refusal(y if x is None else x, axis)


def short_rows_together(axis: int, x: Array | None = None, y: Array | None = None, **_: Any) -> str | None:
    """The same of the threads of one warp."""
    return rows.refusal(y if x is None else x, axis, rows.SHORT)


forward = KernelSpec(
    name="softmax",
    package=__name__,
    check=_check_forward,
    cost=lambda x, axis: Cost(4 * x.size, 2 * x.nbytes),
    bound=bounds.softmax,
    dummies=dummies,
    versions=(
        Version("reference.shifted", "reference:forward"),
        Version("cuda.warp", "cuda:warp", short_rows_together),
        Version("cuda.block", "cuda:block", rows_together),
        Version("cuda.naive", "cuda:naive"),
        Version("numba_cuda.warp", "cuda_numba:forward_warp"),
        Version("numba_cuda.naive", "cuda_numba:forward_naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="softmax.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, y, axis: Cost(4 * y.size, 3 * y.nbytes),
    bound=bounds.softmax_grad,
    dummies=dummies,
    versions=(
        Version("reference.from_output", "reference:grad_input"),
        Version("cuda.warp", "cuda:grad_input_warp", short_rows_together),
        Version("cuda.block", "cuda:grad_input_block", rows_together),
        Version("cuda.naive", "cuda:grad_input_naive"),
        Version("numba_cuda.warp", "cuda_numba:grad_input_warp"),
        Version("numba_cuda.naive", "cuda_numba:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
