"""Launchers of batch_norm.cu: one a version of each part, with the signature of the part."""

from __future__ import annotations

import math

from ..cuda import ceil_div, channels_last, contiguous, empty, pixels, source, strides

SOURCE = source(__file__, "batch_norm.cu")
BLOCK = 128
TILE, SUMMERS = 32, 256  # channels, and threads, of a block that sums
MANY_ROWS = 4096  # from which on there are enough blocks, and each may take more rows
FINISHERS = 128  # threads of a block that adds up what the blocks found


def _four(x):
    """(N, C) as (N, C, 1, 1)."""
    return x if x.ndim == 4 else x[:, :, None, None]


def _rows(x):
    return math.prod((x.shape[0], *x.shape[2:]))


def _each(*channels):
    """Arrays of one value a channel, or None."""
    return (None if channel is None else contiguous(channel) for channel in channels)


def _channel(x):
    return empty(x.shape[1:2], x.dtype, like=x)


def _like(x, last=False):
    """An array for a result of the shape of x, seen as (N, C, H, W)."""
    return empty(_four(x).shape, x.dtype, like=x, channels_last=last)


def _of_shape(y, x):
    return y if x.ndim == 4 else y[:, :, 0, 0]


# ---- One thread an output --------------------------------------------------------------------------------------------


def statistics_naive(x):
    mean, var, x4 = _channel(x), _channel(x), _four(x)
    SOURCE.launch(
        "batch_norm_statistics_naive", ceil_div(x.shape[1], BLOCK), BLOCK,
        x4, mean, var, *x4.shape, strides(x4), real=x.dtype,
    )  # fmt: skip
    return mean, var


def forward_naive(x, mean, var, weight, bias, eps):
    y, x4 = _like(x), _four(x)
    SOURCE.launch(
        "batch_norm_naive", ceil_div(y.size, BLOCK), BLOCK,
        x4, *_each(mean, var, weight, bias), y, *x4.shape, strides(x4), eps, real=x.dtype,
    )  # fmt: skip
    return _of_shape(y, x)


def grad_affine_naive(grad, x, mean, var, eps):
    grad_weight, grad_bias, grad4, x4 = _channel(x), _channel(x), _four(grad), _four(x)
    SOURCE.launch(
        "batch_norm_grad_affine_naive", ceil_div(x.shape[1], BLOCK), BLOCK,
        grad4, x4, *_each(mean, var), grad_weight, grad_bias, *x4.shape, strides(grad4), strides(x4), eps,
        real=x.dtype,
    )  # fmt: skip
    return grad_weight, grad_bias


def grad_input_naive(grad, var, weight, eps):
    gx, grad4 = _like(grad), _four(grad)
    SOURCE.launch(
        "batch_norm_grad_input_naive", ceil_div(gx.size, BLOCK), BLOCK,
        grad4, *_each(var, weight), gx, *grad4.shape, strides(grad4), eps, real=grad.dtype,
    )  # fmt: skip
    return _of_shape(gx, grad)


def grad_input_training_naive(grad, x, mean, var, weight, grad_weight, grad_bias, eps):
    gx, grad4, x4 = _like(x), _four(grad), _four(x)
    SOURCE.launch(
        "batch_norm_grad_input_training_naive", ceil_div(gx.size, BLOCK), BLOCK,
        grad4, x4, *_each(mean, var, weight, grad_weight, grad_bias), gx, *x4.shape, strides(grad4), strides(x4), eps,
        real=x.dtype,
    )  # fmt: skip
    return _of_shape(gx, x)


# ---- Channels-last ---------------------------------------------------------------------------------------------------


def _split(x):
    """Rows of x that a block sums, and how many blocks that makes."""
    per = 128 if _rows(x) >= MANY_ROWS else 32
    return per, ceil_div(_rows(x), per)


def sums_workspace(x, **_):
    """Bytes for two sums, in float64, of each block of rows of each channel."""
    return 2 * 8 * x.shape[1] * _split(x)[1]


def _block_sums(x):
    return tuple(empty((x.shape[1], _split(x)[1]), "float64", like=x) for _ in range(2))


def statistics_channels_last(x):
    mean, var, (sums, squares) = _channel(x), _channel(x), _block_sums(x)
    rows, channels, (per, blocks) = _rows(x), x.shape[1], _split(x)
    SOURCE.launch(
        "batch_norm_statistics_blocks", ceil_div(channels, TILE) * blocks, SUMMERS,
        channels_last(_four(x)), sums, squares, rows, channels, per, blocks, real=x.dtype,
    )  # fmt: skip
    SOURCE.launch(
        "batch_norm_statistics_finish", channels, FINISHERS,
        sums, squares, mean, var, rows, per, blocks, real=x.dtype,
    )  # fmt: skip
    return mean, var


def grad_affine_channels_last(grad, x, mean, var, eps):
    grad_weight, grad_bias, (products, sums) = _channel(x), _channel(x), _block_sums(x)
    rows, channels, (per, blocks) = _rows(x), x.shape[1], _split(x)
    SOURCE.launch(
        "batch_norm_grad_affine_blocks", ceil_div(channels, TILE) * blocks, SUMMERS,
        channels_last(_four(grad)), channels_last(_four(x)), *_each(mean), products, sums, rows, channels, per, blocks,
        real=x.dtype,
    )  # fmt: skip
    SOURCE.launch(
        "batch_norm_grad_affine_finish", channels, FINISHERS,
        products, sums, *_each(var), grad_weight, grad_bias, blocks, eps, real=x.dtype,
    )  # fmt: skip
    return grad_weight, grad_bias


def _walk(x):
    return pixels.walk(_rows(x), x.shape[1] // pixels.CHANNELS, BLOCK)


def forward_channels_last(x, mean, var, weight, bias, eps):
    y, (blocks, threads, across) = _like(x, last=True), _walk(x)
    SOURCE.launch(
        "batch_norm_channels_last", blocks, threads,
        channels_last(_four(x)), *_each(mean, var, weight, bias), y, _rows(x), x.shape[1], across, eps, real=x.dtype,
    )  # fmt: skip
    return _of_shape(y, x)


def grad_input_channels_last(grad, var, weight, eps):
    gx, (blocks, threads, across) = _like(grad, last=True), _walk(grad)
    SOURCE.launch(
        "batch_norm_grad_input_channels_last", blocks, threads,
        channels_last(_four(grad)), *_each(var, weight), gx, _rows(grad), grad.shape[1], across, eps, real=grad.dtype,
    )  # fmt: skip
    return _of_shape(gx, grad)


def grad_input_training_channels_last(grad, x, mean, var, weight, grad_weight, grad_bias, eps):
    gx, (blocks, threads, across) = _like(x, last=True), _walk(x)
    SOURCE.launch(
        "batch_norm_grad_input_training_channels_last", blocks, threads,
        channels_last(_four(grad)), channels_last(_four(x)), *_each(mean, var, weight, grad_weight, grad_bias), gx,
        _rows(x), x.shape[1], across, eps, real=x.dtype,
    )  # fmt: skip
    return _of_shape(gx, x)
