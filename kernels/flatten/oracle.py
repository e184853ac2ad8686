"""Flattening element by element, used by tests alone."""

from __future__ import annotations

import numpy as np


def _columns(shape):
    """Each index into the axes after the first, and the column it goes to."""
    return [(at, column) for column, at in enumerate(np.ndindex(shape[1:]))]


def forward(x):
    columns = _columns(x.shape)
    y = np.zeros((x.shape[0], len(columns)))
    for n in range(x.shape[0]):
        for at, column in columns:
            y[n, column] = float(x[(n, *at)])
    return y


def grad_input(grad, x_shape):
    gx = np.zeros(x_shape)
    for n in range(x_shape[0]):
        for at, column in _columns(x_shape):
            gx[(n, *at)] = float(grad[n, column])
    return gx
