"""Launchers of adaptive_avg_pool2d.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import ceil_div, channels_last, empty, pixels, source, strides

SOURCE = source(__file__, "adaptive_avg_pool2d.cu")
BLOCK = 128
TILE = 32  # channels that a block of the channels-last kernel sums


def forward_naive(x, output_size):
    y = empty((*x.shape[:2], *output_size), x.dtype, like=x)
    SOURCE.launch(
        "adaptive_avg_pool2d_naive", ceil_div(y.size, BLOCK), BLOCK,
        x, y, *x.shape, *output_size, strides(x), real=x.dtype,
    )  # fmt: skip
    return y


def forward_channels_last(x, output_size):
    n, c, h, w = x.shape
    p, q = output_size
    y = empty((n, c, p, q), x.dtype, like=x, channels_last=True)
    SOURCE.launch(
        "adaptive_avg_pool2d_channels_last", n * p * q * ceil_div(c, TILE), BLOCK,
        channels_last(x), y, c, h, w, p, q, real=x.dtype,
    )  # fmt: skip
    return y


def grad_input_naive(grad, x_shape):
    gx = empty(x_shape, grad.dtype, like=grad)
    SOURCE.launch(
        "adaptive_avg_pool2d_grad_input_naive", ceil_div(gx.size, BLOCK), BLOCK,
        grad, gx, *x_shape, *grad.shape[2:], strides(grad), real=grad.dtype,
    )  # fmt: skip
    return gx


def grad_input_channels_last(grad, x_shape):
    gx = empty(x_shape, grad.dtype, like=grad, channels_last=True)
    SOURCE.launch(
        "adaptive_avg_pool2d_grad_input_channels_last", pixels.blocks(x_shape, BLOCK), BLOCK,
        channels_last(grad), gx, *x_shape[1:], *grad.shape[2:], real=grad.dtype,
    )  # fmt: skip
    return gx
