"""Launchers of pad.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import border_struct, ceil_div, channels_last, empty, pixels, source, strides

SOURCE = source(__file__, "pad.cu")
BLOCK = 128


def forward_naive(x, geometry, value=0.0):
    y = empty(geometry.y_shape, x.dtype, like=x)
    SOURCE.launch(
        "pad_naive", ceil_div(y.size, BLOCK), BLOCK,
        x, y, border_struct(geometry), strides(x), value, real=x.dtype,
    )  # fmt: skip
    return y


def forward_channels_last(x, geometry, value=0.0):
    y = empty(geometry.y_shape, x.dtype, like=x, channels_last=True)
    SOURCE.launch(
        "pad_channels_last", pixels.blocks(geometry.y_shape, BLOCK), BLOCK,
        channels_last(x), y, border_struct(geometry), value, real=x.dtype,
    )  # fmt: skip
    return y


def grad_input_naive(grad, geometry):
    gx = empty(geometry.x_shape, grad.dtype, like=grad)
    SOURCE.launch(
        "pad_grad_input_naive", ceil_div(gx.size, BLOCK), BLOCK,
        grad, gx, border_struct(geometry), strides(grad), real=grad.dtype,
    )  # fmt: skip
    return gx


def grad_input_channels_last(grad, geometry):
    gx = empty(geometry.x_shape, grad.dtype, like=grad, channels_last=True)
    SOURCE.launch(
        "pad_grad_input_channels_last", pixels.blocks(geometry.x_shape, BLOCK), BLOCK,
        channels_last(grad), gx, border_struct(geometry), real=grad.dtype,
    )  # fmt: skip
    return gx
