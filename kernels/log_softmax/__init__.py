"""The logarithm of softmax along one axis and its gradient: y_i = x_i - log(sum_j exp(x_j)).

`forward(x, axis)`, computed from x minus its maximum; accurate where softmax itself underflows.
`grad_input(grad, y, axis)` from the output: grad_i - exp(y_i) sum_j grad_j. Rows that hold a NaN or +inf,
or nothing but -inf, become NaN, as in PyTorch.
"""

from __future__ import annotations

import numpy as np

from ..registry import Cost, KernelSpec, Version, check_floats, check_shape
from ..softmax import check_axis, dummies, rows_together, short_rows_together
from ..verify import bounds

Array = np.ndarray


def _check_forward(x: Array, axis: int) -> None:
    check_floats("log_softmax", x=x)
    check_axis("log_softmax", x, axis)


def _check_grad_input(grad: Array, y: Array, axis: int) -> None:
    op = "log_softmax.grad_input"
    check_floats(op, grad=grad, y=y)
    check_axis(op, y, axis)
    check_shape(op, "grad", grad, y.shape, "that of y")


forward = KernelSpec(
    name="log_softmax",
    package=__name__,
    check=_check_forward,
    cost=lambda x, axis: Cost(4 * x.size, 2 * x.nbytes),
    bound=bounds.log_softmax,
    dummies=dummies,
    versions=(
        Version("reference.shifted", "reference:forward"),
        Version("cuda.warp", "cuda:warp", short_rows_together),
        Version("cuda.block", "cuda:block", rows_together),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="log_softmax.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, y, axis: Cost(4 * y.size, 3 * y.nbytes),
    bound=bounds.log_softmax_grad,
    dummies=dummies,
    versions=(
        Version("reference.from_output", "reference:grad_input"),
        Version("cuda.warp", "cuda:grad_input_warp", short_rows_together),
        Version("cuda.block", "cuda:grad_input_block", rows_together),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
