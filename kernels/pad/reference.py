"""Padding in NumPy: the picture is put in the middle, then rows are copied above and below it, then columns beside."""

from __future__ import annotations

import numpy as np


def _inside(g):
    return (..., *(slice(before, before + size) for (before, _), size in zip(g.padding, g.size, strict=True)))


def _border(g, axis):
    """Along one axis of y: the positions of the border, and those of the pixels that it shows, all in the picture."""
    (before, after), size = g.padding[axis], g.size[axis]
    border = np.concatenate([np.arange(before), np.arange(before + size, before + size + after)])
    i = border - before
    if g.mode == "replicate":
        shown = np.clip(i, 0, size - 1)
    elif g.mode == "reflect":
        last = size - 1
        shown = last - np.abs(last - np.abs(i))
    else:
        shown = i % size
    return border, before + shown


def forward(x, geometry, value=0.0):
    g = geometry
    if g.mode == "constant":
        y = np.full_like(x, value, shape=g.y_shape)  # in the memory order of x
        y[_inside(g)] = x
        return y
    y = np.empty_like(x, shape=g.y_shape)
    y[_inside(g)] = x
    columns = _inside(g)[-1]
    for row, shown in zip(*_border(g, 0), strict=True):
        y[:, :, row, columns] = y[:, :, shown, columns]
    border, shown = _border(g, 1)
    y[..., border] = y[..., shown]
    return y


def grad_input(grad, geometry):
    g = geometry
    if g.mode == "constant":
        return grad[_inside(g)]
    total = np.array(grad)  # in the memory order of grad
    with np.errstate(invalid="ignore"):  # inf - inf
        for column, shown in zip(*_border(g, 1), strict=True):
            total[..., shown] += total[..., column]
        for row, shown in zip(*_border(g, 0), strict=True):
            total[:, :, shown] += total[:, :, row]
    return total[_inside(g)]
