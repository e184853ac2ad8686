"""Adaptive average pooling in NumPy: one bin at a time, for all pictures and channels at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..geometry import adaptive_windows


def _bins(sizes: tuple[int, int], bins: tuple[int, int]) -> Iterator[tuple[int, int, slice, slice]]:
    for p, (top, bottom) in enumerate(adaptive_windows(sizes[0], bins[0])):
        for q, (left, right) in enumerate(adaptive_windows(sizes[1], bins[1])):
            yield p, q, slice(top, bottom), slice(left, right)


def forward(x, output_size):
    if x.shape[2:] == tuple(output_size):
        return x.copy(order="K")  # every bin is a pixel
    y = np.empty((*x.shape[:2], *output_size), x.dtype)
    with np.errstate(invalid="ignore"):  # inf - inf
        for p, q, rows, columns in _bins(x.shape[2:], output_size):
            y[:, :, p, q] = x[:, :, rows, columns].mean((2, 3), dtype=np.float64)
    return y


def grad_input(grad, x_shape):
    if grad.shape == tuple(x_shape):
        return grad.copy(order="K")
    gx = np.zeros(x_shape, grad.dtype)
    for p, q, rows, columns in _bins(x_shape[2:], grad.shape[2:]):
        pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
        gx[:, :, rows, columns] += grad[:, :, p, q, None, None] / pixels
    return gx
