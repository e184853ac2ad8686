"""The weight gradient of a convolution by Winograd's minimal filtering: the forward computation, transposed.

With the matrices of winograd.py, and a sum over all tiles of all images,

    gw = G^t [ sum of (B^t x B) * (A grad A^t) ] G        (* elementwise)

so each of the 36 points is one matrix product: filters x tiles times tiles x channels. Its depth, the tiles, is cut in
pieces, in which both matrices lie in panels as they are read. Where the sums of all points fit into a core's second
cache, a thread takes piece after piece through all steps, and what passes between them stays there too; otherwise all
threads transform a chunk of tiles first, and then share its products out.

How the tiles are cut depends on the geometry alone, so that results have the same bits for any number of threads.

Source: Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), whose F(3x3, 4x4) this is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, prange

from ...cpu import threads
from ...cpu.compiled import compiled
from ...cpu.memory import empty
from ...cpu.vectors import ROWS, WIDEST, lanes, product, sandwich
from ...geometry import ConvGeometry
from .layout import channels_last
from .winograd import (
    FILTER,
    INPUT,
    OUTPUT,
    POINTS,
    SIDE,
    fill_patch,
    place_of,
    registers_of,
    rounded,
)

PIECE = 96  # tiles: a panel of channels of a piece and a panel of filters fill the first cache
CHUNK_BYTES = 1 << 25  # of the transforms of a chunk of tiles: more are slower to read again, fewer to wait for
SUMS_BYTES = 5 << 18  # of all points, that a core's second cache can hold besides a piece
PIECE_BYTES = 1 << 20  # of such a piece
PARTS = 16  # that such sums are made in, to be shared out among threads
NARROW = 3  # registers of a panel of filters: a whole number of tiles of the product


def _transposed(matrix):
    return tuple(zip(*matrix, strict=True))


_see = sandwich(INPUT, ahead=4)
_take4, _take2 = (sandwich(_transposed(OUTPUT[m])) for m in (4, 2))
_end3, _end5 = (sandwich(_transposed(FILTER[m])) for m in (4, 2))
_product4, _product2, _product1 = (product(vectors) for vectors in (4, 2, 1))


@compiled
def _step(piece, deep, wide):
    """Numbers of one point of a piece: a line more than it holds, or all points would meet in few sets of a cache."""
    return piece * deep + wide


@compiled
def _whole(count, wide):
    """`count`, up to a whole number of registers."""
    return (count + wide - 1) // wide * wide


@compiled
def _seen(seen, at, piece, x, n, row, column, replicate, patch, deep, wide, most):
    """B^t x B of the tile of inputs from pixel (row, column) of image n on, its first number at `at` of its piece."""
    height, width, channels = x.shape[1:]
    pixels, step = x.reshape(x.size), _step(piece, deep, wide)
    inside = row >= 0 and row + SIDE <= height and column >= 0 and column + SIDE <= width and deep == channels
    if not inside:
        fill_patch(patch, deep, pixels, x.shape[1:], n, row, column, replicate)
    pixel, c = ((n * height + row) * width + column) * channels, 0
    while c < deep:
        panel = wide * registers_of((deep - c) // wide, most)
        # A panel's tiles lie `panel` apart: tile t of the panel from channel c on begins at c piece + t panel.
        to = at[0] + c * piece + at[1] * panel
        if inside:
            _see(seen, to, SIDE * step, step, pixels, pixel + c, width * channels, channels, panel)
        else:
            _see(seen, to, SIDE * step, step, patch, c, SIDE * deep, deep, panel)
        c += panel


@compiled
def _taken(given, at, piece, grad, n, p, q, m, spare, thick, wide):
    """A grad A^t of the tile of outputs from pixel (p, q) of image n on; those beyond the edge count as 0."""
    rows, columns, filters = grad.shape[1:]
    numbers, step = grad.reshape(grad.size), _step(piece, thick, wide)
    inside = p + m <= rows and q + m <= columns and thick == filters
    if not inside:
        count = np.uint64(filters)
        for u in range(m):
            for v in range(m):
                to, pixel = np.uint64((u * m + v) * thick), np.uint64(((n * rows + p + u) * columns + q + v) * filters)
                if p + u < rows and q + v < columns:
                    for k in range(count):
                        spare[to + k] = numbers[pixel + k]
                else:
                    for k in range(count):
                        spare[to + k] = 0
    source, line, dot = (numbers, columns * filters, filters) if inside else (spare, m * thick, thick)
    pixel = ((n * rows + p) * columns + q) * filters if inside else 0
    for k in range(0, thick, NARROW * wide):
        panel = min(NARROW * wide, thick - k)
        to = at[0] + k * piece + at[1] * panel
        if m == 4:
            _take4(given, to, SIDE * step, step, source, pixel + k, line, dot, panel)
        else:
            _take2(given, to, SIDE * step, step, source, pixel + k, line, dot, panel)


@compiled
def _transformed(
    seen, given, piece, at, first, count, x, grad, m, top, left, replicate, patch, spare, deep, thick, wide, most
):
    """Tiles first ... first + count of all, which stand from number `at` of the pieces on."""
    rows, columns = grad.shape[1:3]
    down, across = (rows + m - 1) // m, (columns + m - 1) // m
    for t in range(count):
        n, p, q = place_of(first + t, down, across, m)
        number, place = (at + t) // piece, (at + t) % piece
        _seen(seen, (number * POINTS * _step(piece, deep, wide), place), piece, x, n, p - top, q - left, replicate,
              patch, deep, wide, most)  # fmt: skip
        _taken(given, (number * POINTS * _step(piece, thick, wide), place), piece, grad, n, p, q, m, spare, thick, wide)


@compiled
def _added(sums, sums_at, row, begun, seen, b, registers, given, a, filters, thick, piece, depth, ahead, nothing, once,
           wide):  # fmt: skip
    """One panel of channels of a point: sums (filters, row) += given^t seen, of `depth` tiles of a piece."""
    width = registers * wide
    for k in range(0, filters, NARROW * wide):
        panel, left = min(NARROW * wide, thick - k), min(NARROW * wide, filters - k)
        for r in range(0, left, ROWS):
            y, at, tall = sums_at + (k + r) * row, a + k * piece + r, min(ROWS, left - r)
            start, start_at, start_row = (sums, y, row) if begun else (nothing, 0, 0)
            coming = ahead if k + r + ROWS >= filters else b
            if registers == 4:
                _product4(sums, y, row, start, start_at, start_row, given, at, 1, panel, once, 1, seen, b, width,
                          coming, depth, tall, False)  # fmt: skip
            elif registers == 2:
                _product2(sums, y, row, start, start_at, start_row, given, at, 1, panel, once, 1, seen, b, width,
                          coming, depth, tall, False)  # fmt: skip
            else:
                _product1(sums, y, row, start, start_at, start_row, given, at, 1, panel, once, 1, seen, b, width,
                          coming, depth, tall, False)  # fmt: skip


@compiled(parallel=True)
def _summed_apart(sums, x, grad, m, top, left, replicate, piece, tiles, wide, most, seen_by, given_by, patches, spares):
    """sums (parts, 36, K, C): each part by one worker, piece after piece, of tiles that are its own."""
    parts, filters, deep, thick = sums.shape[0], grad.shape[3], sums.shape[3], _whole(grad.shape[3], wide)
    nothing, once = np.zeros(wide * most, x.dtype), np.zeros(1, np.int64)
    workers, flat = len(seen_by), sums.reshape(sums.size)
    step, given_step = _step(piece, deep, wide), _step(piece, thick, wide)
    for worker in prange(workers):
        seen, given, patch, spare = seen_by[worker], given_by[worker], patches[worker], spares[worker]
        patch[:] = 0  # beyond the channels and filters they stay so
        spare[:] = 0
        for part in range(worker, parts, workers):
            begin, end = tiles * part // parts, tiles * (part + 1) // parts
            for first in range(begin, end, piece):
                count = min(piece, end - first)
                _transformed(seen, given, piece, 0, first, count, x, grad, m, top, left, replicate, patch, spare, deep,
                             thick, wide, most)  # fmt: skip
                for point in range(POINTS):
                    c = 0
                    while c < deep:
                        registers = registers_of((deep - c) // wide, most)
                        b = point * step + c * piece
                        following = b + registers * wide * piece
                        _added(flat, (part * POINTS + point) * filters * deep + c, deep, first > begin, seen, b,
                               registers, given, point * given_step, filters, thick, piece, count, following, nothing,
                               once, wide)  # fmt: skip
                        c += registers * wide


@compiled(parallel=True)
def _summed_together(
    sums, x, grad, m, top, left, replicate, piece, tiles, wide, most, seen, given, patches, spares, chunk
):
    """sums (1, 36, K, C), chunk after chunk: all workers transform its tiles, then share its panels of channels."""
    filters, deep, thick = grad.shape[3], sums.shape[3], _whole(grad.shape[3], wide)
    nothing, once = np.zeros(wide * most, x.dtype), np.zeros(1, np.int64)
    workers, flat = len(patches), sums.reshape(sums.size)
    step, given_step = _step(piece, deep, wide), _step(piece, thick, wide)
    panels = (deep + wide * most - 1) // (wide * most)
    patches[:], spares[:] = 0, 0  # beyond the channels and filters they stay so
    for first in range(0, tiles, chunk):
        held = min(chunk, tiles - first)
        for worker in prange(workers):
            begin, end = held * worker // workers, held * (worker + 1) // workers
            _transformed(seen, given, piece, begin, first + begin, end - begin, x, grad, m, top, left, replicate,
                         patches[worker], spares[worker], deep, thick, wide, most)  # fmt: skip
        for task in prange(POINTS * panels):
            point, begin = task // panels, task % panels * wide * most
            for number in range((held + piece - 1) // piece):
                count, c = min(piece, held - number * piece), begin
                while c < min(begin + wide * most, deep):
                    registers = registers_of((deep - c) // wide, most)
                    b = (number * POINTS + point) * step + c * piece
                    _added(flat, point * filters * deep + c, deep, first + number > 0, seen, b, registers, given,
                           (number * POINTS + point) * given_step, filters, thick, piece, count, b + POINTS * step,
                           nothing, once, wide)  # fmt: skip
                    c += registers * wide


@compiled(parallel=True)
def _ended(gw, sums, ended_by):
    """gw (K, C, r, r) = G^t S G, S the sum of sums (parts, 36, K, at least C) in the order of the parts."""
    parts, filters, deep = sums.shape[0], sums.shape[2], sums.shape[3]
    channels, taps = gw.shape[1], gw.shape[2]
    workers, step, flat, out = len(ended_by), filters * deep, sums.reshape(sums.size), gw.reshape(gw.size)
    for worker in prange(workers):
        ended = ended_by[worker]
        for k in range(filters * worker // workers, filters * (worker + 1) // workers):
            for point in range(POINTS):
                for part in range(1, parts):
                    to = np.uint64(point * step + k * deep)
                    more = to + np.uint64(part * POINTS * step)
                    for c in range(np.uint64(deep)):
                        flat[to + c] += flat[more + c]
            if taps == 3:
                _end3(ended, 0, 3 * deep, deep, flat, k * deep, SIDE * step, step, deep)
            else:
                _end5(ended, 0, 5 * deep, deep, flat, k * deep, SIDE * step, step, deep)
            count, apart = np.uint64(taps * taps), np.uint64(deep)
            to = np.uint64(k * channels) * count
            for c in range(np.uint64(channels)):
                for tap in range(count):
                    out[to + c * count + tap] = ended[tap * apart + c]


class Plan(NamedTuple):
    """How the tiles of a geometry are cut."""

    tiles: int
    deep: int  # channels, up to a whole number of registers
    thick: int  # filters
    parts: int  # that are summed apart; 0: the threads go through the steps together
    piece: int
    chunk: int  # tiles whose transforms are there at a time, of all threads together or of each apart


def plan_of(g: ConvGeometry, dtype: np.dtype) -> Plan:
    deep, thick = rounded(g.in_channels, dtype), rounded(g.out_channels, dtype)
    m = SIDE + 1 - g.kernel[0]
    tiles = g.batch * math.prod(-(-n // m) for n in g.output)
    tile_bytes = dtype.itemsize * POINTS * (deep + thick)
    if dtype.itemsize * POINTS * g.out_channels * deep <= SUMS_BYTES:
        piece = min(max(PIECE_BYTES // tile_bytes, 1), PIECE)
        parts = max(min(PARTS, tiles // piece), 1)
        piece = _even(-(-tiles // parts), piece)
        return Plan(tiles, deep, thick, parts, piece, piece)
    chunk = _even(tiles, max(CHUNK_BYTES // tile_bytes, PIECE))
    piece = _even(chunk, PIECE)
    return Plan(tiles, deep, thick, 0, piece, -(-chunk // piece) * piece)


def _even(count: int, most: int) -> int:
    """The size of the fewest parts of `count`, nearly equal, that have at most `most` each."""
    return -(-count // max(-(-count // most), 1))


def _rooms(plan: Plan, g: ConvGeometry, dtype: np.dtype, workers: int) -> list[tuple[int, ...]]:
    """The shapes of the sums, of the transforms of inputs and of gradients, and of what a worker has for a tile."""
    pieces, spread, m = plan.chunk // plan.piece, plan.piece, SIDE + 1 - g.kernel[0]
    each = [(pieces * POINTS * (spread * n + lanes(dtype)),) for n in (plan.deep, plan.thick)]
    return [
        (max(plan.parts, 1), POINTS, g.out_channels, plan.deep),
        *((workers, *shape) if plan.parts else shape for shape in each),
        *((workers, n) for n in (POINTS * plan.deep, m * m * plan.thick, g.kernel[0] ** 2 * plan.deep)),
    ]


def workspace(geometry: ConvGeometry, itemsize: int) -> int:
    """Bytes besides arguments and results."""
    dtype = np.dtype(f"f{itemsize}")
    if not geometry.batch:
        return 0
    rooms = _rooms(plan_of(geometry, dtype), geometry, dtype, threads.get_num_threads())
    return dtype.itemsize * sum(math.prod(shape) for shape in rooms)


def grad_weight(grad, x, geometry: ConvGeometry):
    g, dtype, workers = geometry, x.dtype, get_num_threads()
    gw, plan = empty(g.w_shape, dtype), plan_of(g, dtype)
    if not plan.tiles:
        gw[...] = 0
        return gw
    (top, _), (left, _) = g.padding
    sums, seen, given, patches, spares, ended = (empty(shape, dtype) for shape in _rooms(plan, g, dtype, workers))
    common = (
        sums, channels_last(x), channels_last(grad), SIDE + 1 - g.kernel[0], top, left, g.padding_mode == "replicate",
        plan.piece, plan.tiles, lanes(dtype), WIDEST, seen, given, patches, spares,
    )  # fmt: skip
    if plan.parts:
        _summed_apart(*common)
    else:
        _summed_together(*common, plan.chunk)
    _ended(gw, sums, ended)
    return gw
