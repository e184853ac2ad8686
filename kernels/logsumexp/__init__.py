"""The logarithm of a sum of exponentials along one or several axes, and its gradient: y = log(sum_j exp(x_j)).

`forward(x, axis, keepdims)`, computed from x minus its maximum, so that large inputs do not overflow.
`grad_input(grad, x, y, axis, keepdims)`: grad exp(x - y). Where the sum is over nothing, or over nothing but -inf, y is
-inf; a +inf makes it +inf, a NaN NaN. The gradients of those -inf that stand alone and of a +inf are NaN. All this
as in PyTorch.

Source: Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions" (2021).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ..cuda import rows
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray
Axes = int | tuple[int, ...]


def axes_of(op: str, x: Array, axis: Any) -> tuple[int, ...]:
    """`axis` (an int or several) as sorted non-negative axes of x; ShapeError where there is no such axis."""
    try:
        axes = tuple(operator.index(a) for a in (axis if isinstance(axis, tuple) else (axis,)))
    except TypeError:
        raise ShapeError(f"{op}: axis must be an int or a tuple of ints; got {axis!r}") from None
    if not axes or any(not -x.ndim <= a < x.ndim for a in axes) or len({a % x.ndim for a in axes}) < len(axes):
        raise ShapeError(f"{op}: axis {axis!r} does not exist, or comes twice, in an array of shape {tuple(x.shape)}")
    return tuple(sorted(a % x.ndim for a in axes))


def _reduced(op: str, x: Array, axis: Any, keepdims: Any) -> tuple[int, ...]:
    """The shape of the result."""
    axes = axes_of(op, x, axis)
    if not isinstance(keepdims, (bool, np.bool_)):
        raise ArgumentError(f"{op}: keepdims must be True or False; got {keepdims!r}")
    return tuple(1 if k in axes else n for k, n in enumerate(x.shape) if keepdims or k not in axes)


def _check_forward(x: Array, axis: Axes, keepdims: bool = False) -> None:
    check_floats("logsumexp", x=x)
    _reduced("logsumexp", x, axis, keepdims)


def _check_grad_input(grad: Array, x: Array, y: Array, axis: Axes, keepdims: bool = False) -> None:
    op = "logsumexp.grad_input"
    check_floats(op, grad=grad, x=x, y=y)
    shape = _reduced(op, x, axis, keepdims)
    check_shape(op, "y", y, shape, f"x of shape {tuple(x.shape)} without axis {axis}")
    check_shape(op, "grad", grad, shape, "that of y")


def _dummies(dtype: np.dtype, x_shape: tuple[int, ...], axis: Axes = -1, keepdims: bool = False) -> Mapping[str, Any]:
    x = dummy(x_shape, dtype)
    y = dummy(_reduced("logsumexp", x, axis, keepdims), dtype)
    return {"x": x, "y": y, "grad": y, "axis": axis, "keepdims": keepdims}


def _rows(x: Array, axis: Axes, **_: Any) -> str | None:
    """Why several threads had better not share a row, or None."""
    return rows.refusal(x, axis)


def _short_rows(x: Array, axis: Axes, **_: Any) -> str | None:
    """The same of the threads of one warp."""
    return rows.refusal(x, axis, rows.SHORT)


forward = KernelSpec(
    name="logsumexp",
    package=__name__,
    check=_check_forward,
    cost=lambda x, **_: Cost(4 * x.size, x.nbytes),
    bound=bounds.logsumexp,
    dummies=_dummies,
    versions=(
        Version("reference.shifted", "reference:forward"),
        Version("cuda.warp", "cuda:warp", _short_rows),
        Version("cuda.block", "cuda:block", _rows),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="logsumexp.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda x, **_: Cost(3 * x.size, 2 * x.nbytes),
    bound=bounds.logsumexp_grad,
    dummies=_dummies,
    versions=(
        Version("reference.from_output", "reference:grad_input"),
        Version("cuda.warp", "cuda:grad_input_warp", _rows),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
