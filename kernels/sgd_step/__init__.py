"""One step of stochastic gradient descent, with momentum and L2 weight decay, on arrays of any shape.

    g = grad + weight_decay * p;  v = momentum * v + g;  p = p - rate * v      (nesterov: p - rate * (g + momentum * v))

`forward(parameter, grad, velocity, rate, momentum, weight_decay, nesterov)` -> (parameter, velocity), new arrays;
without momentum velocity is None, and (parameter,) comes back. All arrays have the shape of the parameter, whose memory
layout the results have.

Sources: Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in deep learning" (2013),
with the rate outside the velocity, as in PyTorch; Nesterov, "A method of solving a convex programming problem with
convergence rate O(1/k^2)" (1983).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError
from ..backends import BACKENDS
from ..registry import Cost, KernelSpec, Version, check_floats, check_settings, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def _check(
    parameter: Array,
    grad: Array,
    velocity: Array | None,
    rate: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    op = "sgd_step"
    check_floats(op, parameter=parameter, grad=grad, velocity=velocity)
    check_shape(op, "grad", grad, parameter.shape, "that of parameter")
    check_settings(op, rate=rate, momentum=momentum, weight_decay=weight_decay)
    if (velocity is None) != (momentum == 0):
        found = "None" if velocity is None else "an array"
        raise ArgumentError(f"{op}: velocity is an array with momentum, None without; got {found} and {momentum}")
    if velocity is not None:
        check_shape(op, "velocity", velocity, parameter.shape, "that of parameter")


def _dummies(dtype: np.dtype, x_shape: tuple[int, ...], momentum: float = 0.9) -> dict[str, Any]:
    x = dummy(x_shape, dtype)
    velocity = x if momentum else None
    arrays = {"parameter": x, "grad": x, "velocity": velocity}
    return {**arrays, "rate": 0.01, "momentum": momentum, "weight_decay": 0.0, "nesterov": False}


def _cost(parameter: Array, velocity: Array | None, **_: Any) -> Cost:
    return Cost(6 * parameter.size, (3 if velocity is None else 5) * parameter.nbytes)


def in_place(parameter: Array, grad: Array, velocity: Array | None, **settings: Any) -> bool:
    """Overwrites a parameter and its velocity with what `forward` would return, and says so.

    False, and nothing has happened, where that cannot be: arrays that are not C-ordered, no Numba, a version asked for.
    """
    kept = [a for a in (parameter, velocity) if a is not None]
    if (
        forward.forced()
        or BACKENDS["cpu"].unavailable()
        or not all(a.flags.c_contiguous and a.flags.writeable for a in kept)
    ):
        return False
    from . import cpu

    cpu.in_place(parameter, grad, velocity, **settings)
    return True


forward = KernelSpec(
    name="sgd_step",
    package=__name__,
    check=_check,
    cost=_cost,
    bound=bounds.sgd_step,
    dummies=_dummies,
    versions=(
        Version("cpu.flat", "cpu:forward"),
        Version("reference.formula", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)
