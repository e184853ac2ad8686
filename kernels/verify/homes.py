"""Calls and results moved between NumPy and the GPU, so that one drawn call serves versions of either home."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import backends
from ..registry import Version


def moved(call: Mapping[str, Any], version: Version) -> dict[str, Any]:
    """The call with its arrays where the version takes them, of the same strides and alignment."""
    if backends.BACKENDS[version.backend].home == "NumPy":
        return dict(call)
    return {name: _to_gpu(value) for name, value in call.items()}


def fetched(value: Any) -> Any:
    """A result, or a tuple of them, as NumPy arrays."""
    if isinstance(value, tuple):
        return tuple(fetched(part) for part in value)
    return value.get() if backends.homes((value,)) == {"CuPy"} else value


def _to_gpu(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_to_gpu(part) for part in value)
    if not isinstance(value, np.ndarray):
        return value
    import cupy

    if value.size == 0:
        return cupy.empty(value.shape, value.dtype)
    low, high = np.lib.array_utils.byte_bounds(value)
    ahead = low % 16  # the GPU's memory begins at a multiple of 256 bytes
    held = np.zeros(ahead + high - low, np.uint8)
    held[ahead:] = np.frombuffer((ctypes.c_char * (high - low)).from_address(low), np.uint8)
    first = cupy.asarray(held).data + ahead + (value.ctypes.data - low)
    return cupy.ndarray(value.shape, value.dtype, memptr=first, strides=value.strides)
