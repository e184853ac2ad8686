"""The Gaussian error linear unit and its gradient, on arrays of any shape; memory layout is kept.

With Phi the distribution function of the standard normal distribution and phi its density,

    approximate="none":  y = x Phi(x)                    y' = Phi(x) + x phi(x)
    approximate="tanh":  y = x (1 + tanh(u)) / 2         u = sqrt(2 / pi) (x + 0.044715 x^3)

`forward(x, approximate)`; `grad_input(grad, x, approximate)`. (1 + tanh(u)) / 2 is taken as the logistic function of
2u, and Phi(x) as half the complementary error function of -x / sqrt(2): neither cancels on the left, so small
results keep their digits. NaN stays NaN; -inf becomes NaN (it is -inf times 0), as in PyTorch.

Source: Hendrycks & Gimpel, "Gaussian Error Linear Units" (2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray

APPROXIMATIONS = ("none", "tanh")


def _check_approximate(op: str, approximate: Any) -> None:
    if approximate not in APPROXIMATIONS:
        raise ArgumentError(f'{op}: approximate must be "none" or "tanh"; got {approximate!r}')


def _check_forward(x: Array, approximate: str) -> None:
    check_floats("gelu", x=x)
    _check_approximate("gelu", approximate)


def _check_grad_input(grad: Array, x: Array, approximate: str) -> None:
    op = "gelu.grad_input"
    check_floats(op, grad=grad, x=x)
    check_shape(op, "grad", grad, x.shape, "that of x")
    _check_approximate(op, approximate)


def _dummies(dtype: np.dtype, x_shape: tuple[int, ...], approximate: str = "none") -> dict[str, Any]:
    return {"x": dummy(x_shape, dtype), "grad": dummy(x_shape, dtype), "approximate": approximate}


forward = KernelSpec(
    name="gelu",
    package=__name__,
    check=_check_forward,
    cost=lambda x, **_: Cost(10 * x.size, 2 * x.nbytes),
    bound=bounds.gelu,
    dummies=_dummies,
    versions=(
        Version("reference.tails", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="gelu.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda x, **_: Cost(20 * x.size, 3 * x.nbytes),
    bound=bounds.gelu_grad,
    dummies=_dummies,
    versions=(
        Version("reference.tails", "reference:grad_input"),
        Version("cuda.vector", "cuda:grad_input_vector"),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
