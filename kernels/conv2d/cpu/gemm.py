"""Convolution and its gradients as matrix products of cache-sized blocks of windows.

The windows of a block of output pixels are gathered into a small panel, which BLAS multiplies by the
filters while it is still in cache; the full im2col matrix never exists. A 1x1 convolution of stride 1
multiplies the image itself. The input gradient is the same computation with output and input exchanged:
of each residue class of input pixels modulo the stride, every pixel sees the same taps of the filter at
evenly spaced output pixels (the phases of Dumoulin & Visin, 2016, chapter 4, without their zeros). The
weight gradient multiplies the output gradients of a block of pixels by those pixels' windows.

Work is cut by geometry alone and blocks never cross an image, so an image's result has the same bits in any
batch, and every result on any number of threads.

All compiled code is in this one file because Numba's disk cache watches the file of the function that Python
calls, and no other: a helper elsewhere could change while its old code ran on.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, njit, prange

from ...geometry import ConvGeometry
from .blocks import block_size, weight_blocks


class Axis(NamedTuple):
    """count windows of `taps` pixels each, along one axis."""

    count: int
    stride: int
    start: int
    taps: int
    step: int


def forward_axes(g: ConvGeometry) -> tuple[Axis, Axis]:
    """The windows that the forward pass sees, vertically and horizontally."""
    vertical, horizontal = (
        Axis(g.output[a], g.stride[a], -g.padding[a][0], g.kernel[a], g.dilation[a]) for a in (0, 1)
    )
    return vertical, horizontal


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) in any strides -> (N, H, W, C) in C order; no copy if it lies so already.

    Compiled code sees one kind of array only: each further kind (read-only, strided) would compile again.
    """
    return np.require(x.transpose(0, 2, 3, 1), requirements="CAW")


@njit(cache=True, nogil=True)
def gather(panel, x, n, channel, channels, first, rows, tap, taps, vertical, horizontal, replicate):
    """Row i of `panel` (rows, taps * channels) becomes window first + i of image n.

    x: (N, H, W, C) in C order. Of each window, taps tap ... tap + taps - 1, and of each tap `channels` values
    from `channel` on. Windows and taps are numbered row by row. Pixels outside are 0, or those of the
    nearest edge if `replicate`.
    """
    height, width, stored = x.shape[1], x.shape[2], x.shape[3]
    pixels, out = x.reshape(x.size), panel.reshape(panel.size)
    across = horizontal.taps
    whole = channels == stored and horizontal.step == 1  # then the taps of one row lie side by side
    p, q = first // horizontal.count, first % horizontal.count
    at = 0
    for _ in range(rows):
        for r in range(tap // across, (tap + taps - 1) // across + 1):
            i = vertical.start + p * vertical.stride + r * vertical.step
            if replicate:
                i = min(max(i, 0), height - 1)
            s, stop = max(tap - r * across, 0), min(tap + taps - r * across, across)
            j = horizontal.start + q * horizontal.stride + s * horizontal.step
            above = (n * height + i) * width
            run = (stop - s) * channels
            if i < 0 or i >= height:
                clear(out, at, run)
                at += run
            elif whole and j >= 0 and j + stop - s <= width:
                copy(out, at, pixels, (above + j) * stored, run)
                at += run
            else:
                for _ in range(s, stop):
                    seen = min(max(j, 0), width - 1) if replicate else j
                    if 0 <= seen < width:
                        copy(out, at, pixels, (above + seen) * stored + channel, channels)
                    else:
                        clear(out, at, channels)
                    at += channels
                    j += horizontal.step
        q += 1
        if q == horizontal.count:
            q = 0
            p += 1


# The loops below count in unsigned integers: an index that might be negative could mean one from the end, and
# that question at every element keeps the compiler from vectorising (3 to 5 times slower).


@njit(cache=True, nogil=True)
def copy(to, at, source, first, count):
    """to[at : at + count] = source[first : first + count], all in one dimension."""
    for e in range(np.uint64(count)):
        to[np.uint64(at) + e] = source[np.uint64(first) + e]


@njit(cache=True, nogil=True)
def add(to, at, source, first, count):
    """to[at : at + count] += source[first : first + count], all in one dimension."""
    for e in range(np.uint64(count)):
        to[np.uint64(at) + e] += source[np.uint64(first) + e]


@njit(cache=True, nogil=True)
def rectify(to, at, count):
    """to[at : at + count] = max(., 0), in one dimension; NaN stays."""
    zero = to.dtype.type(0)
    for e in range(np.uint64(count)):
        value = to[np.uint64(at) + e]
        to[np.uint64(at) + e] = zero if value < zero else value


@njit(cache=True, nogil=True)
def clear(to, at, count):
    """to[at : at + count] = 0, in one dimension."""
    for e in range(np.uint64(count)):
        to[np.uint64(at) + e] = 0


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
    rows = block_size(g.output[0] * g.output[1], g.depth, x.itemsize)
    _product(
        channels_last(x), filters, True, bias, relu, y, (0, 0), (1, 1),
        *forward_axes(g), g.padding_mode == "replicate", rows, get_num_threads(),
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
            size = block_size(v.count * h.count, some.shape[1], grad.itemsize)
            _product(grad, some, False, none, False, gx, (top, left), g.stride, v, h, False, size, lanes)
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


@njit(parallel=True, cache=True, nogil=True)
def _products(grad, x, groups, vertical, horizontal, replicate, block, tap_step, parts, lanes):
    """Partial sums (parts, O, R S c): part i is of the i-th of `parts` runs of blocks of all pixels of all images.

    grad: (N, P, Q, O). x: (N, H, W, C). A task takes `tap_step` taps and one part; each of `lanes` takes
    every lanes-th task.
    """
    batch, filters, channels = grad.shape[0], grad.shape[3] // groups, x.shape[3] // groups
    taps = vertical.taps * horizontal.taps
    pixels = vertical.count * horizontal.count
    blocks = (pixels + block - 1) // block
    runs = (taps + tap_step - 1) // tap_step
    grads, flat = grad.reshape((batch, pixels, grad.shape[3])), grad.reshape(grad.size)
    sums = np.empty((parts, grad.shape[3], taps * channels), x.dtype)
    every = sums.reshape(sums.size)
    for lane in prange(lanes):
        panels = np.empty(block * tap_step * channels, x.dtype)
        some = np.empty(block * filters if groups > 1 else 0, x.dtype)
        products = np.empty(filters * tap_step * channels, x.dtype)
        for task in range(lane, parts * runs * groups, lanes):
            part, g, tap = task // (runs * groups), task // runs % groups, task % runs * tap_step
            seen = min(tap_step, taps - tap)
            depth = seen * channels
            panel = panels[: block * depth].reshape((block, depth))
            product = products[: filters * depth].reshape((filters, depth))
            total = ((part * groups + g) * filters * taps + tap) * channels  # where in `every` this task's sum starts
            for o in range(filters):
                clear(every, total + o * taps * channels, depth)
            for at in range(batch * blocks * part // parts, batch * blocks * (part + 1) // parts):
                n, start = at // blocks, at % blocks * block
                rows = min(block, pixels - start)
                gather(panel, x, n, g * channels, channels, start, rows, tap, seen, vertical, horizontal, replicate)
                if groups > 1:
                    for row in range(rows):
                        pixel = (n * pixels + start + row) * grad.shape[3]
                        copy(some, row * filters, flat, pixel + g * filters, filters)
                    wanted = some[: rows * filters].reshape((rows, filters))
                else:
                    wanted = grads[n, start : start + rows]
                np.dot(wanted.T, panel[:rows], product)
                for o in range(filters):
                    add(every, total + o * taps * channels, products, o * depth, depth)
    return sums


def grad_weight(grad, x, geometry):
    g = geometry
    size, tap_step, parts = weight_blocks(g, x.itemsize)
    sums = _products(
        channels_last(grad), channels_last(x), g.groups, *forward_axes(g), g.padding_mode == "replicate",
        size, tap_step, parts, get_num_threads(),
    )  # fmt: skip
    gw = sums[0]
    for part in sums[1:]:
        gw += part
    return np.ascontiguousarray(gw.reshape(g.out_channels, *g.kernel, g.in_channels // g.groups).transpose(0, 3, 1, 2))
