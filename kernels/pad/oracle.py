"""Padding and its gradient from the definition: one pixel at a time, used by tests alone."""

from __future__ import annotations

import numpy as np


def _shown(position, size, mode):
    """The pixel that stands at a position along one axis, counted from the first pixel; None in a constant border."""
    while not 0 <= position < size:
        if mode == "constant":
            return None
        if mode == "replicate":
            position = 0 if position < 0 else size - 1
        elif mode == "reflect":
            position = -position if position < 0 else 2 * (size - 1) - position
        else:
            position += size if position < 0 else -size
    return position


def _pixels(g):
    """(at in y, at in x or None) for every pixel of a padded plane."""
    for p in range(g.output[0]):
        for q in range(g.output[1]):
            i = _shown(p - g.padding[0][0], g.size[0], g.mode)
            j = _shown(q - g.padding[1][0], g.size[1], g.mode)
            yield (p, q), None if i is None or j is None else (i, j)


def forward(x, geometry, value=0.0):
    y = np.zeros(geometry.y_shape)
    for n, c in np.ndindex(geometry.x_shape[:2]):
        for at, source in _pixels(geometry):
            y[(n, c, *at)] = float(x.dtype.type(value) if source is None else x[(n, c, *source)])
    return y


def grad_input(grad, geometry):
    gx = np.zeros(geometry.x_shape)
    for n, c in np.ndindex(geometry.x_shape[:2]):
        for at, source in _pixels(geometry):
            if source is not None:
                gx[(n, c, *source)] = float(gx[(n, c, *source)]) + float(grad[(n, c, *at)])
    return gx
