"""Dropout with a mask that is a function of a key, and its gradient.

`forward(x, p, keys, stream)`: x (N, ...); p the probability of dropping; keys (N,) uint64, one a picture;
stream an int below 2**32, one a layer. Element e of row n, counted in row-major order of the logical
shape, is dropped (set to 0) if its random number is below round(p 2**32), else divided by 1 - p. The
number is lane e % 4 of Philox4x32-10 with counter (e // 4, stream, 0, 0) and key (low, high half of
keys[n]): so a picture's mask depends neither on its batch nor on memory layout nor on the order of work.
`grad_input(grad, p, keys, stream)` applies the same mask again; nothing need be kept.

Sources: Srivastava et al., "Dropout" (2014); Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as
easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, check_share, dummy
from ..verify import bounds

Array = np.ndarray


def threshold(p: float) -> int:
    """A uint32 below this drops its element."""
    return round(p * 2**32)


def scale(p: float) -> float:
    """What a kept element is multiplied by; nothing is kept at p = 1."""
    return 1 / (1 - p) if p < 1 else 0.0


def _check(op: str, name: str, x: Array, p: float, keys: Array, stream: int) -> None:
    check_floats(op, **{name: x})
    if x.ndim < 1:
        raise ShapeError(f"{op}: {name} must have at least one axis, the batch; got a scalar")
    check_share(op, "p", p)
    if keys.dtype != np.uint64:
        raise ShapeError(f"{op}: keys must be uint64, one a picture; got dtype {keys.dtype}")
    check_shape(op, "keys", keys, x.shape[:1], f"one for each row of {name} of shape {x.shape}")
    if not 0 <= operator.index(stream) < 2**32:
        raise ArgumentError(f"{op}: stream must be an int from 0 to 2**32 - 1; got {stream}")


def _check_forward(x: Array, p: float, keys: Array, stream: int) -> None:
    _check("dropout", "x", x, p, keys, stream)


def _check_grad_input(grad: Array, p: float, keys: Array, stream: int) -> None:
    _check("dropout.grad_input", "grad", grad, p, keys, stream)


def _dummies(name: str):
    def dummies(dtype: np.dtype, x_shape: tuple[int, ...], p: float = 0.5) -> Mapping[str, Any]:
        keys = dummy(x_shape[:1], np.dtype(np.uint64))
        return {name: dummy(x_shape, dtype), "p": p, "keys": keys, "stream": 0}

    return dummies


forward = KernelSpec(
    name="dropout",
    package=__name__,
    check=_check_forward,
    cost=lambda x, **_: Cost(x.size, 2 * x.nbytes),
    bound=bounds.scaled_once,
    dummies=_dummies("x"),
    versions=(
        Version("reference.philox", "reference:forward"),
        Version("cuda.vector", "cuda:vector"),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="dropout.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, **_: Cost(grad.size, 2 * grad.nbytes),
    bound=bounds.scaled_once,
    dummies=_dummies("grad"),
    versions=(
        Version("reference.philox", "reference:grad_input"),
        Version("cuda.vector", "cuda:grad_input_vector"),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
