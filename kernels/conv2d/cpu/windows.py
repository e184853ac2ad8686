"""Gathering windows of a channels-last image into the rows of a matrix.

Along one axis an `Axis` says where windows lie: tap r of window p sees pixel start + p * stride + r * step.
The forward pass has start = -padding and step = dilation; an input gradient is such a gathering too.

Numba's disk cache watches the file of the function called from Python alone: after a change here, touch
gemm.py and gemm_weight.py, or the old code runs on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...geometry import ConvGeometry


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
