"""One step of Adam or AdamW on arrays of any shape.

    g = grad + weight_decay * p
    m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
    p = p - rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

decoupled (AdamW): g = grad, and p moves by rate * weight_decay * p besides. With the largest second moment so far
(amsgrad) its maximum with v takes the place of v in the last line.

`forward(parameter, grad, first_moment, second_moment, largest_second_moment, step, rate, betas, eps, weight_decay,
decoupled)` -> (parameter, first_moment, second_moment), new arrays, and the largest second moment where one is given
(None otherwise). step: t, how many times the parameter has moved, this time included; betas: (b1, b2). All arrays have
the shape of the parameter, whose memory layout the results have.

Sources: Kingma & Ba, "Adam: a method for stochastic optimization" (2015); Loshchilov & Hutter, "Decoupled weight decay
regularization" (2019); Reddi, Kale & Kumar, "On the convergence of Adam and beyond" (2018); all in PyTorch's form.
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
    first_moment: Array,
    second_moment: Array,
    largest_second_moment: Array | None,
    step: int,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    op = "adam_step"
    arrays = {"grad": grad, "first_moment": first_moment, "second_moment": second_moment}
    if largest_second_moment is not None:
        arrays["largest_second_moment"] = largest_second_moment
    check_floats(op, parameter=parameter, **arrays)
    for name, array in arrays.items():
        check_shape(op, name, array, parameter.shape, "that of parameter")
    check_settings(op, rate=rate, eps=eps, weight_decay=weight_decay, **{f"betas[{i}]": b for i, b in enumerate(betas)})
    if len(betas) != 2 or max(betas) >= 1:
        raise ArgumentError(f"{op}: betas must be two numbers below 1; got {betas!r}")
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 1:
        raise ArgumentError(f"{op}: step must be a whole number from 1; got {step!r}")


def corrections(step: int, betas: tuple[float, float]) -> tuple[float, float]:
    """What the first and the second moment are divided by, since they began as zeros."""
    return 1 - betas[0] ** step, 1 - betas[1] ** step


def _dummies(dtype: np.dtype, x_shape: tuple[int, ...], amsgrad: bool = False) -> dict[str, Any]:
    x = dummy(x_shape, dtype)
    arrays = dict.fromkeys(("parameter", "grad", "first_moment", "second_moment"), x)
    largest = x if amsgrad else None
    settings = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "decoupled": False}
    return {**arrays, "largest_second_moment": largest, "step": 1, "rate": 1e-3, **settings}


def _cost(parameter: Array, largest_second_moment: Array | None, **_: Any) -> Cost:
    return Cost(14 * parameter.size, (7 if largest_second_moment is None else 9) * parameter.nbytes)


forward = KernelSpec(
    name="adam_step",
    package=__name__,
    check=_check,
    cost=_cost,
    bound=bounds.adam_step,
    dummies=_dummies,
    versions=(
        Version("reference.formula", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)
