"""Launchers of the convolution kernels in forward.cu: one a version, each with the signature of the op."""

from __future__ import annotations

from ...cuda import ceil_div, channels_last, contiguous, conv_struct, empty, source, strides
from . import tiles

FORWARD = source(__file__, "forward.cu")


def naive(x, w, b, geometry, relu=False):
    y = empty(geometry.y_shape, x.dtype, like=x)
    FORWARD.launch(
        "conv2d_naive", ceil_div(y.size, 128), 128,
        x, w, _bias(b), y, conv_struct(geometry), strides(x), strides(w), strides(y), relu, real=x.dtype,
    )  # fmt: skip
    return y


def tiled(x, w, b, geometry, relu=False):
    g = geometry
    y = empty(g.y_shape, x.dtype, like=x)
    step = tiles.tiled_step(g, x.dtype.itemsize)
    (rows, columns), filters = tiles.TILED, g.out_channels // g.groups
    outputs = ceil_div(g.output[0], rows) * ceil_div(g.output[1], columns)
    FORWARD.launch(
        "conv2d_tiled", g.batch * g.groups * outputs * ceil_div(filters, tiles.TILED_FILTERS), rows * columns,
        x, w, _bias(b), y, conv_struct(g), strides(x), strides(w), strides(y), step, relu,
        real=x.dtype, shared=step * tiles.tiled_bytes(g, x.dtype.itemsize),
    )  # fmt: skip
    return y


def implicit_gemm(x, w, b, geometry, relu=False, tile=None):
    """tile: tiles.SMALL or tiles.LARGE; by default what suits the geometry."""
    y = empty(geometry.y_shape, x.dtype, like=x, channels_last=True)
    tile = tile or tiles.gemm_tile(geometry)
    FORWARD.launch(
        f"conv2d_implicit_gemm_{tile}x{tile}", tiles.gemm_blocks(geometry, tile), tile * tile // 64,
        channels_last(x), channels_last(w), _bias(b), y, conv_struct(geometry), relu, real=x.dtype,
    )  # fmt: skip
    return y


def few_channels(x, w, b, geometry, relu=False):
    g = geometry
    y = empty(g.y_shape, x.dtype, like=x, channels_last=True)
    warps, step = tiles.few_split(g, x.dtype.itemsize)
    outputs = ceil_div(g.output[0], tiles.FEW_TILE[0]) * ceil_div(g.output[1], tiles.FEW_TILE[1])
    FORWARD.launch(
        "conv2d_few_channels", g.batch * outputs * ceil_div(g.out_channels, warps * tiles.FEW_FILTERS), warps * 32,
        x, w, _bias(b), y, conv_struct(g), strides(x), strides(w), step, relu,
        real=x.dtype, shared=step * tiles.few_bytes(g, x.dtype.itemsize, warps),
    )  # fmt: skip
    return y


def _bias(b):
    return None if b is None else contiguous(b)
