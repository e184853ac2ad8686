"""One step of RMSprop on arrays of any shape.

    g = grad + weight_decay * p;  s = alpha * s + (1 - alpha) * g^2;  u = g / (sqrt(s) + eps)
    v = momentum * v + u;  p = p - rate * v

With the running mean gradient m = alpha * m + (1 - alpha) * g (centered) m^2 is taken from s in u, which leaves the
variance; where rounding makes that negative it is 0.

`forward(parameter, grad, mean_square, mean_gradient, velocity, rate, alpha, eps, weight_decay, momentum)` ->
(parameter, mean_square), new arrays, and the mean gradient and the velocity, in this order, where they are given: the
mean gradient or None; the velocity with momentum, None without. All arrays have the shape of the parameter, whose
memory layout the results have.

Sources: Tieleman & Hinton, "Lecture 6.5: RMSProp", COURSERA: Neural Networks for Machine Learning (2012); Graves,
"Generating sequences with recurrent neural networks" (2013), for the centered form; in PyTorch's form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError
from ..registry import Cost, KernelSpec, Version, check_floats, check_settings, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def _check(
    parameter: Array,
    grad: Array,
    mean_square: Array,
    mean_gradient: Array | None,
    velocity: Array | None,
    rate: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
) -> None:
    op = "rmsprop_step"
    arrays = {"grad": grad, "mean_square": mean_square, "mean_gradient": mean_gradient, "velocity": velocity}
    check_floats(op, parameter=parameter, **arrays)
    for name, array in arrays.items():
        if array is not None:
            check_shape(op, name, array, parameter.shape, "that of parameter")
    check_settings(op, rate=rate, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
    if alpha >= 1:
        raise ArgumentError(f"{op}: alpha must be below 1; got {alpha!r}")
    if (velocity is None) != (momentum == 0):
        found = "None" if velocity is None else "an array"
        raise ArgumentError(f"{op}: velocity is an array with momentum, None without; got {found} and {momentum}")


def _dummies(
    dtype: np.dtype, x_shape: tuple[int, ...], centered: bool = False, momentum: float = 0.0
) -> dict[str, Any]:
    x = dummy(x_shape, dtype)
    arrays = {"parameter": x, "grad": x, "mean_square": x, "mean_gradient": x if centered else None}
    settings = {"rate": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": momentum}
    return {**arrays, "velocity": x if momentum else None, **settings}


def _cost(parameter: Array, mean_gradient: Array | None, velocity: Array | None, **_: Any) -> Cost:
    kept = 1 + (mean_gradient is not None) + (velocity is not None)
    return Cost(12 * parameter.size, (3 + 2 * kept) * parameter.nbytes)


forward = KernelSpec(
    name="rmsprop_step",
    package=__name__,
    check=_check,
    cost=_cost,
    bound=bounds.rmsprop_step,
    dummies=_dummies,
    versions=(
        Version("reference.formula", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)
