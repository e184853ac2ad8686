"""Softmax and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np


def rows(x, axis):
    """Indices of every row along `axis`: lists of positions that differ in that axis alone."""
    axis %= x.ndim
    around = (*x.shape[:axis], *x.shape[axis + 1 :])
    for at in np.ndindex(around):
        yield [(*at[:axis], i, *at[axis:]) for i in range(x.shape[axis])]


def largest(values):
    """The largest value, NaN if there is one."""
    best = -math.inf
    for value in values:
        if math.isnan(value) or value > best:
            best = value
    return best


def forward(x, axis):
    y = np.zeros(x.shape)
    for row in rows(x, axis):
        top = largest(float(x[at]) for at in row)
        powers = [math.exp(float(x[at]) - top) for at in row]
        for at, power in zip(row, powers, strict=True):
            y[at] = power / math.fsum(powers)
    return y


def grad_input(grad, y, axis):
    gx = np.zeros(y.shape)
    for row in rows(y, axis):
        dot = sum(float(grad[at]) * float(y[at]) for at in row)
        for at in row:
            gx[at] = float(y[at]) * (float(grad[at]) - dot)
    return gx
