"""Launchers of the kernels in grad_input.cu: one a version, each with the signature of conv2d.grad_input."""

from __future__ import annotations

from ...cuda import ceil_div, channels_last, conv_struct, empty, source, strides
from . import gradient_tiles as tiles

GRAD_INPUT = source(__file__, "grad_input.cu")


def naive(grad, w, geometry):
    gx = empty(geometry.x_shape, grad.dtype, like=grad)
    GRAD_INPUT.launch(
        "conv2d_grad_input_naive", ceil_div(gx.size, 128), 128,
        grad, w, gx, conv_struct(geometry), strides(grad), strides(w), strides(gx), real=grad.dtype,
    )  # fmt: skip
    return gx


def tiled(grad, w, geometry):
    gx = empty(geometry.x_shape, grad.dtype, like=grad)
    step = tiles.input_tiled_step(geometry, grad.dtype.itemsize)
    GRAD_INPUT.launch(
        "conv2d_grad_input_tiled", tiles.input_tiled_blocks(geometry), 128,
        grad, w, gx, conv_struct(geometry), strides(grad), strides(w), strides(gx), step,
        real=grad.dtype, shared=step * tiles.input_tiled_bytes(geometry, grad.dtype.itemsize),
    )  # fmt: skip
    return gx


def implicit_gemm(grad, w, geometry, tile=None):
    """tile: 64 or 128 pixels and channels a block; by default what suits the geometry."""
    gx = empty(geometry.x_shape, grad.dtype, like=grad, channels_last=True)
    tile = tile or tiles.input_gemm_tile(geometry)
    GRAD_INPUT.launch(
        f"conv2d_grad_input_implicit_gemm_{tile}x{tile}", tiles.input_gemm_blocks(geometry, tile), tile * tile // 64,
        channels_last(grad), channels_last(w), gx, conv_struct(geometry), real=grad.dtype,
    )  # fmt: skip
    return gx
