"""Arrays for kernels, wherever they live: CuPy's on a GPU, NumPy's for the emulator. Launchers know no other way."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..emulator import memory


def on_device(array: Any) -> bool:
    """Whether it is a CuPy array."""
    return not isinstance(array, np.ndarray)


def empty(shape: tuple[int, ...], dtype: Any, like: Any, channels_last: bool = False) -> Any:
    """An array where `like` lives, to be written by a kernel; on the emulator what nobody wrote is noticed.

    channels_last: the logical shape is (N, C, H, W), but C is innermost in memory.
    """
    if channels_last:
        n, c, h, w = shape
        return empty((n, h, w, c), dtype, like).transpose(0, 3, 1, 2)
    if on_device(like):
        import cupy

        return cupy.empty(shape, dtype)
    return memory.empty(shape, np.dtype(dtype))


def zeros(shape: tuple[int, ...], dtype: Any, like: Any) -> Any:
    """An array of zeros where `like` lives."""
    if on_device(like):
        import cupy

        return cupy.zeros(shape, dtype)
    return np.zeros(shape, dtype)


def contiguous(array: Any) -> Any:
    """`array` in C order: itself, or a copy."""
    return array if array.flags.c_contiguous else array.copy(order="C")


def channels_last(array: Any) -> Any:
    """An (N, C, H, W) array whose memory is (N, H, W, C): itself, or a copy."""
    return contiguous(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def ceil_div(a: int, b: int) -> int:
    """a / b, rounded up: how many blocks of b cover a."""
    return -(-a // b)
