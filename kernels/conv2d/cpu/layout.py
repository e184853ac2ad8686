"""Arrays as the kernels of this folder take them: in one dimension, with the steps between their numbers."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...cpu.memory import empty


def flat(x: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """x (N, C, H, W) in one dimension, and its steps from one image, row, pixel and channel to the next.

    No copy of what can be written to and lies channels-last, or in C order.
    """
    _, c, h, w = x.shape
    last = x.transpose(0, 2, 3, 1)
    if x.flags.c_contiguous and x.flags.writeable and not last.flags.c_contiguous:
        return x.reshape(x.size), (c * h * w, w, 1, h * w)
    if not last.flags.carray:
        last = np.require(last, requirements="CAW")
    return last.reshape(x.size), (c * h * w, w * c, c, 1)


def target(shape: tuple[int, ...], dtype: np.dtype, out: np.ndarray | None) -> np.ndarray:
    """Where results (N, O, P, Q) are written: (N, P, Q, O), each pixel's numbers side by side; `out` if that is so."""
    n, o, p, q = shape
    if out is not None:
        last = out.transpose(0, 2, 3, 1)
        if last.size and last.strides[3] == last.itemsize and all(s % last.itemsize == 0 <= s for s in last.strides):
            return last
    return empty((n, p, q, o), dtype)


def flat_target(y: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """A target in one dimension, and its steps from one image, row and pixel to the next."""
    if y.flags.c_contiguous:
        _, rows, columns, channels = y.shape
        return y.reshape(y.size), (rows * columns * channels, columns * channels, channels)
    steps = [stride // y.itemsize for stride in y.strides]
    size = sum((n - 1) * step for n, step in zip(y.shape, steps, strict=True)) + 1 if y.size else 0
    return as_strided(y, (size,), (y.itemsize,)), (steps[0], steps[1], steps[2])


def returned(y: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """A filled target as (N, O, P, Q): `out`, if there is one, to which it is copied unless it lies there."""
    answer = y.transpose(0, 3, 1, 2)
    if out is None:
        return answer
    if not np.may_share_memory(y, out):
        out[...] = answer
    return out


def channels_last(x):
    """(N, C, H, W) in any strides -> (N, H, W, C) in C order; no copy if it lies so already."""
    return np.require(x.transpose(0, 2, 3, 1), requirements="CAW")
