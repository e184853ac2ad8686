"""The hyperbolic tangent and its gradient, on arrays of any shape; memory layout is kept.

`forward(x)`; `grad_input(grad, y)` from the output: grad (1 - y) (1 + y), which is grad (1 - y^2) without the
digits that 1 - y^2 loses where y is near 1 or -1. NaN stays NaN; -inf and inf become -1 and 1.
"""

from __future__ import annotations

import numpy as np

from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def _check_forward(x: Array) -> None:
    check_floats("tanh", x=x)


def _check_grad_input(grad: Array, y: Array) -> None:
    check_floats("tanh.grad_input", grad=grad, y=y)
    check_shape("tanh.grad_input", "grad", grad, y.shape, "that of y")


forward = KernelSpec(
    name="tanh",
    package=__name__,
    check=_check_forward,
    cost=lambda x: Cost(x.size, 2 * x.nbytes),
    bound=bounds.tanh,
    dummies=lambda dtype, x_shape: {"x": dummy(x_shape, dtype)},
    versions=(
        Version("reference.numpy", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="tanh.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, y: Cost(3 * y.size, 3 * y.nbytes),
    bound=bounds.tanh_grad,
    dummies=lambda dtype, x_shape: {"grad": dummy(x_shape, dtype), "y": dummy(x_shape, dtype)},
    versions=(
        Version("reference.from_output", "reference:grad_input"),
        Version("cuda.vector", "cuda:grad_input_vector"),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
