"""Convolution whose windows are never gathered: tiles of a matrix product read them where they lie.

Channels-last, the numbers that a filter's row sees lie side by side, so a tile of six output pixels runs down them
as down the rows of a matrix, with a jump from one row of the filter to the next. A task is a band of output rows of
one image: what it sees is copied once into a border of zeros (or of repeated edges), unless nothing lies outside and
it can be read in place. Panels of filters are cut into pieces that stay in the first cache while all pixels of
the band pass; sums go on in y from piece to piece.

The input gradient is the same computation with output and input exchanged, once for each phase of the stride.

Every number is the bias, plus products added one by one in the order of the window: it has the same bits in any batch,
in any band, on any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, prange

from ...cpu import threads
from ...cpu.compiled import compiled
from ...cpu.memory import empty
from ...cpu.vectors import BYTES, MOST_ROWS, WIDEST, gathered, height, lanes
from ...cpu.windows import clear, copy, fill_band, keep_largest
from ...geometry import ConvGeometry
from . import layout, phases, tiling
from .axes import NO_POOL

_gathered4, _gathered3, _gathered2, _gathered1 = (gathered(vectors) for vectors in (4, 3, 2, 1))
_HEIGHTS = (0, *(height(vectors) for vectors in (1, 2, 3, 4)))  # by the registers of a panel


@compiled(parallel=True)
def _packed(out, w, panels, group_step, column_step, taken, group_columns, wide):
    """The panels of filters w, one after the other, each (depth, width), into out; both flat.

    Number e of a window is w[group * group_step + column * column_step + taken[e]].
    """
    for panel in prange(len(panels)):
        _, first, registers, columns, before = panels[panel]
        at, width = before * taken.size, registers * wide
        group, column = first // group_columns, first % group_columns
        for some in range(0, width, wide):
            there = min(max(columns - some, 0), wide)
            for e in range(taken.size):
                to = at + e * width + some
                source = group * group_step + (column + some) * column_step + taken[e]
                if column_step == 1:
                    copy(out, to, w, source, there)
                else:
                    for j in range(there):
                        out[to + j] = w[source + j * column_step]
                clear(out, to + there, wide - there)


@compiled(parallel=True)
def _convolved(
    x, steps, size, channels, vertical, horizontal, replicate, inside, filters, panels, pieces, offsets, depth,
    bias, relu, y, y_steps, down, across, batch, band, blocks, wide, most, workers,
):  # fmt: skip
    """y = bias + x convolved with filters; the maxima of that in the windows `down` and `across`, if there are any.

    x, y: flat; steps, y_steps: their steps (image, row, pixel, channel or first number). inside: whether windows are
    read from x itself. offsets: of a window's runs. Task by task of bands of `band` rows and `blocks` blocks of panels.
    """
    rows, columns, pooled = vertical.count, horizontal.count, down.count > 0
    stored = panels[-1, 1] + panels[-1, 3]
    largest = min((band - 1) * down.stride + (down.taps - 1) * down.step + 1, rows) if pooled else band
    broad = (columns - 1) * horizontal.stride + (horizontal.taps - 1) * horizontal.step + 1
    deep = (largest - 1) * vertical.stride + (vertical.taps - 1) * vertical.step + 1
    row_step, pixel_step = (steps[1], steps[2]) if inside else (broad * channels, channels)
    line, pixel = (columns * stored, stored) if pooled else (y_steps[1], y_steps[2])
    each = ((down.count if pooled else rows) + band - 1) // band
    # All memory comes before the threads part: what one of them lacks, Numba would not tell.
    bands = np.empty((workers, 0 if inside else deep * broad * channels), x.dtype)
    rows_held = np.empty((workers, largest * columns * stored if pooled else 0), x.dtype)
    tables = np.empty((workers, 3, largest * columns + MOST_ROWS), np.int64)
    spares = np.empty((workers, MOST_ROWS * wide * most), x.dtype)
    for worker in prange(workers):
        seen, held, spare = bands[worker], rows_held[worker], spares[worker]
        window, output, ladder = tables[worker, 0], tables[worker, 1], tables[worker, 2]
        for task in range(worker, batch * each * blocks, workers):
            block, part, n = task % blocks, task // blocks % each, task // blocks // each
            begin, stop = part * band, min((part + 1) * band, down.count if pooled else rows)
            if pooled:
                begin = max(begin * down.stride + down.start, 0)
                stop = min((stop - 1) * down.stride + down.start + (down.taps - 1) * down.step + 1, rows)
            count = stop - begin
            top = vertical.start + begin * vertical.stride
            if inside:
                source, at = x, n * steps[0] + top * row_step + horizontal.start * pixel_step
            else:
                source, at = seen, 0
                needed = (count - 1) * vertical.stride + (vertical.taps - 1) * vertical.step + 1
                fill_band(seen, x, n * steps[0], steps[1], steps[2], steps[3], size, channels, top, needed,
                          horizontal.start, broad, replicate)  # fmt: skip
            for i in range(count * columns + MOST_ROWS):
                p, q = divmod(min(i, count * columns - 1), columns)  # the last tile repeats the last pixel
                window[i] = p * vertical.stride * row_step + q * horizontal.stride * pixel_step
                output[i] = p * line + q * pixel
            first, last = len(panels) * block // blocks, len(panels) * (block + 1) // blocks
            image = n * y_steps[0] + y_steps[3]
            target, to = (held, 0) if pooled else (y, image + begin * line)
            _swept(target, to, output, source, at, window, count * columns, filters, panels[first:last], pieces,
                   offsets, depth, bias, relu, spare, ladder, wide)  # fmt: skip
            if pooled:
                _pooled(y, image, y_steps, held, begin, rows, columns, stored, down, across, part * band,
                        min((part + 1) * band, down.count))  # fmt: skip


@compiled
def _pooled(y, image, y_steps, held, begin, rows, columns, stored, down, across, first, stop):
    """Rows first ... stop of the maxima, from rows `begin` ... of a convolution that are held."""
    for p in range(first, stop):
        for q in range(across.count):
            to, untouched = image + p * y_steps[1] + q * y_steps[2], True
            for r in range(down.taps):
                i = p * down.stride + down.start + r * down.step
                if i < 0 or i >= rows:
                    continue
                for s in range(across.taps):
                    j = q * across.stride + across.start + s * across.step
                    if j < 0 or j >= columns:
                        continue
                    at = ((i - begin) * columns + j) * stored
                    if untouched:
                        copy(y, to, held, at, stored)
                        untouched = False
                    else:
                        keep_largest(y, to, held, at, stored)


@compiled
def _swept(
    y, y_at, output, x, x_at, window, pixels, filters, panels, pieces, offsets, depth, bias, relu, spare, ladder, wide
):
    """All panels over the pixels of a band, whose windows stand at x_at + window, outputs at y_at + output."""
    for panel in range(len(panels)):
        channel, column, registers, columns, before = panels[panel]
        width, rows = registers * wide, _HEIGHTS[registers]
        whole = columns == width
        for first in range(0, pixels, pixels if whole else rows):
            to, to_at, places, stop = y, y_at + column, output, pixels
            if not whole:  # tile by tile, since its columns are more than y has
                to, to_at, places, stop = spare, 0, ladder, first + 1
                for m in range(rows):
                    ladder[first + m] = m * width
            for piece in range(len(pieces)):
                _tiles(to, to_at, places, x, x_at + channel, window, first, stop, filters, before * depth, pieces,
                       piece, offsets, bias, before, relu, registers, width)  # fmt: skip
            if not whole:
                for m in range(min(rows, pixels - first)):
                    copy(y, y_at + column + output[first + m], spare, m * width, columns)


@compiled
def _tiles(y, y_at, output, x, x_at, window, first, stop, filters, panel, pieces, piece, offsets, bias, bias_at, relu,
           registers, width):  # fmt: skip
    """One piece of a panel over the pixels first ... stop."""
    run, runs, skipped, steps = pieces[piece]
    length = steps if runs > 1 else pieces[-1, 2] + pieces[-1, 3]
    b = panel + (run * length + skipped) * width
    begins, relu = piece == 0, relu and piece == len(pieces) - 1
    start, start_at, follows = (bias, bias_at, 0) if begins else (y, y_at, 1)
    at, rows = x_at + skipped, _HEIGHTS[registers]
    for i in range(first, stop, rows):
        if i + rows < stop:  # the next pixels, or else the next filters
            ahead, ahead_at, ahead_step = x, at + window[i + rows], rows
        else:
            ahead, ahead_at, ahead_step = filters, b + runs * steps * width, width
        if registers == 4:
            _gathered4(y, y_at, output, start, start_at, follows, x, at, window, i, 1, offsets, run, runs,
                       filters, b, width, ahead, ahead_at, ahead_step, steps, relu)  # fmt: skip
        elif registers == 3:
            _gathered3(y, y_at, output, start, start_at, follows, x, at, window, i, 1, offsets, run, runs,
                       filters, b, width, ahead, ahead_at, ahead_step, steps, relu)  # fmt: skip
        elif registers == 2:
            _gathered2(y, y_at, output, start, start_at, follows, x, at, window, i, 1, offsets, run, runs,
                       filters, b, width, ahead, ahead_at, ahead_step, steps, relu)  # fmt: skip
        else:
            _gathered1(y, y_at, output, start, start_at, follows, x, at, window, i, 1, offsets, run, runs,
                       filters, b, width, ahead, ahead_at, ahead_step, steps, relu)  # fmt: skip


def _pack(w, g: ConvGeometry, rows, columns, forward):
    """Panels of the filters' taps rows x columns; windows hold input channels if `forward`, else output channels."""
    taps, inputs, outputs = g.kernel[0] * g.kernel[1], g.in_channels // g.groups, g.out_channels // g.groups
    # In w (O, C / groups, R, S), channels of the window are `across` numbers apart, those that are produced `along`.
    seen, produced, across, along = (inputs, outputs, taps, g.depth) if forward else (outputs, inputs, g.depth, taps)
    plan = tiling.panels(g.groups, seen, produced, lanes(w.dtype), WIDEST)
    taken = tiling.numbers_of_filter(g, rows, columns, seen, across)
    packed = empty((tiling.columns(plan, lanes(w.dtype)) * taken.size,), w.dtype)
    filters = np.require(w, requirements="CAW").reshape(w.size)
    _packed(packed, filters, plan, outputs * g.depth, along, taken, produced, lanes(w.dtype))
    return packed


def pack(w, geometry: ConvGeometry, **_):
    """The filters in panels, for `forward`."""
    return _pack(w, geometry, range(geometry.kernel[0]), range(geometry.kernel[1]), True)


def pack_grad_input(w, geometry: ConvGeometry, **_):
    """The filters of every phase in panels, for `grad_input`, by their first row and column."""
    vertical, horizontal = phases.all_phases(geometry)
    return {(v.first, h.first): _pack(w, geometry, v.taps, h.taps, False) for v in vertical for h in horizontal}


def _run(numbers, filters, b, relu, y, plan: tiling.Plan, groups, replicate, pool=NO_POOL):
    """y, flat, filled by `plan` from the numbers of x, flat; with the maxima in the windows of `pool`, if any."""
    bias = np.zeros(plan.columns, y.dtype)
    if b is not None:
        if groups == 1:
            bias[: b.size] = b
        else:
            for _, first, _, columns, before in plan.panels:
                bias[before : before + columns] = b[first : first + columns]
    _convolved(
        numbers, plan.steps, plan.size, plan.channels, plan.vertical, plan.horizontal, replicate, plan.inside, filters,
        plan.panels, plan.pieces, plan.offsets, plan.depth, bias, relu, y, plan.y_steps, *pool,
        plan.batch, plan.band, plan.blocks, lanes(y.dtype), WIDEST, plan.workers,
    )  # fmt: skip


def forward(x, w, b, geometry: ConvGeometry, relu=False, packed=None, out=None, pool=None):
    g = geometry
    y = layout.target(g.y_shape if pool is None else pool.y_shape, x.dtype, out)
    if g.batch:
        numbers, steps = layout.flat(x)
        to, y_steps = layout.flat_target(y)
        plan, windows = tiling.forward_plan(
            g, pool, steps, y_steps, y.itemsize, lanes(y.dtype), WIDEST, get_num_threads()
        )
        filters = pack(w, g) if packed is None else packed
        _run(numbers, filters, b, relu, to, plan, g.groups, g.padding_mode == "replicate", windows)
    return layout.returned(y, out)


def grad_input(grad, w, geometry: ConvGeometry, packed=None):
    g = geometry

    def convolved(grad, filters, gx, steps, axes):
        wide, workers = lanes(gx.dtype), get_num_threads()
        numbers, seen = layout.flat(grad)
        plan = tiling.plan(grad.shape, g.in_channels, seen, steps, *axes, g.groups, gx.itemsize, wide, WIDEST, workers)
        _run(numbers, filters, None, False, gx, plan, g.groups, False)

    return phases.grad_input(grad, g, pack_grad_input(w, g) if packed is None else packed, convolved)


def packed_bytes(geometry: ConvGeometry, itemsize: int, backwards: bool) -> int:
    """Bytes of the filters in panels."""
    return itemsize * tiling.numbers_of(geometry, backwards, BYTES // itemsize, WIDEST)


def workspace(geometry: ConvGeometry, itemsize: int, backwards: bool) -> int:
    """Bytes besides arguments, results and filters."""
    return tiling.workspace(geometry, backwards, itemsize, BYTES // itemsize, WIDEST, threads.get_num_threads())
