"""Adaptive average pooling and its gradient from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import numpy as np


def _bin(index, size, bins):
    """The pixels of one bin along one axis, with the floor and the ceiling written out."""
    return range(index * size // bins, ((index + 1) * size + bins - 1) // bins)


def forward(x, output_size):
    y = np.zeros((*x.shape[:2], *output_size))
    for n, c, p, q in np.ndindex(y.shape):
        rows, columns = _bin(p, x.shape[2], output_size[0]), _bin(q, x.shape[3], output_size[1])
        total = 0.0
        for i in rows:
            for j in columns:
                total += float(x[n, c, i, j])
        y[n, c, p, q] = total / (len(rows) * len(columns))
    return y


def grad_input(grad, x_shape):
    gx = np.zeros(x_shape)
    for n, c, p, q in np.ndindex(grad.shape):
        rows, columns = _bin(p, x_shape[2], grad.shape[2]), _bin(q, x_shape[3], grad.shape[3])
        for i in rows:
            for j in columns:
                gx[n, c, i, j] += float(grad[n, c, p, q]) / (len(rows) * len(columns))
    return gx
