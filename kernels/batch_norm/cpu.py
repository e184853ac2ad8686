"""Batch normalization in Numba, channels-last: inner loops run over channels, which lie side by side in memory.

Everything reads x once. Sums are taken over blocks of rows (pixels of all pictures, one after the other) that
stay in cache for a second look; which rows make a block depends on the shape alone, and the blocks' sums are
added in order, so results do not depend on the number of threads.

Source of the blocked variance: Chan, Golub & LeVeque, "Algorithms for computing the sample variance: analysis
and recommendations" (1983).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import float64, from_dtype, int64, prange, types

from ..cpu.compiled import compiled
from .reference import mean_gradients, scale

BLOCK_BYTES = 1 << 17  # of x in a block: half of the smallest second-level cache in use
LEAST_ROWS = 16  # a block, so that the blocks' sums stay few beside x


def _statistics(x, block, sums, squares):
    """Of each block of rows: sums of x, and sums of squares of x minus the block's own mean."""
    rows, channels = x.shape
    for task in prange(sums.shape[0]):
        first, last = task * block, min(task * block + block, rows)
        total, square = sums[task], squares[task]
        for row in range(first, last):
            for c in range(channels):
                total[c] += x[row, c]
        mean = total / (last - first)
        for row in range(first, last):
            for c in range(channels):
                off = x[row, c] - mean[c]
                square[c] += off * off


def _affine(x, mean, factor, bias, y):
    rows, channels = x.shape
    for row in prange(rows):
        for c in range(channels):
            y[row, c] = (x[row, c] - mean[c]) * factor[c] + bias[c]


def _grad_affine(grad, x, mean, block, products, sums):
    """Of each block of rows: sums of grad times x minus mean, and sums of grad."""
    rows, channels = x.shape
    for task in prange(sums.shape[0]):
        product, total = products[task], sums[task]
        for row in range(task * block, min(task * block + block, rows)):
            for c in range(channels):
                g = np.float64(grad[row, c])
                product[c] += g * np.float64(x[row, c] - mean[c])
                total[c] += g


def _scaled(grad, factor, gx):
    rows, channels = grad.shape
    for row in prange(rows):
        for c in range(channels):
            gx[row, c] = grad[row, c] * factor[c]


def _grad_input_training(grad, x, mean, offset, slope, factor, gx):
    rows, channels = x.shape
    for row in prange(rows):
        for c in range(channels):
            gx[row, c] = (grad[row, c] - offset[c] - (x[row, c] - mean[c]) * slope[c]) * factor[c]


def _signature(function, real):
    """The types of a function's arguments; arrays are C-ordered, and those only read may be write-protected."""
    read, wrote = (types.Array(real, 2, "C", readonly=readonly) for readonly in (True, False))
    channel, sums = types.Array(real, 1, "C", readonly=True), types.Array(float64, 2, "C")
    return {
        _statistics: (read, int64, sums, sums),
        _affine: (read, channel, channel, channel, wrote),
        _grad_affine: (read, read, channel, int64, sums, sums),
        _scaled: (read, channel, wrote),
        _grad_input_training: (read, read, channel, channel, channel, channel, wrote),
    }[function]


@cache
def _compiled(function, dtype):
    """The machine code for one dtype, whatever the strides and flags of the arrays that come."""
    signature = types.void(*_signature(function, from_dtype(np.dtype(dtype))))
    return compiled(function, signature, parallel=True)


def _rows(x):
    """(N, C, ...) in any strides -> (N ..., C) in C order; no copy if it lies so already."""
    last = np.require(np.moveaxis(x, 1, -1), requirements="CA")
    return last.reshape(-1, x.shape[1]) if x.size else np.empty((0, x.shape[1]), x.dtype)


def _unrows(rows, shape):
    """Back to (N, C, ...), as a channels-last view."""
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def _blocks(rows):
    """Rows a block, and an array of zeros for the sums of each block."""
    block = max(BLOCK_BYTES // max(rows.shape[1] * rows.itemsize, 1), LEAST_ROWS)
    return block, (-(-rows.shape[0] // block), rows.shape[1])


def _flat(*channels):
    """Arrays of one value a channel, in C order."""
    return (np.require(channel, requirements="CA") for channel in channels)


def statistics(x):
    rows = _rows(x)
    block, shape = _blocks(rows)
    sums, squares = np.zeros(shape), np.zeros(shape)
    _compiled(_statistics, x.dtype)(rows, block, sums, squares)
    counts = np.minimum(block, rows.shape[0] - block * np.arange(shape[0]))[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        mean = sums.sum(0) / rows.shape[0]
        between = counts * np.square(sums / counts - mean)
        var = (squares.sum(0) + between.sum(0)) / rows.shape[0]
    return mean.astype(x.dtype), var.astype(x.dtype)


def forward(x, mean, var, weight, bias, eps):
    rows = _rows(x)
    y = np.empty(rows.shape, x.dtype)
    if bias is None:
        bias = np.zeros(x.shape[1], x.dtype)
    _compiled(_affine, x.dtype)(rows, *_flat(mean, scale(var, weight, eps).astype(x.dtype), bias), y)
    return _unrows(y, x.shape)


def grad_affine(grad, x, mean, var, eps):
    rows = _rows(x)
    block, shape = _blocks(rows)
    products, sums = np.zeros(shape), np.zeros(shape)
    _compiled(_grad_affine, x.dtype)(_rows(grad), rows, *_flat(mean), block, products, sums)
    with np.errstate(invalid="ignore", over="ignore"):
        gw = products.sum(0) * scale(var, None, eps)
        return gw.astype(x.dtype), sums.sum(0).astype(x.dtype)


def grad_input(grad, var, weight, eps):
    rows = _rows(grad)
    gx = np.empty(rows.shape, grad.dtype)
    _compiled(_scaled, grad.dtype)(rows, *_flat(scale(var, weight, eps).astype(grad.dtype)), gx)
    return _unrows(gx, grad.shape)


def grad_input_training(grad, x, mean, var, weight, grad_weight, grad_bias, eps):
    rows = _rows(x)
    gx = np.empty(rows.shape, x.dtype)
    each = _flat(mean, *mean_gradients(x, var, grad_weight, grad_bias, eps), scale(var, weight, eps).astype(x.dtype))
    _compiled(_grad_input_training, x.dtype)(_rows(grad), rows, *each, gx)
    return _unrows(gx, x.shape)
