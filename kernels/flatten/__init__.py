"""All axes but the first made one, in row-major order of the logical shape, and its gradient.

`forward(x)`: (N, ...) -> (N, product of the rest); the order does not depend on strides, so dense weights
mean the same whatever the memory layout. `grad_input(grad, x_shape)` gives the shape back.
"""

from __future__ import annotations

import math

import numpy as np

from ...errors import ShapeError
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds
from . import cuda

Array = np.ndarray


def _check_forward(x: Array) -> None:
    check_floats("flatten", x=x)
    if x.ndim < 1:
        raise ShapeError("flatten: x must have at least one axis, the batch; got a scalar")


def _check_grad_input(grad: Array, x_shape: tuple[int, ...]) -> None:
    op = "flatten.grad_input"
    check_floats(op, grad=grad)
    check_shape(op, "grad", grad, (x_shape[0], math.prod(x_shape[1:])), f"x has shape {tuple(x_shape)}")


forward = KernelSpec(
    name="flatten",
    package=__name__,
    check=_check_forward,
    cost=lambda x: Cost(0, 2 * x.nbytes),
    bound=bounds.exact,
    dummies=lambda dtype, x_shape: {"x": dummy(x_shape, dtype)},
    versions=(
        Version("reference.reshape", "reference:forward"),
        Version("cuda.tiles", "cuda:tiles", cuda.tiles_serves),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="flatten.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, x_shape: Cost(0, 2 * grad.nbytes),
    bound=bounds.exact,
    dummies=lambda dtype, x_shape: {
        "grad": dummy((x_shape[0], math.prod(x_shape[1:])), dtype),
        "x_shape": tuple(x_shape),
    },
    versions=(Version("reference.reshape", "reference:grad_input"), Version("cuda.view", "cuda:view")),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
