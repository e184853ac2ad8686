"""Joining and cutting arrays element by element, used by tests alone."""

from __future__ import annotations

import numpy as np


def _offsets(sizes):
    return [sum(sizes[:i]) for i in range(len(sizes))]


def forward(xs, axis):
    axis %= xs[0].ndim
    sizes = [x.shape[axis] for x in xs]
    y = np.zeros((*xs[0].shape[:axis], sum(sizes), *xs[0].shape[axis + 1 :]))
    for x, offset in zip(xs, _offsets(sizes), strict=True):
        for at in np.ndindex(x.shape):
            y[(*at[:axis], at[axis] + offset, *at[axis + 1 :])] = float(x[at])
    return y


def grad_input(grad, sizes, axis):
    axis %= grad.ndim
    parts = []
    for size, offset in zip(sizes, _offsets(sizes), strict=True):
        part = np.zeros((*grad.shape[:axis], size, *grad.shape[axis + 1 :]))
        for at in np.ndindex(part.shape):
            part[at] = float(grad[(*at[:axis], at[axis] + offset, *at[axis + 1 :])])
        parts.append(part)
    return tuple(parts)
