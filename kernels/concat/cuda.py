"""Joining arrays in CUDA C++ (concat.cu). Cutting them apart again takes no kernel: the parts are views."""

from __future__ import annotations

import itertools
import math

from ..cuda import ceil_div, contiguous, empty, pixels, source, strides
from ..cuda.structs import shape4

SOURCE = source(__file__, "concat.cu")
BLOCK = 128
LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # axes in memory of a channels-last array, and back


def _joined(xs, axis):
    """The shape of the result, and where along the axis each array begins."""
    starts = list(itertools.accumulate((x.shape[axis] for x in xs), initial=0))
    return (*xs[0].shape[:axis], starts[-1], *xs[0].shape[axis + 1 :]), starts[:-1]


def _four(x, axis):
    """x as four axes, the middle one of them the axis, in whatever strides where that takes no copy."""
    if x.ndim <= 4:
        return x[(..., *(None,) * (4 - x.ndim))]
    return contiguous(x).reshape(math.prod(x.shape[:axis]), x.shape[axis], -1, 1)


def naive(xs, axis):
    axis %= xs[0].ndim
    shape, starts = _joined(xs, axis)
    y = empty(shape, xs[0].dtype, like=xs[0])
    step = y.strides[axis] // y.itemsize
    for x, start in zip(xs, starts, strict=True):
        if x.size:
            x4 = _four(x, axis)
            SOURCE.launch(
                "concat_naive", ceil_div(x.size, BLOCK), BLOCK,
                x4, y, shape4(x4.shape), strides(x4), strides(_four(y, axis)), start * step, real=y.dtype,
            )  # fmt: skip
    return y


def _channels_last(xs):
    return xs[0].ndim == 4 and all(x.transpose(LAST).flags.c_contiguous for x in xs)


def _pieces(xs, axis):
    """Of arrays in C order: the rows of all, a row of the result, and of each array (a row, where it begins, fours)."""
    shape, starts = _joined(xs, axis)
    inner = math.prod(shape[axis + 1 :])
    pitch, pieces = shape[axis] * inner, []
    for x, start in zip(xs, starts, strict=True):
        columns, offset = x.shape[axis] * inner, start * inner
        pieces.append((columns, offset, not (columns % 4 or pitch % 4 or offset % 4)))
    return math.prod(shape[:axis]), pitch, pieces


def rows_serves(xs, axis):
    """Why `rows` cannot take a call, or None."""
    axis %= xs[0].ndim
    last = _channels_last(xs)
    given = tuple(x.transpose(LAST) for x in xs) if last else xs
    _, _, pieces = _pieces(given, LAST.index(axis) if last else axis)
    return pixels.too_long(max(columns // 4 if fours else columns for columns, _, fours in pieces))


def rows(xs, axis):
    axis %= xs[0].ndim
    if _channels_last(xs):
        return _rows(tuple(x.transpose(LAST) for x in xs), LAST.index(axis)).transpose(FIRST)
    return _rows(tuple(contiguous(x) for x in xs), axis)


def _rows(xs, axis):
    """Joins arrays in C order."""
    y = empty(_joined(xs, axis)[0], xs[0].dtype, like=xs[0])
    count, pitch, pieces = _pieces(xs, axis)
    for x, (columns, offset, fours) in zip(xs, pieces, strict=True):
        blocks, threads, across = pixels.walk(count, columns // 4 if fours else columns, BLOCK)
        SOURCE.launch("concat_rows", blocks, threads, x, y, count, columns, pitch, offset, fours, across, real=y.dtype)
    return y


def views(grad, sizes, axis):
    axis %= grad.ndim
    stops = list(itertools.accumulate(sizes))
    return tuple(
        grad[(slice(None),) * axis + (slice(stop - size, stop),)] for size, stop in zip(sizes, stops, strict=True)
    )
