"""The leaky rectified linear unit and its gradient, on arrays of any shape; memory layout is kept.

`forward(x, negative_slope)`: x where x > 0, else negative_slope x. `grad_input(grad, x, negative_slope)`: grad
where x > 0, else negative_slope grad (at 0 and at NaN too, as in PyTorch). NaN stays NaN.

Source: Maas, Hannun & Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models" (2013).
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def _check_slope(op: str, slope: Any) -> None:
    if not isinstance(slope, numbers.Real) or not math.isfinite(slope):
        raise ArgumentError(f"{op}: negative_slope must be a finite number; got {slope!r}")


def _check_forward(x: Array, negative_slope: float) -> None:
    check_floats("leaky_relu", x=x)
    _check_slope("leaky_relu", negative_slope)


def _check_grad_input(grad: Array, x: Array, negative_slope: float) -> None:
    op = "leaky_relu.grad_input"
    check_floats(op, grad=grad, x=x)
    check_shape(op, "grad", grad, x.shape, "that of x")
    _check_slope(op, negative_slope)


def _dummies(dtype: np.dtype, x_shape: tuple[int, ...], negative_slope: float = 0.01) -> dict[str, Any]:
    return {"x": dummy(x_shape, dtype), "grad": dummy(x_shape, dtype), "negative_slope": negative_slope}


forward = KernelSpec(
    name="leaky_relu",
    package=__name__,
    check=_check_forward,
    cost=lambda x, **_: Cost(x.size, 2 * x.nbytes),
    bound=bounds.scaled_once,
    dummies=_dummies,
    versions=(
        Version("reference.maximum", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="leaky_relu.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda x, **_: Cost(x.size, 3 * x.nbytes),
    bound=bounds.scaled_once,
    dummies=_dummies,
    versions=(
        Version("reference.factor", "reference:grad_input"),
        Version("cuda.vector", "cuda:grad_input_vector"),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
