"""Log-sum-exp and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import itertools
import math

import numpy as np

from ..softmax.oracle import largest


def _kept_shape(x, axis):
    """The shape of the result with the summed axes kept, of length 1."""
    axes = {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))}
    return [1 if k in axes else n for k, n in enumerate(x.shape)], axes


def _places(x, axis):
    """For every element of the result, axes kept: its index, and the indices that are summed into it."""
    shape, axes = _kept_shape(x, axis)
    for at in np.ndindex(*shape):
        yield at, list(itertools.product(*(range(n) if k in axes else [at[k]] for k, n in enumerate(x.shape))))


def _log_sum_exp(values):
    top = largest(values)
    if math.isinf(top):  # inf - inf would be NaN
        return top
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def forward(x, axis, keepdims):
    shape, axes = _kept_shape(x, axis)
    y = np.zeros(shape)
    for at, row in _places(x, axis):
        y[at] = _log_sum_exp([float(x[place]) for place in row])
    return y if keepdims else y.reshape([n for k, n in enumerate(x.shape) if k not in axes])


def grad_input(grad, x, y, axis, keepdims):
    gx = np.zeros(x.shape)
    shape, _ = _kept_shape(x, axis)
    grad, y = grad.reshape(shape), y.reshape(shape)
    for at, row in _places(x, axis):
        for place in row:
            gx[place] = float(grad[at]) * math.exp(float(x[place]) - float(y[at]))
    return gx
