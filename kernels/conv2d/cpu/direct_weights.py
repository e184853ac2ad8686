"""The weight gradient of a convolution, whose windows are read where they lie, as in direct.py.

A product again: numbers of a window x filters, summed over output pixels. A tile's rows are numbers of the window, its
columns filters, and it runs down the pixels of some rows of an image, whose gradients it takes from the first cache.
Images and bands of rows are divided among parts by geometry alone, and the sums of all parts added in their order:
so results have the same bits on any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, prange

from ...cpu import threads
from ...cpu.compiled import compiled
from ...cpu.memory import LINE, empty
from ...cpu.vectors import BYTES, MOST_ROWS, WIDEST, gathered, height
from ...cpu.windows import clear, copy, fill_band
from ...geometry import ConvGeometry
from . import layout, tiling
from .axes import forward_axes

_gathered4, _gathered3, _gathered2, _gathered1 = (gathered(vectors) for vectors in (4, 3, 2, 1))
_HEIGHTS = (0, *(height(vectors) for vectors in (1, 2, 3, 4)))  # by the registers of a panel


@compiled(parallel=True)
def _summed(
    sums, x, steps, size, channels, vertical, horizontal, replicate, inside, grad, filters, panels, elements, pieces,
    batch, band, parts, blocks, slices, wide, most, workers,
):  # fmt: skip
    """sums[part, panel, number of a window, filter] = sum over the pixels of that part of x times grad; all flat.

    steps: of x (image, row, pixel, channel). inside: whether windows are read from x itself. grad: (N, P, Q, filters).
    elements: where a window's numbers stand, from its start. pieces: of the pixels of a band, as of
    `tiling.pieces`.
    """
    rows, columns, numbers = vertical.count, horizontal.count, elements.size
    broad = (columns - 1) * horizontal.stride + (horizontal.taps - 1) * horizontal.step + 1
    deep = (band - 1) * vertical.stride + (vertical.taps - 1) * vertical.step + 1
    row_step, pixel_step = (steps[1], steps[2]) if inside else (broad * channels, channels)
    each = (rows + band - 1) // band
    units, total = batch * each, sums.size // parts
    alone = len(panels) == 1 and panels[0, 3] == panels[0, 2] * wide  # then gradients lie as a panel would
    offsets = np.arange(band) * (vertical.stride * row_step)
    pixels = 0  # of a piece, at most
    for piece in range(len(pieces)):
        pixels = max(pixels, pieces[piece, 1] * pieces[piece, 3])
    widest = (len(panels) + blocks - 1) // blocks * most * wide  # columns of a block of panels, at most
    # All memory comes before the threads part: what one of them lacks, Numba would not tell.
    bands = np.empty((workers, 0 if inside else deep * broad * channels), x.dtype)
    tables = np.empty((workers, 2, numbers + MOST_ROWS), np.int64)
    rooms = np.empty((workers, pixels * widest + LINE), x.dtype)
    for worker in prange(workers):
        seen, room = bands[worker], rooms[worker]
        windows, places = tables[worker, 0], tables[worker, 1]
        aligned = -room.ctypes.data % LINE // room.itemsize
        for task in range(worker, parts * blocks * slices, workers):
            part, block, cut = task // slices // blocks, task // slices % blocks, task % slices
            first, last = len(panels) * block // blocks, len(panels) * (block + 1) // blocks
            low, high = numbers * cut // slices, numbers * (cut + 1) // slices
            for e in range(low, high + MOST_ROWS):  # the last tile repeats the last number
                windows[e] = elements[min(e, high - 1)]
            for panel in range(first, last):
                width = panels[panel, 2] * wide
                clear(sums, part * total + panels[panel, 4] * numbers + low * width, (high - low) * width)
            for unit in range(units * part // parts, units * (part + 1) // parts):
                n, above = unit // each, unit % each * band
                count = min(band, rows - above)
                top = vertical.start + above * vertical.stride
                if inside:
                    source, at = x, n * steps[0] + top * row_step + horizontal.start * pixel_step
                else:
                    source, at = seen, 0
                    needed = (count - 1) * vertical.stride + (vertical.taps - 1) * vertical.step + 1
                    fill_band(seen, x, n * steps[0], steps[1], steps[2], steps[3], size, channels, top, needed,
                              horizontal.start, broad, replicate)  # fmt: skip
                for piece in range(len(pieces)):
                    p, lines, q, depth = pieces[piece]
                    lines = min(lines, count - p)
                    if lines <= 0:
                        continue
                    wanted = ((n * rows + above + p) * columns + q) * filters
                    begin = at + p * vertical.stride * row_step + q * horizontal.stride * pixel_step
                    b, b_at = grad, wanted
                    if not alone:
                        b, b_at = room, aligned
                        _pack(room, aligned, grad, wanted, filters, lines * depth, panels[first:last], wide)
                    for panel in range(first, last):
                        channel, _, registers, _, before = panels[panel]
                        width = registers * wide
                        for e in range(low, high + MOST_ROWS):
                            places[e] = min(e, high - 1) * width
                        to, gone = part * total + before * numbers, before - panels[first, 4]
                        _tiles(
                            sums, to, places, source, begin + channel, windows, low, high,
                            horizontal.stride * pixel_step, offsets, lines, b, b_at + gone * lines * depth, depth,
                            registers, width, inside,
                        )  # fmt: skip


@compiled
def _pack(room, at, grad, first, filters, pixels, panels, wide):
    """The gradients of `pixels` pixels from grad[first] on into panels at room[at], each (pixels, width)."""
    for pixel in range(pixels):
        for panel in range(len(panels)):
            _, column, registers, columns, before = panels[panel]
            width = registers * wide
            to = at + (before - panels[0, 4]) * pixels + pixel * width
            copy(room, to, grad, first + pixel * filters + column, columns)
            if columns < width:
                clear(room, to + columns, width - columns)


@compiled
def _tiles(sums, to, places, x, x_at, windows, first, stop, step, offsets, lines, b, b_at, depth, registers, width,
           inside):  # fmt: skip
    """One panel over the numbers first ... stop of a window, down `lines` rows of `depth` pixels."""
    rows = _HEIGHTS[registers]
    for i in range(first, stop, rows):
        if inside:  # the numbers of the piece that follows, each tile its share
            ahead, ahead_at, ahead_step = x, x_at + lines * depth * (step + i), rows
        else:
            ahead, ahead_at, ahead_step = b, b_at + (lines * depth * width if i + rows >= stop else 0), width
        if registers == 4:
            _gathered4(sums, to, places, sums, to, 1, x, x_at, windows, i, step, offsets, 0, lines,
                       b, b_at, width, ahead, ahead_at, ahead_step, depth, False)  # fmt: skip
        elif registers == 3:
            _gathered3(sums, to, places, sums, to, 1, x, x_at, windows, i, step, offsets, 0, lines,
                       b, b_at, width, ahead, ahead_at, ahead_step, depth, False)  # fmt: skip
        elif registers == 2:
            _gathered2(sums, to, places, sums, to, 1, x, x_at, windows, i, step, offsets, 0, lines,
                       b, b_at, width, ahead, ahead_at, ahead_step, depth, False)  # fmt: skip
        else:
            _gathered1(sums, to, places, sums, to, 1, x, x_at, windows, i, step, offsets, 0, lines,
                       b, b_at, width, ahead, ahead_at, ahead_step, depth, False)  # fmt: skip


@compiled(parallel=True)
def _added(gw, sums, parts, panels, group_step, column_step, taken, group_columns, wide):
    """The parts' sums, added, in the order of w: the inverse of `direct._packed`."""
    total = sums.size // parts
    for panel in prange(len(panels)):
        _, first, registers, columns, before = panels[panel]
        at, width = before * taken.size, registers * wide
        group, column = first // group_columns, first % group_columns
        for part in range(1, parts):
            for e in range(width * taken.size):
                sums[at + e] += sums[part * total + at + e]
        for j in range(columns):
            to = group * group_step + (column + j) * column_step
            for e in range(taken.size):
                gw[to + taken[e]] = sums[at + e * width + j]


def grad_weight(grad, x, geometry: ConvGeometry):
    g = geometry
    gw = empty(g.w_shape, x.dtype)
    if not g.batch:
        gw[...] = 0
        return gw
    numbers, steps = layout.flat(x)
    grads = np.require(grad.transpose(0, 2, 3, 1), requirements="CAW")
    wide, workers = BYTES // x.itemsize, get_num_threads()
    plan = tiling.weight_plan(g, steps, x.itemsize, wide, WIDEST, workers)
    sums = empty((plan.parts * tiling.columns(plan.panels, wide) * g.depth,), x.dtype)
    _summed(
        sums, numbers, steps, g.size, g.in_channels, *forward_axes(g), g.padding_mode == "replicate",
        plan.inside, grads.reshape(grads.size), g.out_channels, plan.panels, plan.elements, plan.pieces, g.batch,
        plan.band, plan.parts, plan.blocks, plan.slices, wide, WIDEST, workers,
    )  # fmt: skip
    inputs, outputs = g.in_channels // g.groups, g.out_channels // g.groups
    taken = tiling.numbers_of_filter(g, range(g.kernel[0]), range(g.kernel[1]), inputs, g.kernel[0] * g.kernel[1])
    _added(
        gw.reshape(gw.size), sums, plan.parts, plan.panels, outputs * g.depth, g.depth, taken, outputs, wide
    )  # fmt: skip
    return gw


def weight_workspace(geometry: ConvGeometry, itemsize: int) -> int:
    """Bytes besides arguments and results."""
    return tiling.weight_workspace(geometry, itemsize, BYTES // itemsize, WIDEST, threads.get_num_threads())
