"""How the direct convolutions of this folder cut their work, and what memory that takes. Plain Python.

A convolution is a product of windows (pixels x window's numbers, never written down: they are read where they lie) and
filters (window's numbers x channels). Filters are packed in panels of a few vector registers' columns; a panel is cut
along the depth in pieces that stay in a core's first cache while the pixels of a band pass; bands of output rows are
what threads share.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from ...geometry import ConvGeometry, PoolGeometry
from .axes import NO_POOL, Axis, forward_axes, pool_axes
from .phases import all_phases, phase_axes, phase_steps

PIECE = 160  # steps down the depth of a piece of a panel, about: 40 KB of float32 filters
BAND_BYTES = 1 << 20  # of the inputs and outputs of a band: they stay in a core's second cache
BAND_PIXELS = 96  # that a band should have at least, to be worth reading the filters for
POOLED_ROWS = 4  # that a band of a pooled convolution should have at least
TASKS = 4  # for every thread, so that all end at about the same time

WEIGHT_PIXELS = 128  # the same for the weight gradient, whose depth is the pixels
WEIGHT_BAND_BYTES = 1 << 18
WEIGHT_SUMS_BYTES = 1 << 19  # of what a task sums: it stays in the second cache
WEIGHT_TASKS = 16  # into which even the smallest can be divided
WEIGHT_PART = 1024  # pixels that are worth sums of their own
WEIGHT_NUMBERS = 96  # of a window that are worth a task of their own


def panels(groups: int, channels: int, columns: int, wide: int, most: int) -> np.ndarray:
    """Of each panel: (its first input channel, first output channel, registers, output channels, columns before it).

    channels, columns: input and output channels of a group. wide: columns of a register; most: registers of the widest
    panel. The columns of its last register that stand for no channel are padding, and count in "columns before it".
    """
    found, before = [], 0
    in_all = -(-columns // wide)
    count = -(-in_all // most)
    for group in range(groups):
        first = 0
        for panel in range(count):  # of nearly the same width: narrow ones are slow
            registers = in_all * (count - panel) // count - in_all * (count - panel - 1) // count
            found.append(
                (group * channels, group * columns + first, registers, min(columns - first, registers * wide), before)
            )
            first, before = first + registers * wide, before + registers * wide
    return np.array(found, np.int64)


def columns(panels: np.ndarray, wide: int) -> int:
    """Columns of all panels, padding included."""
    return int(panels[-1, 4] + panels[-1, 2] * wide)


def pieces(runs: int, length: int, most: int = PIECE) -> np.ndarray:
    """Cuts `runs` runs of `length` steps: (first run, runs, first step, steps); several runs are whole ones."""
    found = []
    if length > most:
        parts = -(-length // most)
        for run in range(runs):
            cuts = [length * part // parts for part in range(parts + 1)]
            found += [(run, 1, first, stop - first) for first, stop in pairwise(cuts)]
    else:
        parts = -(-runs // max(most // length, 1))
        cuts = [runs * part // parts for part in range(parts + 1)]
        found += [(first, stop - first, 0, length) for first, stop in pairwise(cuts)]
    return np.array(found, np.int64)


def numbers_of_filter(
    g: ConvGeometry, rows: Iterable[int], columns: Iterable[int], channels: int, across: int
) -> np.ndarray:
    """Where the numbers of a window (taps rows x columns, channels) stand in a filter; channels are `across` apart."""
    taps = np.add.outer(np.array(rows) * g.kernel[1], np.array(columns)).ravel()
    return np.add.outer(taps, np.arange(channels) * across).ravel()


def tap_offsets(vertical: Axis, horizontal: Axis, row: int, pixel: int) -> np.ndarray:
    """Where the taps of a window stand, from its start; row, pixel: numbers from one row or pixel to the next."""
    down, across = (np.arange(axis.taps, dtype=np.int64) * axis.step for axis in (vertical, horizontal))
    return (down[:, None] * row + across * pixel).ravel()


def runs_of(vertical: Axis, horizontal: Axis, groups: int, channels: int) -> tuple[int, int]:
    """(runs, length): how many stretches of numbers that lie side by side make up a window of one group."""
    if groups == 1 and (horizontal.step == 1 or horizontal.taps == 1):
        return vertical.taps, horizontal.taps * channels
    return vertical.taps * horizontal.taps, channels // groups


def bands(batch: int, rows: int, columns: int, row_bytes: int, blocks: int, threads: int) -> tuple[int, int]:
    """(rows of a band, blocks of panels that are tasks of their own) of a convolution of `batch` images.

    row_bytes: what a row of outputs reads and writes. Bands of nearly equal size; small ones, so that all threads are
    busy, if the images are few; and if that does not suffice, panels are shared out too.
    """
    count = -(-rows // max(BAND_BYTES // max(row_bytes, 1), 1))
    wanted = TASKS * threads
    if batch * count < wanted:
        count = max(count, min(-(-wanted // batch), rows * columns // BAND_PIXELS, rows))
    size = -(-rows // max(count, 1))
    count = batch * -(-rows // size)
    return size, 1 if count >= wanted or threads == 1 else min(blocks, -(-wanted // count))


def pooled_band(batch: int, down: Axis, row_bytes: int, threads: int) -> int:
    """Rows of a band of a pooled convolution; the rows that two bands' windows share are computed twice."""
    rows = max(BAND_BYTES // max(row_bytes, 1), down.span)
    count = -(-down.count // ((rows - down.span) // down.stride + 1))
    wanted = -(-TASKS * threads // batch)
    count = max(count, min(wanted, -(-down.count // POOLED_ROWS)))
    return -(-down.count // count)


class Plan(NamedTuple):
    """What a convolution is made of; see `direct._convolved`."""

    batch: int
    size: tuple[int, int]
    channels: int
    steps: tuple[int, ...]
    y_steps: tuple[int, ...]
    vertical: Axis
    horizontal: Axis
    inside: bool
    panels: np.ndarray
    columns: int
    pieces: np.ndarray
    offsets: np.ndarray
    depth: int
    band: int
    blocks: int
    workers: int


@lru_cache(maxsize=512)
def plan(
    x_shape: tuple[int, ...], produced: int, steps: tuple[int, ...], y_steps: tuple[int, ...], vertical: Axis,
    horizontal: Axis, groups: int, itemsize: int, wide: int, most: int, threads: int, down: Axis = NO_POOL[0],
) -> Plan:  # fmt: skip
    """Of x (N, C, H, W), whose numbers stand at `steps`, seen through windows: for `produced` channels at y_steps.

    down: the windows of a pooling, vertically; of its rows are then the bands.

    itemsize: bytes of a number; wide: numbers in a register; most: registers of the widest panel.
    """
    batch, channels, height, width = x_shape
    inside = steps[3] == 1 and vertical.fits(height) and horizontal.fits(width)
    alone = (vertical, horizontal) == ((height, 1, 0, 1, 1), (width, 1, 0, 1, 1))  # one tap, at the pixel itself
    if inside and alone and not down.count and y_steps[:2] == (height * width * y_steps[2], width * y_steps[2]):
        # All pixels of all images make one column.
        batch, height, width = 1, batch * height * width, 1
        steps, y_steps = (0, channels, channels, 1), (0, y_steps[2], y_steps[2], y_steps[3])
        vertical, horizontal = Axis(height, 1, 0, 1, 1), Axis(1, 1, 0, 1, 1)
    runs, length = runs_of(vertical, horizontal, groups, channels)
    broad = (horizontal.count - 1) * horizontal.stride + horizontal.span
    row, pixel = (steps[1], steps[2]) if inside else (broad * channels, channels)
    offsets = tap_offsets(vertical, horizontal, row, pixel)
    if runs < len(offsets):
        offsets = offsets[:: horizontal.taps].copy()
    cut = panels(groups, channels // groups, produced // groups, wide, most)
    row_bytes = itemsize * (vertical.stride * broad * channels + horizontal.count * produced)
    if down.count:
        band, blocks = pooled_band(batch, down, row_bytes, threads), 1
    else:
        band, blocks = bands(batch, vertical.count, horizontal.count, row_bytes, len(cut), threads)
    return Plan(
        batch, (height, width), channels, steps, y_steps, vertical, horizontal, inside, cut, columns(cut, wide),
        pieces(runs, length), offsets, runs * length, band, blocks, threads,
    )  # fmt: skip


@lru_cache(maxsize=512)
def forward_plan(
    g: ConvGeometry, pool: PoolGeometry | None, steps: tuple[int, ...], y_steps: tuple[int, ...], itemsize: int,
    wide: int, most: int, threads: int,
) -> tuple[Plan, tuple[Axis, Axis]]:  # fmt: skip
    """The `plan` of a forward pass, and the windows of the pooling that follows."""
    windows = pool_axes(pool)
    seen = (*forward_axes(g), g.groups, itemsize, wide, most, threads, windows[0])
    return plan(g.x_shape, g.out_channels, steps, (*y_steps, 0), *seen), windows


class WeightPlan(NamedTuple):
    """What the weight gradient is made of; see `direct_weights._summed`."""

    inside: bool
    panels: np.ndarray
    elements: np.ndarray
    pieces: np.ndarray
    band: int
    parts: int
    blocks: int
    slices: int


@lru_cache(maxsize=512)
def weight_plan(
    g: ConvGeometry, steps: tuple[int, ...], itemsize: int, wide: int, most: int, threads: int
) -> WeightPlan:
    """Of x, whose numbers stand at `steps`; see `plan`. What is summed in which order does not depend on threads."""
    vertical, horizontal = forward_axes(g)
    inside = steps[3] == 1 and vertical.fits(g.size[0]) and horizontal.fits(g.size[1])
    broad = (horizontal.count - 1) * horizontal.stride + horizontal.span
    row, pixel = (steps[1], steps[2]) if inside else (broad * g.in_channels, g.in_channels)
    taps = tap_offsets(vertical, horizontal, row, pixel)
    elements = np.add.outer(taps, np.arange(g.in_channels // g.groups)).ravel()
    cut = panels(g.groups, g.in_channels // g.groups, g.out_channels // g.groups, wide, most)
    numbers, pixels = len(elements), g.batch * vertical.count * horizontal.count
    row_bytes = itemsize * vertical.stride * broad * g.in_channels
    lines = max(WEIGHT_PIXELS // horizontal.count, 1)  # rows of a piece, and no image ends with a small one
    lines = -(-vertical.count // -(-vertical.count // lines))
    each = WEIGHT_BAND_BYTES // row_bytes
    if g.batch < WEIGHT_TASKS:
        each = min(each, -(-vertical.count * g.batch // WEIGHT_TASKS))
    band = min(max(each // lines, 1) * lines, vertical.count)
    total = itemsize * numbers * columns(cut, wide)
    finest = len(cut) * max(numbers // WEIGHT_NUMBERS, 1)
    parts = min(-(-WEIGHT_TASKS // finest), max(pixels // WEIGHT_PART, 1), g.batch * -(-vertical.count // band))
    # Whatever the threads, these change nothing of the sums.
    wanted = -(-TASKS * threads // parts)
    blocks = min(-(-total // WEIGHT_SUMS_BYTES), len(cut))
    slices = min(-(-wanted // blocks), max(numbers // WEIGHT_NUMBERS, 1))
    blocks = min(max(-(-wanted // slices), blocks), len(cut))
    return WeightPlan(inside, cut, elements, pieces(band, horizontal.count, WEIGHT_PIXELS), band, parts, blocks, slices)


def numbers_of(g: ConvGeometry, backwards: bool, wide: int, most: int) -> int:
    """Numbers of the packed filters, of all phases if `backwards`."""
    inputs, outputs = g.in_channels // g.groups, g.out_channels // g.groups
    seen, produced = (outputs, inputs) if backwards else (inputs, outputs)
    taps = g.kernel[0] * g.kernel[1]  # every one belongs to one phase
    return taps * seen * columns(panels(g.groups, seen, produced, wide, most), wide)


def _last(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The steps of a channels-last array (N, C, H, W)."""
    _, channels, height, width = shape
    return height * width * channels, width * channels, channels, 1


def workspace(g: ConvGeometry, backwards: bool, itemsize: int, wide: int, most: int, threads: int) -> int:
    """Bytes of a forward pass or input gradient besides arrays and filters: a band and its tables, for each thread."""
    cases = [(g.x_shape, g.out_channels, (*_last(g.y_shape)[:3], 0), forward_axes(g))]
    if backwards:
        cases = [
            (g.y_shape, g.in_channels, phase_steps(g, v, h), phase_axes(g, v, h))
            for v, h in product(*all_phases(g))
            if v.first < g.size[0] and h.first < g.size[1]
        ]
    largest = 0
    for shape, produced, steps, axes in cases if g.batch else ():
        made = plan(shape, produced, _last(shape), steps, *axes, g.groups, itemsize, wide, most, threads)
        tables = 3 * 8 * made.band * made.horizontal.count
        largest = max(largest, tables + (0 if made.inside else itemsize * _band(made, shape[1])))
    return threads * largest


def _band(made: Plan, channels: int) -> int:
    """Numbers that a band of rows sees, with their border."""
    down, across = made.vertical, made.horizontal
    return ((made.band - 1) * down.stride + down.span) * ((across.count - 1) * across.stride + across.span) * channels


def weight_workspace(g: ConvGeometry, itemsize: int, wide: int, most: int, threads: int) -> int:
    """Bytes of the weight gradient besides its arrays: the parts' sums; a thread, a band and a piece of gradients."""
    if not g.batch:
        return 0
    made = weight_plan(g, _last(g.x_shape), itemsize, wide, most, threads)
    vertical, horizontal = forward_axes(g)
    broad = (horizontal.count - 1) * horizontal.stride + horizontal.span
    band = ((made.band - 1) * vertical.stride + vertical.span) * broad * g.in_channels
    pixels = int((made.pieces[:, 1] * made.pieces[:, 3]).max())
    room = pixels * -(-len(made.panels) // made.blocks) * most * wide
    each = (0 if made.inside else itemsize * band) + itemsize * room + 2 * 8 * len(made.elements)
    return itemsize * made.parts * columns(made.panels, wide) * len(made.elements) + threads * each
