"""Launchers of the kernels in grad_weight.cu: one a version, each with the signature of conv2d.grad_weight."""

from __future__ import annotations

from ...cuda import ceil_div, channels_last, conv_struct, empty, source, strides
from . import gradient_tiles as tiles

GRAD_WEIGHT = source(__file__, "grad_weight.cu")


def naive(grad, x, geometry):
    gw = empty(geometry.w_shape, grad.dtype, like=grad)
    GRAD_WEIGHT.launch(
        "conv2d_grad_weight_naive", ceil_div(gw.size, 128), 128,
        grad, x, gw, conv_struct(geometry), strides(grad), strides(x), strides(gw), real=grad.dtype,
    )  # fmt: skip
    return gw


def tiled(grad, x, geometry):
    gw = empty(geometry.w_shape, grad.dtype, like=grad)
    count = tiles.weight_tiles(geometry, tiles.WEIGHT_TILED)
    slices, part = tiles.slices(geometry, count, tiles.WEIGHT_TILED_STEP)
    sums = _room(gw, slices)
    GRAD_WEIGHT.launch(
        "conv2d_grad_weight_tiled", (count, slices), 256,
        grad, x, sums, conv_struct(geometry), strides(grad), strides(x), part, real=grad.dtype,
    )  # fmt: skip
    return _sum(sums, gw, slices)


def implicit_gemm(grad, x, geometry, tile=None):
    """tile: 64 or 128 filters, and weights of each, a block; by default what suits the geometry."""
    gw = empty(geometry.w_shape, grad.dtype, like=grad, channels_last=True)
    tile = tile or tiles.weight_gemm_tile(geometry)
    count = tiles.weight_tiles(geometry, tile)
    slices, part = tiles.slices(geometry, count, tiles.GEMM_STEP)
    sums = _room(gw, slices)
    GRAD_WEIGHT.launch(
        f"conv2d_grad_weight_implicit_gemm_{tile}x{tile}", (count, slices), tile * tile // 64,
        channels_last(grad), channels_last(x), sums, conv_struct(geometry), part, real=grad.dtype,
    )  # fmt: skip
    return _sum(sums, gw, slices)


def _room(gw, slices):
    """Where the slices' sums go: into the result itself if there is one slice."""
    return gw if slices == 1 else empty((slices, gw.size), gw.dtype, like=gw)


def _sum(sums, gw, slices):
    """The result, from the slices' sums in the order of its memory."""
    if slices > 1:
        GRAD_WEIGHT.launch(
            "conv2d_grad_weight_sum", ceil_div(gw.size, 32), (32, 8), sums, gw, gw.size, slices, real=gw.dtype
        )
    return gw
