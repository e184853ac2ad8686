"""Convolution and its input gradient as matrix products of cache-sized blocks of windows.

The windows of a block of output pixels are gathered into a small panel, which BLAS multiplies by the
filters while it is still in cache; the full im2col matrix never exists. A 1x1 convolution of stride 1
multiplies the image itself. The input gradient is the same computation with output and input exchanged:
of each residue class of input pixels modulo the stride, every pixel sees the same taps of the filter at
evenly spaced output pixels (the phases of Dumoulin & Visin, 2016, chapter 4, without their zeros).

Blocks are cut by geometry alone and never cross an image, so an image's result has the same bits in any
batch and on any number of threads.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from numba import get_num_threads, njit, prange

from ...geometry import ConvGeometry
from .windows import Axis, add, channels_last, copy, forward_axes, gather, rectify

# BLAS copies the filters once a block, so deep filters want many pixels a block: more than fit in L2, where the
# panel streams through at little cost beside the arithmetic on it.
PANEL_BYTES = 1 << 23
BLOCK = (64, 512)  # output pixels a block at least and at most
HALVED = 256  # from this many pixels on an image makes two blocks, so that two threads can share one image


def _block(pixels: int, depth: int, itemsize: int) -> int:
    """Output pixels a block, in blocks of nearly equal size."""
    most = min(max(PANEL_BYTES // (depth * itemsize), BLOCK[0]), BLOCK[1])
    return -(-pixels // max(-(-pixels // most), 2 if pixels >= HALVED else 1))


@njit(parallel=True, cache=True, nogil=True)
def _product(x, w, transposed, b, relu, y, first, step, vertical, horizontal, replicate, block, lanes):
    """y[n, first + p * step] = b + windows of x times w.

    x: (N, H, W, C). w: (G, K, O / G), or (G, O / G, K) if `transposed`. b: (O,) or (0,). y: (N, ., ., O).
    relu: negative results become 0. first, step: where windows (0, 0), (1, 1) go in y. Each of `lanes` takes
    every lanes-th block.
    """
    batch, stored = x.shape[0], x.shape[3]
    groups = w.shape[0]
    depth, filters = (w.shape[2], w.shape[1]) if transposed else (w.shape[1], w.shape[2])
    channels = stored // groups
    pixels = vertical.count * horizontal.count
    blocks = (pixels + block - 1) // block
    size = (vertical.count, horizontal.count)
    across = groups == 1 and step == (1, 1) and y.shape[1:3] == size  # the product's rows are pixels of y
    one = vertical[1:4] == (1, 0, 1) and horizontal[1:4] == (1, 0, 1)  # one tap, at the pixel itself
    direct = one and groups == 1 and x.shape[1:3] == size  # windows are pixels of x
    x_rows = x.reshape((batch, x.shape[1] * x.shape[2], stored))
    y_rows = y.reshape((batch, y.shape[1] * y.shape[2], y.shape[3]))
    y_flat = y.reshape(y.size)
    for lane in prange(lanes):
        panel = np.empty((1 if direct else block, depth), x.dtype)
        product = np.empty((1 if across else block, filters), x.dtype)
        for task in range(lane, batch * blocks, lanes):
            n, start = task // blocks, task % blocks * block
            rows = min(block, pixels - start)
            for g in range(groups):
                if direct:
                    windows = x_rows[n, start : start + rows]
                else:
                    gather(panel[:rows], x, n, g * channels, channels, start, rows, 0, vertical.taps * horizontal.taps,
                           vertical, horizontal, replicate)  # fmt: skip
                    windows = panel[:rows]
                out = y_rows[n, start : start + rows] if across else product[:rows]
                if transposed:
                    np.dot(windows, w[g].T, out)
                else:
                    np.dot(windows, w[g], out)
                results = out.reshape(out.size)
                for row in range(rows):
                    if b.size:
                        add(results, row * filters, b, g * filters, filters)
                    if relu:
                        rectify(results, row * filters, filters)
                    if not across:
                        p, q = (start + row) // horizontal.count, (start + row) % horizontal.count
                        pixel = (n * y.shape[1] + first[0] + p * step[0]) * y.shape[2] + first[1] + q * step[1]
                        copy(y_flat, pixel * y.shape[3] + g * filters, results, row * filters, filters)


def forward(x, w, b, geometry, relu=False):
    g = geometry
    # (G o, c, R, S) -> (G, o, R S c): BLAS reads it transposed, at no cost
    filters = np.require(w.transpose(0, 2, 3, 1), requirements="CAW").reshape(g.groups, -1, g.depth)
    bias = np.empty(0, x.dtype) if b is None else np.require(b, requirements="CAW")
    y = np.empty((g.batch, *g.output, g.out_channels), x.dtype)
    block = _block(g.output[0] * g.output[1], g.depth, x.itemsize)
    _product(
        channels_last(x), filters, True, bias, relu, y, (0, 0), (1, 1),
        *forward_axes(g), g.padding_mode == "replicate", block, get_num_threads(),
    )  # fmt: skip
    return y.transpose(0, 3, 1, 2)


def grad_input(grad, w, geometry):
    g = geometry
    if g.padding_mode == "replicate":
        return _grad_replicated(grad, w, g)
    vertical, horizontal = (
        _phases(g.size[a], g.kernel[a], g.stride[a], g.padding[a][0], g.dilation[a]) for a in (0, 1)
    )
    grad, lanes = channels_last(grad), get_num_threads()
    covered = len(vertical) == g.stride[0] and len(horizontal) == g.stride[1]
    gx = (np.empty if covered else np.zeros)((g.batch, *g.size, g.in_channels), grad.dtype)
    # (G o, c, R, S) -> (G, R, S, o, c)
    filters = w.reshape(g.groups, g.out_channels // g.groups, *g.w_shape[1:]).transpose(0, 3, 4, 1, 2)
    none = np.empty(0, grad.dtype)
    for top, rows, v in vertical:
        for left, columns, h in horizontal:
            some = np.require(filters[:, rows, columns], requirements="CAW").reshape(g.groups, -1, filters.shape[4])
            block = _block(v.count * h.count, some.shape[1], grad.itemsize)
            _product(grad, some, False, none, False, gx, (top, left), g.stride, v, h, False, block, lanes)
    return gx.transpose(0, 3, 1, 2)


def _phases(size: int, kernel: int, stride: int, padding: int, dilation: int) -> list[tuple[int, slice, Axis]]:
    """Along one axis: (first pixel, its taps, the output pixels that they come from) of each residue class
    of input pixels modulo `stride` that any tap reaches.

    Tap r takes input pixel i to output pixel (i + padding - r * dilation) / stride where that is whole. The
    taps that do are evenly spaced; they are listed from the last to the first, so that outputs ascend.
    """
    apart = stride // gcd(stride, dilation)  # taps that share a residue
    phases = []
    for first in range(min(stride, size)):
        taps = [r for r in range(kernel) if (first + padding - r * dilation) % stride == 0]
        if taps:
            start = (first + padding - taps[-1] * dilation) // stride
            descending = slice(taps[-1], taps[0] - 1 if taps[0] else None, -apart)
            axis = Axis(-(-(size - first) // stride), 1, start, len(taps), apart * dilation // stride)
            phases.append((first, descending, axis))
    return phases


def _grad_replicated(grad, w, g: ConvGeometry):
    """The gradient of the padded image, whose border is then added to the edge that it repeats."""
    (top, bottom), (left, right) = g.padding
    height, width = g.size
    padded_shape = (g.batch, g.in_channels, top + height + bottom, left + width + right)
    padded = grad_input(grad, w, ConvGeometry.infer(padded_shape, g.w_shape, g.stride, 0, g.dilation, g.groups))
    padded[:, :, top] += padded[:, :, :top].sum(2)
    padded[:, :, top + height - 1] += padded[:, :, top + height :].sum(2)
    padded[..., left] += padded[..., :left].sum(3)
    padded[..., left + width - 1] += padded[..., left + width :].sum(3)
    return padded[:, :, top : top + height, left : left + width]
