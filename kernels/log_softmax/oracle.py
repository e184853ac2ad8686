"""log_softmax and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import math

import numpy as np

from ..softmax.oracle import largest, rows


def forward(x, axis):
    y = np.zeros(x.shape)
    for row in rows(x, axis):
        top = largest(float(x[at]) for at in row)
        log_sum = math.log(math.fsum(math.exp(float(x[at]) - top) for at in row))
        for at in row:
            y[at] = float(x[at]) - top - log_sum
    return y


def grad_input(grad, y, axis):
    gx = np.zeros(y.shape)
    for row in rows(y, axis):
        total = sum(float(grad[at]) for at in row)
        for at in row:
            gx[at] = float(grad[at]) - math.exp(float(y[at])) * total
    return gx
