"""A step of SGD in Numba, in one pass over memory on every core, in the formula's order: the reference's bits.

`in_place` is what an optimizer wants: the parameter and its velocity are overwritten.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import boolean, from_dtype, prange, types

from ..backends import BACKENDS
from ..cpu.compiled import compiled
from ..cpu.memory import empty

SHARE = 1 << 14  # numbers that a thread takes at a time


def _stepped(old, grad, velocity, new, kept, rate, momentum, weight_decay, nesterov):
    """new, kept from old, grad, velocity, all flat; velocity of no size: none."""
    for share in prange((old.size + SHARE - 1) // SHARE):
        first, stop = np.uint64(share * SHARE), np.uint64(min((share + 1) * SHARE, old.size))
        for e in range(first, stop):
            slope = grad[e] + weight_decay * old[e] if weight_decay else grad[e]
            if velocity.size:
                speed = momentum * velocity[e] + slope
                kept[e] = speed
                slope = slope + momentum * speed if nesterov else speed
            new[e] = old[e] - rate * slope


@cache
def _compiled(dtype):
    """The machine code for one dtype, whatever the flags of the arrays that come."""
    real = from_dtype(np.dtype(dtype))
    read, written = (types.Array(real, 1, "C", readonly=flag) for flag in (True, False))
    signature = types.void(read, read, read, written, written, real, real, real, boolean)
    return compiled(_stepped, signature, parallel=True)


def _run(parameter, grad, velocity, new, kept, rate, momentum, weight_decay, nesterov):
    number = parameter.dtype.type
    none = np.empty(0, parameter.dtype)
    arrays = (parameter, grad, none if velocity is None else velocity, new, none if kept is None else kept)
    _compiled(parameter.dtype)(
        *(array.reshape(array.size) for array in arrays),
        number(rate), number(momentum), number(weight_decay), bool(nesterov),
    )  # fmt: skip


def forward(parameter, grad, velocity, rate, momentum, weight_decay, nesterov):
    order = sorted(range(parameter.ndim), key=lambda axis: -abs(parameter.strides[axis]))
    plain = [
        None if a is None else np.require(a.transpose(order), requirements="CAW") for a in (parameter, grad, velocity)
    ]
    new, kept = (None if a is None else empty(a.shape, a.dtype) for a in (plain[0], plain[2]))
    _run(*plain, new, kept, rate, momentum, weight_decay, nesterov)
    back = np.argsort(order)
    return tuple(a.transpose(back) for a in (new, kept) if a is not None)


def in_place(parameter, grad, velocity, rate, momentum, weight_decay, nesterov):
    """Overwrites parameter and velocity, which are C-ordered, as `forward` would compute them."""
    grad = np.ascontiguousarray(grad)
    with BACKENDS["cpu"].session():
        _run(parameter, grad, velocity, parameter, velocity, rate, momentum, weight_decay, nesterov)
