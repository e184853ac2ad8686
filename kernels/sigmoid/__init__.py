"""The logistic function 1 / (1 + exp(-x)) and its gradient, on arrays of any shape; memory layout is kept.

`forward(x)` takes exponentials of -|x| alone, so nothing overflows and the tail on the left keeps its digits.
`grad_input(grad, y)` from the output: grad y (1 - y). NaN stays NaN; -inf and inf become 0 and 1.
"""

from __future__ import annotations

import numpy as np

from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def _check_forward(x: Array) -> None:
    check_floats("sigmoid", x=x)


def _check_grad_input(grad: Array, y: Array) -> None:
    check_floats("sigmoid.grad_input", grad=grad, y=y)
    check_shape("sigmoid.grad_input", "grad", grad, y.shape, "that of y")


forward = KernelSpec(
    name="sigmoid",
    package=__name__,
    check=_check_forward,
    cost=lambda x: Cost(4 * x.size, 2 * x.nbytes),
    bound=bounds.sigmoid,
    dummies=lambda dtype, x_shape: {"x": dummy(x_shape, dtype)},
    versions=(
        Version("reference.exponential", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="sigmoid.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, y: Cost(3 * y.size, 3 * y.nbytes),
    bound=bounds.sigmoid_grad,
    dummies=lambda dtype, x_shape: {"grad": dummy(x_shape, dtype), "y": dummy(x_shape, dtype)},
    versions=(
        Version("reference.from_output", "reference:grad_input"),
        Version("cuda.vector", "cuda:grad_input_vector"),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
