"""Convolution of every channel with a filter of its own: tap by tap, side by side over the channels.

Nothing is summed over channels here, so there is no matrix product; bands of rows are as in direct.py, the phases of
the input gradient and the parts of the weight gradient too, and results have the same bits in any batch and on any
number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, prange

from ...cpu import threads
from ...cpu.compiled import compiled
from ...cpu.memory import empty
from ...cpu.windows import clear, fill_band
from ...geometry import ConvGeometry
from . import layout, phases, tiling
from .axes import forward_axes

WIDE = (1, 1)  # a plan's panels, which do not matter here: one column


@compiled(parallel=True)
def _convolved(
    x, steps, size, channels, vertical, horizontal, replicate, inside, filters, offsets, bias, relu, y, y_steps, batch,
    band, workers,
):  # fmt: skip
    """y = bias + x convolved with filters (taps, channels); arguments are those of `direct._convolved`."""
    rows, columns, taps = vertical.count, horizontal.count, offsets.size
    broad = (columns - 1) * horizontal.stride + (horizontal.taps - 1) * horizontal.step + 1
    deep = (band - 1) * vertical.stride + (vertical.taps - 1) * vertical.step + 1
    row_step, pixel_step = (steps[1], steps[2]) if inside else (broad * channels, channels)
    each = (rows + band - 1) // band
    bands = np.empty((workers, 0 if inside else deep * broad * channels), x.dtype)
    for worker in prange(workers):
        copied = bands[worker]
        for task in range(worker, batch * each, workers):
            n, first = task // each, task % each * band
            count = min(band, rows - first)
            top = vertical.start + first * vertical.stride
            if inside:
                seen, at = x, n * steps[0] + top * row_step + horizontal.start * pixel_step
            else:
                needed = (count - 1) * vertical.stride + (vertical.taps - 1) * vertical.step + 1
                fill_band(copied, x, n * steps[0], steps[1], steps[2], steps[3], size, channels, top, needed,
                          horizontal.start, broad, replicate)  # fmt: skip
                seen, at = copied, 0
            for p in range(count):
                for q in range(columns):
                    window = at + p * vertical.stride * row_step + q * horizontal.stride * pixel_step
                    pixel = n * y_steps[0] + (first + p) * y_steps[1] + q * y_steps[2] + y_steps[3]
                    _pixel(y, pixel, seen, window, offsets, taps, filters, bias, relu, channels)


@compiled
def _pixel(y, to, x, at, offsets, taps, filters, bias, relu, channels):
    """One pixel of y."""
    for c in range(np.uint64(channels)):
        y[np.uint64(to) + c] = bias[c]
    for tap in range(taps):
        first, weight = np.uint64(at + offsets[tap]), np.uint64(tap * channels)
        for c in range(np.uint64(channels)):
            y[np.uint64(to) + c] += x[first + c] * filters[weight + c]
    if relu:
        zero = y.dtype.type(0)
        for c in range(np.uint64(channels)):
            value = y[np.uint64(to) + c]
            y[np.uint64(to) + c] = zero if value < zero else value


def _run(x, filters, b, relu, y, y_steps, vertical, horizontal, replicate):
    """y, flat, filled at y_steps (image, row, pixel, first number)."""
    channels, workers = x.shape[1], get_num_threads()
    numbers, steps = layout.flat(x)
    plan = tiling.plan(x.shape, channels, steps, y_steps, vertical, horizontal, channels, y.itemsize, *WIDE, workers)
    bias = np.zeros(channels, y.dtype) if b is None else np.require(b, requirements="CAW")
    _convolved(
        numbers, plan.steps, plan.size, channels, plan.vertical, plan.horizontal, replicate, plan.inside, filters,
        plan.offsets, bias, relu, y, plan.y_steps, plan.batch, plan.band, workers,
    )  # fmt: skip


def forward(x, w, b, geometry: ConvGeometry, relu=False, packed=None):
    g = geometry
    y = empty((g.batch, *g.output, g.out_channels), x.dtype)
    if g.batch:
        steps = (g.output[0] * g.output[1] * g.out_channels, g.output[1] * g.out_channels, g.out_channels, 0)
        filters = pack(w, g) if packed is None else packed
        _run(x, filters, b, relu, y.reshape(y.size), steps, *forward_axes(g), g.padding_mode == "replicate")
    return y.transpose(0, 3, 1, 2)


def pack(w, geometry: ConvGeometry, **_):
    """The filters (R S C,), for `forward`."""
    return np.require(w[:, 0].transpose(1, 2, 0), requirements="CAW").reshape(w.size)


def pack_grad_input(w, geometry: ConvGeometry, **_):
    """The filters of each phase (taps C,), for `grad_input`, by their first row and column."""
    filters, (vertical, horizontal) = w[:, 0].transpose(1, 2, 0), phases.all_phases(geometry)
    return {
        (v.first, h.first): np.require(filters[list(v.taps)][:, list(h.taps)], requirements="CAW").ravel()
        for v in vertical
        for h in horizontal
    }


def grad_input(grad, w, geometry: ConvGeometry, packed=None):
    def convolved(grad, filters, gx, steps, axes):
        _run(grad, filters, None, False, gx, steps, *axes, False)

    return phases.grad_input(grad, geometry, pack_grad_input(w, geometry) if packed is None else packed, convolved)


@compiled(parallel=True)
def _summed(
    sums, x, steps, size, channels, vertical, horizontal, replicate, inside, grad, offsets, batch, band, parts, workers
):
    """sums[part, tap, channel] = sum over the pixels of that part of x times grad; as `direct_weights._summed`."""
    rows, columns, taps = vertical.count, horizontal.count, offsets.size
    broad = (columns - 1) * horizontal.stride + (horizontal.taps - 1) * horizontal.step + 1
    deep = (band - 1) * vertical.stride + (vertical.taps - 1) * vertical.step + 1
    row_step, pixel_step = (steps[1], steps[2]) if inside else (broad * channels, channels)
    each = (rows + band - 1) // band
    units = batch * each
    bands = np.empty((workers, 0 if inside else deep * broad * channels), x.dtype)
    for worker in prange(workers):
        copied = bands[worker]
        for part in range(worker, parts, workers):
            clear(sums, part * taps * channels, taps * channels)
            for unit in range(units * part // parts, units * (part + 1) // parts):
                n, first = unit // each, unit % each * band
                count = min(band, rows - first)
                top = vertical.start + first * vertical.stride
                if inside:
                    seen, at = x, n * steps[0] + top * row_step + horizontal.start * pixel_step
                else:
                    needed = (count - 1) * vertical.stride + (vertical.taps - 1) * vertical.step + 1
                    fill_band(copied, x, n * steps[0], steps[1], steps[2], steps[3], size, channels, top, needed,
                              horizontal.start, broad, replicate)  # fmt: skip
                    seen, at = copied, 0
                for p in range(count):
                    for q in range(columns):
                        window = at + p * vertical.stride * row_step + q * horizontal.stride * pixel_step
                        pixel = np.uint64(((n * rows + first + p) * columns + q) * channels)
                        for tap in range(taps):
                            source, to = np.uint64(window + offsets[tap]), np.uint64((part * taps + tap) * channels)
                            for c in range(np.uint64(channels)):
                                sums[to + c] += seen[source + c] * grad[pixel + c]


def grad_weight(grad, x, geometry: ConvGeometry):
    g = geometry
    taps, channels, workers = g.kernel[0] * g.kernel[1], g.in_channels, get_num_threads()
    if not g.batch:
        return np.zeros(g.w_shape, x.dtype)
    numbers, steps = layout.flat(x)
    grads = np.require(grad.transpose(0, 2, 3, 1), requirements="CAW")
    plan = tiling.weight_plan(g, steps, x.itemsize, *WIDE, workers)
    parts = min(tiling.WEIGHT_TASKS, g.batch * -(-g.output[0] // plan.band))
    sums = np.empty((parts, taps * channels), x.dtype)
    _summed(
        sums.reshape(sums.size), numbers, steps, g.size, channels, *forward_axes(g),
        g.padding_mode == "replicate", plan.inside, grads.reshape(grads.size), plan.elements, g.batch, plan.band, parts,
        workers,
    )  # fmt: skip
    total = sums[0]
    for part in sums[1:]:
        total += part
    return np.ascontiguousarray(total.reshape(taps, channels).T).reshape(g.w_shape)


def packed_bytes(geometry: ConvGeometry, itemsize: int, backwards: bool) -> int:
    """Bytes of the filters, channels last."""
    return itemsize * geometry.out_channels * geometry.depth


def workspace(geometry: ConvGeometry, itemsize: int, backwards: bool) -> int:
    """Bytes besides arguments, results and filters."""
    return tiling.workspace(geometry, backwards, itemsize, *WIDE, threads.get_num_threads())


def weight_workspace(geometry: ConvGeometry, itemsize: int) -> int:
    """Bytes besides arguments and results."""
    return tiling.weight_workspace(geometry, itemsize, *WIDE, threads.get_num_threads())
