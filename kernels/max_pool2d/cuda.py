"""Launchers of max_pool2d.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import ceil_div, channels_last, empty, pixels, pool_struct, source, strides

SOURCE = source(__file__, "max_pool2d.cu")
BLOCK = 128
INDEX = "int32"


def forward_naive(x, geometry):
    y = empty(geometry.y_shape, x.dtype, like=x)
    indices = empty(geometry.y_shape, INDEX, like=x)
    SOURCE.launch(
        "max_pool2d_naive", ceil_div(y.size, BLOCK), BLOCK,
        x, y, indices, pool_struct(geometry), strides(x), real=x.dtype,
    )  # fmt: skip
    return y, indices


def forward_channels_last(x, geometry):
    y = empty(geometry.y_shape, x.dtype, like=x, channels_last=True)
    indices = empty(geometry.y_shape, INDEX, like=x, channels_last=True)
    SOURCE.launch(
        "max_pool2d_channels_last", pixels.blocks(geometry.y_shape, BLOCK), BLOCK,
        channels_last(x), y, indices, pool_struct(geometry), real=x.dtype,
    )  # fmt: skip
    return y, indices


def grad_input_naive(grad, indices, geometry):
    gx = empty(geometry.x_shape, grad.dtype, like=grad)
    SOURCE.launch(
        "max_pool2d_grad_input_naive", ceil_div(gx.size, BLOCK), BLOCK,
        grad, indices, gx, pool_struct(geometry), strides(grad), strides(indices), real=grad.dtype,
    )  # fmt: skip
    return gx


def grad_input_channels_last(grad, indices, geometry):
    gx = empty(geometry.x_shape, grad.dtype, like=grad, channels_last=True)
    SOURCE.launch(
        "max_pool2d_grad_input_channels_last", pixels.blocks(geometry.x_shape, BLOCK), BLOCK,
        channels_last(grad), channels_last(indices), gx, pool_struct(geometry), real=grad.dtype,
    )  # fmt: skip
    return gx
