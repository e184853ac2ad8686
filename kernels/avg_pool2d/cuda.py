"""Launchers of avg_pool2d.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import ceil_div, channels_last, empty, pixels, pool_struct, source, strides

SOURCE = source(__file__, "avg_pool2d.cu")
BLOCK = 128


def _divisor(geometry, count_include_pad, divisor_override):
    """Of `struct Areas`: whether padding counts, how much of it there is behind the picture, a divisor or 0."""
    (_, bottom), (_, right) = geometry.padding
    return count_include_pad, bottom, right, divisor_override or 0


def forward_naive(x, geometry, count_include_pad=True, divisor_override=None):
    y = empty(geometry.y_shape, x.dtype, like=x)
    SOURCE.launch(
        "avg_pool2d_naive", ceil_div(y.size, BLOCK), BLOCK,
        x, y, pool_struct(geometry), strides(x), *_divisor(geometry, count_include_pad, divisor_override),
        real=x.dtype,
    )  # fmt: skip
    return y


def forward_channels_last(x, geometry, count_include_pad=True, divisor_override=None):
    y = empty(geometry.y_shape, x.dtype, like=x, channels_last=True)
    SOURCE.launch(
        "avg_pool2d_channels_last", pixels.blocks(geometry.y_shape, BLOCK), BLOCK,
        channels_last(x), y, pool_struct(geometry), *_divisor(geometry, count_include_pad, divisor_override),
        real=x.dtype,
    )  # fmt: skip
    return y


def grad_input_naive(grad, geometry, count_include_pad=True, divisor_override=None):
    gx = empty(geometry.x_shape, grad.dtype, like=grad)
    SOURCE.launch(
        "avg_pool2d_grad_input_naive", ceil_div(gx.size, BLOCK), BLOCK,
        grad, gx, pool_struct(geometry), strides(grad), *_divisor(geometry, count_include_pad, divisor_override),
        real=grad.dtype,
    )  # fmt: skip
    return gx


def grad_input_channels_last(grad, geometry, count_include_pad=True, divisor_override=None):
    gx = empty(geometry.x_shape, grad.dtype, like=grad, channels_last=True)
    SOURCE.launch(
        "avg_pool2d_grad_input_channels_last", pixels.blocks(geometry.x_shape, BLOCK), BLOCK,
        channels_last(grad), gx, pool_struct(geometry), *_divisor(geometry, count_include_pad, divisor_override),
        real=grad.dtype,
    )  # fmt: skip
    return gx
