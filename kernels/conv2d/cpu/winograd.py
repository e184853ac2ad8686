"""Convolution by Winograd's minimal filtering: 36 products instead of 144 (3x3 filters) or 100 (5x5).

F(m x m, r x r) with m + r - 1 = 6: a tile of m x m outputs sees 6 x 6 inputs. With the matrices below,

    y = A^t [ (G w G^t) * (B^t x B) ] A        (* elementwise, summed over channels)

so a sum over channels becomes one matrix product for each of the 36 points: tiles x channels times channels x filters.
A thread takes a block of tiles through all three steps, so that what passes between them stays in cache. The price is
rounding: the numbers grow on the way and cancel at its end; `bounds.winograd` says by how much. What is not finite
reaches every output of its tile.

Sources: Winograd, "Arithmetic Complexity of Computations" (1980); Lavin & Gray, "Fast Algorithms for Convolutional
Neural Networks" (CVPR 2016), whose interpolation points 0, 1, -1, 2, -2 and infinity these are.
"""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
from numba import get_num_threads, prange

from ...cpu import threads
from ...cpu.compiled import compiled
from ...cpu.memory import empty
from ...cpu.vectors import BYTES, ROWS, WIDEST, lanes, product, sandwich
from ...cpu.windows import copy, keep_largest
from ...geometry import ConvGeometry, PoolGeometry
from . import layout

SIDE = 6  # pixels of a tile of inputs
POINTS = SIDE * SIDE
BLOCK = 48  # tiles: with 64 channels their transforms take 0.9 MB, so that they stay in a core's cache
DEPTH = 128  # channels of a panel of filters that the tiles of a block share while it is in the first cache

INPUT = (  # B^t
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
OUTPUT = {  # A^t, by the side m of a tile of outputs
    4: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
    2: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 1)),
}


def _filter_matrix(taps: int) -> tuple[tuple[float, ...], ...]:
    """G: the filter as a polynomial at the points, divided by what B^t multiplies there."""
    points, scales = (0, 1, -1, 2, -2), (4, -6, -6, 24, 24)
    rows = tuple(tuple(p**k / s for k in range(taps)) for p, s in zip(points, scales, strict=True))
    return (*rows, (*(0.0,) * (taps - 1), 1.0))


FILTER = {m: _filter_matrix(SIDE + 1 - m) for m in OUTPUT}

_see = sandwich(INPUT, ahead=4)
_answer4, _answer2 = (sandwich(OUTPUT[m], finish=True) for m in (4, 2))
_weigh3, _weigh5 = (sandwich(FILTER[m]) for m in (4, 2))
_product4, _product2, _product1 = (product(vectors) for vectors in (4, 2, 1))


def rounded(count: int, dtype: np.dtype) -> int:
    """`count` channels, up to a whole number of registers."""
    return -(-count // lanes(dtype)) * lanes(dtype)


@compiled(parallel=True)
def _weighed(w, deep, broad, turned, depth, columns, taps, out, scratch, wide, most):
    """out = G w G^t of filters: (36, columns, depth) in panels of columns, each (depth, width).

    w: flat; the taps x taps numbers of (d, k) begin at d * deep + k * broad, the last first if `turned`. wide: numbers
    in a register; most: registers of the widest panel. What columns there are beyond, up to a whole number of
    registers, is 0. scratch: for each worker a row for all numbers of one d.
    """
    count, workers = taps * taps, len(scratch)
    stored = scratch.shape[1] // count
    for worker in prange(workers):
        plain = scratch[worker]
        plain[:] = 0
        for d in range(worker, depth, workers):
            for k in range(columns):
                at = d * deep + k * broad
                for t in range(count):
                    plain[(count - 1 - t if turned else t) * stored + k] = w[at + t]
            k = 0
            while k < stored:
                width = wide * registers_of((stored - k) // wide, most)
                first, step = k * depth + d * width, stored * depth
                if taps == 3:
                    _weigh3(out, first, SIDE * step, step, plain, k, 3 * stored, stored, width)
                else:
                    _weigh5(out, first, SIDE * step, step, plain, k, 5 * stored, stored, width)
                k += width


@compiled
def registers_of(left, most):
    """How many registers the next panel takes, of `left` that remain."""
    return most if left >= most else (2 if left >= 2 else 1)


def _packed(w, backwards):
    """The transformed filters of w (O, C, r, r) in any strides; for the gradient turned round, O and C exchanged."""
    filters, channels, r, _ = w.shape
    depth, columns = (filters, channels) if backwards else (channels, filters)
    deep, broad = (channels * r * r, r * r) if backwards else (r * r, channels * r * r)
    stored = rounded(columns, w.dtype)
    out, scratch = empty((POINTS * depth * stored,), w.dtype), empty((get_num_threads(), r * r * stored), w.dtype)
    flat = np.require(w, requirements="CAW").reshape(w.size)
    _weighed(flat, deep, broad, backwards, depth, columns, r, out, scratch, lanes(w.dtype), WIDEST)
    return out


def pack(w, geometry, **_):
    """The filters, transformed, for `forward`."""
    return _packed(w, backwards=False)


def pack_grad_input(w, geometry, **_):
    """The filters turned round, inputs and outputs exchanged, transformed, for `grad_input`."""
    return _packed(w, backwards=True)


@compiled
def fill_patch(patch, deep, pixels, shape, n, row, column, replicate):
    """The 6 x 6 pixels of image n from (row, column) on into `patch` (36, deep); outside 0, or the nearest edge."""
    height, width, channels = shape
    count = np.uint64(channels)  # unsigned: an index that might be negative keeps the compiler from vectorising
    for u in range(SIDE):
        for v in range(SIDE):
            i, j = row + u, column + v
            if replicate:
                i, j = min(max(i, 0), height - 1), min(max(j, 0), width - 1)
            to = np.uint64((u * SIDE + v) * deep)
            if 0 <= i < height and 0 <= j < width:
                pixel = np.uint64(((n * height + i) * width + j) * channels)
                for c in range(count):
                    patch[to + c] = pixels[pixel + c]
            else:
                for c in range(count):
                    patch[to + c] = 0


@compiled(parallel=True)
def _convolved(
    x, filters, bias, relu, y, y_steps, y_shape, halved, m, top, left, replicate, wide, most, block, scratch, ends
):
    """y = x convolved with `filters` (as of `_weighed`); x (N, H, W, C) in C order; y flat, of y_shape (P, Q, K).

    y_steps: from one image, row and pixel of y to the next. halved: y is the largest of each 2 x 2 pixels instead.
    bias: K numbers, up to a whole number of registers. top, left: padding. scratch: a row for each worker, which takes
    every so many-th block of tiles; ends: of the parts of a row.
    """
    batch, height, width, channels = x.shape
    rows, columns, stored = y_shape
    image_step, row_step, pixel_step = y_steps
    deep, outputs = (channels + wide - 1) // wide * wide, bias.size
    down, across = (rows + m - 1) // m, (columns + m - 1) // m
    tiles = batch * down * across
    blocks = (tiles + block - 1) // block
    workers = len(scratch)
    pixels = x.reshape(x.size)
    nothing, once = np.zeros(wide * most, x.dtype), np.zeros(1, np.int64)
    for worker in prange(workers):
        own = scratch[worker]
        seen, products = own[: ends[0]], own[ends[0] : ends[1]]
        patch, spare = own[ends[1] : ends[2]], own[ends[2] : ends[3]]
        patch[:] = 0  # beyond the channels it stays so
        for task in range(worker, blocks, workers):
            first = task * block
            count = min(block, tiles - first)
            for t in range(count):
                n, p, q = place_of(first + t, down, across, m)
                row, column = p - top, q - left
                at = (t // ROWS * POINTS * ROWS + t % ROWS) * deep
                if row >= 0 and row + SIDE <= height and column >= 0 and column + SIDE <= width and deep == channels:
                    source, pixel = pixels, ((n * height + row) * width + column) * channels
                    line, apart = width * channels, channels
                else:
                    fill_patch(patch, deep, pixels, x.shape[1:], n, row, column, replicate)
                    source, pixel, line, apart = patch, 0, SIDE * deep, deep
                _see(seen, at, SIDE * ROWS * deep, ROWS * deep, source, pixel, line, apart, deep)
            _multiplied(products, seen, filters, nothing, once, count, channels, deep, outputs, wide, most)
            for t in range(count):
                n, p, q = place_of(first + t, down, across, m)
                at = (t // ROWS * POINTS * ROWS + t % ROWS) * outputs
                step, high, broad = ROWS * outputs, min(m, rows - p), min(m, columns - q)
                if halved:
                    p, q = p // 2, q // 2
                place = n * image_step + p * row_step + q * pixel_step
                direct = outputs == stored and not halved
                if direct:
                    to, pixel, line, apart = y, place, row_step, pixel_step
                else:
                    to, pixel, line, apart = spare, 0, m * outputs, outputs
                if m == 4:
                    _answer4(to, pixel, line, apart, products, at, SIDE * step, step, outputs, bias, relu, high, broad)
                else:
                    _answer2(to, pixel, line, apart, products, at, SIDE * step, step, outputs, bias, relu, high, broad)
                if halved:
                    for u in range(high // 2):
                        for v in range(broad // 2):
                            to_at, at = place + u * row_step + v * pixel_step, (2 * u * m + 2 * v) * outputs
                            copy(y, to_at, spare, at, stored)
                            for other in (at + outputs, at + m * outputs, at + (m + 1) * outputs):
                                keep_largest(y, to_at, spare, other, stored)
                elif not direct:
                    for u in range(high):
                        for v in range(broad):
                            copy(y, place + u * row_step + v * pixel_step, spare, (u * m + v) * outputs, stored)


@compiled
def place_of(number, down, across, m):
    """Image and first output pixel of a tile."""
    n, place = number // (down * across), number % (down * across)
    return n, place // across * m, place % across * m


@compiled
def _multiplied(products, seen, filters, nothing, once, count, channels, deep, outputs, wide, most):
    """products (groups, 36, ROWS, outputs) = seen (groups, 36, ROWS, deep) times filters, point by point."""
    groups = (count + ROWS - 1) // ROWS
    for point in range(POINTS):
        k = 0
        while k < outputs:
            registers = registers_of((outputs - k) // wide, most)
            width = registers * wide
            panel = (point * outputs + k) * channels
            for c in range(0, channels, DEPTH):
                depth = min(DEPTH, channels - c)
                b = panel + c * width
                for g in range(groups):
                    y, a = (g * POINTS + point) * ROWS * outputs + k, (g * POINTS + point) * ROWS * deep + c
                    tiles = min(ROWS, count - g * ROWS)
                    ahead = b + depth * width if g == groups - 1 else b
                    start, start_at, start_row = (products, y, outputs) if c else (nothing, 0, 0)
                    if registers == 4:
                        _product4(products, y, outputs, start, start_at, start_row, seen, a, deep, 1, once, 1,
                                  filters, b, width, ahead, depth, tiles, False)  # fmt: skip
                    elif registers == 2:
                        _product2(products, y, outputs, start, start_at, start_row, seen, a, deep, 1, once, 1,
                                  filters, b, width, ahead, depth, tiles, False)  # fmt: skip
                    else:
                        _product1(products, y, outputs, start, start_at, start_row, seen, a, deep, 1, once, 1,
                                  filters, b, width, ahead, depth, tiles, False)  # fmt: skip
            k += width


def _channels(g: ConvGeometry, itemsize: int, backwards: bool) -> tuple[int, int]:
    """Channels read and written, up to whole registers."""
    least = BYTES // itemsize
    channels, outputs = (-(-n // least) * least for n in (g.in_channels, g.out_channels))
    return (outputs, channels) if backwards else (channels, outputs)


def packed_bytes(geometry: ConvGeometry, itemsize: int, backwards: bool) -> int:
    """Bytes of the transformed filters."""
    _, written = _channels(geometry, itemsize, backwards)
    return itemsize * POINTS * (geometry.out_channels if backwards else geometry.in_channels) * written


def workspace(geometry: ConvGeometry, itemsize: int, backwards: bool) -> int:
    """Bytes besides arguments, results and filters: what passes between the steps of each thread's block."""
    g = geometry
    read, written = _channels(g, itemsize, backwards)
    side, workers = SIDE + 1 - g.kernel[0], threads.get_num_threads()
    block = _block(g.batch * math.prod(-(-n // side) for n in (g.size if backwards else g.output)), workers)
    tiles = -(-block // ROWS) * ROWS
    return itemsize * POINTS * workers * (tiles + 1) * (read + written)


def _run(x, filters, b, relu, y, output, m, padding, replicate, halved=False):
    """Fills y (N, P, Q, K), each pixel's numbers side by side, P and Q as in `output`; or half of these if `halved`."""
    dtype, channels, outputs = y.dtype, rounded(x.shape[1], y.dtype), rounded(y.shape[3], y.dtype)
    bias = np.zeros(outputs, dtype)
    if b is not None:
        bias[: b.size] = b
    workers = get_num_threads()
    block = _block(y.shape[0] * math.prod(-(-n // m) for n in output), workers)
    tiles = -(-block // ROWS) * ROWS  # ROWS of them lie together, point after point
    ends = tuple(accumulate((tiles * POINTS * channels, tiles * POINTS * outputs, POINTS * channels, m * m * outputs)))
    numbers, steps = layout.flat_target(y)
    _convolved(
        layout.channels_last(x), filters, bias, relu, numbers, steps, (*output, y.shape[3]), halved, m, *padding,
        replicate, lanes(dtype), WIDEST, block, empty((workers, ends[-1]), dtype), ends,
    )  # fmt: skip


def _block(tiles: int, workers: int) -> int:
    """Tiles a block, at most BLOCK about, so that every worker gets as many blocks."""
    rounds = max(round(tiles / (BLOCK * workers)), 1)
    return max(-(-tiles // (rounds * workers)), 1)


def forward(x, w, b, geometry: ConvGeometry, relu=False, packed=None, out=None, pool: PoolGeometry | None = None):
    g = geometry
    y = layout.target(g.y_shape if pool is None else pool.y_shape, x.dtype, out)
    (top, _), (left, _) = g.padding
    filters = pack(w, g) if packed is None else packed
    mode = g.padding_mode == "replicate", pool is not None
    _run(x, filters, b, relu, y, g.output, SIDE + 1 - g.kernel[0], (top, left), *mode)
    return layout.returned(y, out)


def grad_input(grad, w, geometry: ConvGeometry, packed=None):
    g = geometry
    gx = empty((g.batch, *g.size, g.in_channels), grad.dtype)
    (top, _), (left, _) = g.padding
    last = g.kernel[0] - 1
    filters = pack_grad_input(w, g) if packed is None else packed
    _run(grad, filters, None, False, gx, g.size, SIDE - last, (last - top, last - left), False)
    return gx.transpose(0, 3, 1, 2)
