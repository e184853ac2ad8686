"""The dense layer on register tiles, for few rows of x: what it costs is to read, or to write, the weights once.

All three products take the weights, or their gradient, as they lie in memory, and do with a piece all that there is to
do while it is in cache. Forward, both x and the weights run along the depth of the product (`dots`); for the gradients,
the numbers of a row stand side by side in the result (`gathered`).

Every number is added up in an order that depends on the depth alone: it has the same bits in any batch, on any number
of threads.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import boolean, from_dtype, get_num_threads, int64, prange, types

from ..cpu.compiled import compiled
from ..cpu.memory import LINE, empty
from ..cpu.vectors import BYTES, MOST_ROWS, dots, gathered, height

TILE = (8, 3) if BYTES == 64 else (4, 3)  # forward: rows of x and of the weights, whose sums fill the registers
ALONE = 8  # rows of the weights for a single row of x
PIECE = 1 << 12  # bytes of a row that a tile runs along: those of x are then in the first cache
TILES = 4, 16  # of weights whose pieces are in the second cache together, for each tile of x, and at most
PANEL = 3  # registers of a tile's row, of the gradients
ROWS = height(PANEL)
STEPS = 16  # rows of the weights, side by side, whose numbers a tile of the input gradient runs down
NEAR = 1 << 20  # bytes of what the tiles of a block of columns share, in the second cache
LARGE = 1 << 22  # bytes of a gradient that no cache need hold: it is written past them

_dots, _dots_alone = dots(*TILE), dots(1, ALONE)
_panel, _panel_past, _register = gathered(PANEL), gathered(PANEL, past=True), gathered(1)


def _forward(y, x, row, w, bias, outputs, depth, batch, piece, block, workers, wide):
    """y = bias + x w^T, all flat; the rows of x are `row` numbers apart. Pieces of `block` rows of w, `piece` long."""
    rows, columns = (1, ALONE) if batch == 1 else TILE
    tasks, down = (outputs + block - 1) // block, (batch + rows - 1) // rows
    each = rows * columns * wide  # numbers of the sums of a tile
    sums_of = np.empty((workers, (block + columns - 1) // columns * down * each), x.dtype)
    for worker in prange(workers):
        sums = sums_of[worker]
        for task in range(worker, tasks, workers):
            first, last = task * block, min((task + 1) * block, outputs)
            for k in range(0, max(depth, 1), piece):
                count = min(piece, depth - k)
                begun, ends = k > 0, k + count == depth
                # Wanted next: the following piece of these rows, or the first of the next task's. The rows of x that
                # pass fetch it together.
                next_piece = (first + workers * block) * depth if ends else first * depth + k + piece
                for step in range(down):
                    n = step * rows
                    for tile in range((last - first + columns - 1) // columns):
                        o = first + tile * columns
                        here, at = o * depth + k, (tile * down + step) * each
                        ahead = next_piece + tile * columns * depth if tile % down == step else here
                        if rows == 1:
                            _dots_alone(y, o, outputs, bias, o, x, k, row, 1, w, here, depth, last - o, ahead, count,
                                        sums, at, begun, ends)  # fmt: skip
                        else:
                            _dots(y, n * outputs + o, outputs, bias, o, x, n * row + k, row, batch - n,
                                  w, here, depth, last - o, ahead, count, sums, at, begun, ends)  # fmt: skip


def _product(y, a, b, y_places, a_places, groups, columns, depth, block, broad, steps, past, workers, wide):
    """y = a b, all flat, b (depth, columns). Group g of rows stands at y_places and a_places[g MOST_ROWS ...].

    Task by task of `block` groups and `broad` columns, down the depth by `steps` rows of b.
    """
    high, across = (groups + block - 1) // block, (columns + broad - 1) // broad
    nothing, once = np.zeros(PANEL * wide, y.dtype), np.zeros(1, np.int64)
    for worker in prange(workers):
        for task in range(worker, high * across, workers):
            first, left = task % high * block, task // high * broad
            right = min(left + broad, columns)
            whole = left + (right - left) // wide * wide
            for k in range(0, max(depth, 1), steps):
                count = min(steps, depth - k)
                for group in range(first, min(first + block, groups)):
                    place, j = group * MOST_ROWS, left
                    while j < whole:
                        start, at, follows = (y, j, 1) if k else (nothing, 0, 0)
                        here = k * columns + j
                        if j + PANEL * wide <= whole:
                            ahead = here + PANEL * wide
                            if past:
                                _panel_past(y, j, y_places, start, at, follows, a, k, a_places, place, 1, once, 0, 1,
                                            b, here, columns, b, ahead, columns, count, False)  # fmt: skip
                            else:
                                _panel(y, j, y_places, start, at, follows, a, k, a_places, place, 1, once, 0, 1,
                                       b, here, columns, b, ahead, columns, count, False)  # fmt: skip
                            j += PANEL * wide
                        else:
                            _register(y, j, y_places, start, at, follows, a, k, a_places, place, 1, once, 0, 1,
                                      b, here, columns, b, here, columns, count, False)  # fmt: skip
                            j += wide
                    for m in range(place, place + ROWS if whole < right else place):
                        if m > place and y_places[m] == y_places[m - 1]:
                            break  # the last row, repeated
                        for j in range(whole, right):
                            total = y[y_places[m] + j] if k else nothing[0]
                            for step in range(k, k + count):
                                total += a[a_places[m] + step] * b[step * columns + j]
                            y[y_places[m] + j] = total


@cache
def _compiled(function, dtype):
    """The machine code for one dtype, whatever the flags of the arrays that come."""
    real = from_dtype(np.dtype(dtype))
    read, written, table = (types.Array(kind, 1, "C", readonly=flag) for kind, flag in
                            ((real, True), (real, False), (int64, True)))  # fmt: skip
    if function is _forward:
        signature = types.void(written, read, int64, read, read, *[int64] * 7)
    else:
        signature = types.void(written, read, read, table, table, *[int64] * 6, boolean, int64, int64)
    return compiled(function, signature, parallel=True)


def _flat(array):
    """In C order and one dimension; no copy of what lies so already."""
    return np.ascontiguousarray(array).reshape(array.size)


def _lined_up(x):
    """x, flat, and the step from row to row; copied unless every row begins with a cache line (up to 30 % slower)."""
    if x.flags.c_contiguous and x.ctypes.data % LINE == 0 and x.strides[0] % LINE == 0:
        return x.reshape(x.size), x.shape[1]
    wide = LINE // x.itemsize
    copy = empty((x.shape[0], -(-x.shape[1] // wide) * wide), x.dtype)
    copy[:, : x.shape[1]] = x
    return copy.reshape(copy.size), copy.shape[1]


def forward(x, w, b):
    (batch, depth), outputs = x.shape, w.shape[0]
    y = empty((batch, outputs), x.dtype)
    if y.size:
        bias = np.zeros(outputs, x.dtype) if b is None else np.ascontiguousarray(b)
        workers = get_num_threads()
        high, tiles = (ALONE, 1) if batch == 1 else (TILE[1], min(TILES[0] * -(-batch // TILE[0]), TILES[1]))
        block = min(tiles, -(-outputs // (workers * high))) * high
        _compiled(_forward, x.dtype)(
            y.reshape(y.size), *_lined_up(x), _flat(w), bias, outputs, depth, batch, PIECE // x.itemsize, block,
            workers, BYTES // x.itemsize,
        )  # fmt: skip
    return y


def _multiplied(a, b, steps, by_rows):
    """a (R, K) times b (K, C), its columns shared out among the threads, or its rows if `by_rows`."""
    (rows, depth), columns = a.shape, b.shape[1]
    y = empty((rows, columns), a.dtype)
    past = depth <= steps and y.nbytes >= LARGE and y.strides[0] % LINE == 0
    if not y.size:
        return y
    groups, workers, width = -(-rows // ROWS), get_num_threads(), PANEL * BYTES // a.itemsize
    number = np.minimum(np.arange(MOST_ROWS), ROWS - 1) + ROWS * np.arange(groups)[:, None]
    number = np.minimum(number, rows - 1).ravel()  # groups are filled up with their own last row
    high = min(workers, groups) if by_rows else 1
    across = -(-columns * a.itemsize * max(steps, 0 if by_rows else rows) // NEAR)
    across = -(-max(across, 1) * high // workers) * workers // high  # as many for every thread
    broad = -(-columns // (across * width)) * width
    _compiled(_product, a.dtype)(
        y.reshape(y.size), _flat(a), _flat(b), number * columns, number * depth, groups, columns, depth,
        -(-groups // high), broad, steps, past, workers, BYTES // a.itemsize,
    )  # fmt: skip
    return y


def grad_input(grad, w):
    return _multiplied(grad, w, STEPS, False)


def grad_weight(grad, x):
    return _multiplied(grad.T, x, max(x.shape[0], 1), True)
