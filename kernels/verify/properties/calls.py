"""Calls made of other calls: the same shapes and layouts with whole numbers, small ones, or none but finite ones.

All is a function of the call that was drawn, so a call alone tells what a property did, and shrinking it shrinks that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...emulator import memory
from ..agreement import Call

Array = np.ndarray


def float_names(call: Call) -> list[str]:
    """The names of the arguments that are floating-point arrays, or tuples of them."""
    return [name for name, value in call.items() if any(a.dtype.kind == "f" for a in parts(value))]


def parts(value: Any) -> Iterator[Array]:
    """The arrays of an argument: itself, or those of a tuple."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from parts(part)


def changed(call: Call, change: Callable[[Array], Array], names: Sequence[str] | None = None) -> Call:
    """The call with `change` made to its floating-point arrays (or those named), which keep their layout."""
    wanted = float_names(call) if names is None else names
    return {name: _changed(value, change) if name in wanted else value for name, value in call.items()}


def fresh(call: Call) -> Call:
    """The call with copies of all its arrays, laid out as they are."""
    return {name: _changed(value, lambda x: x) for name, value in call.items()}


def _changed(value: Any, change: Callable[[Array], Array]) -> Any:
    if isinstance(value, tuple):
        return tuple(_changed(part, change) for part in value)
    return laid_like(value, change(value)) if isinstance(value, np.ndarray) else value


def laid_like(array: Array, values: Array) -> Array:
    """`values` in memory of their own, laid out as `array` is: the same strides, the same alignment."""
    if not array.size:
        return np.empty_like(array)
    held, address = memory.guarded(array)
    made = np.ndarray(array.shape, array.dtype, held.data, address - held.ctypes.data, array.strides)
    made[...] = values
    return made


def whole(x: Array) -> Array:
    """Whole numbers from -4 to 4, made of drawn numbers. Products of a few thousand of them add up exactly."""
    return np.rint(np.clip(np.nan_to_num(2 * x), -4, 4))


def integers(call: Call, **settings: Any) -> Call:
    """The call with whole numbers in its arrays and the settings given."""
    return {**changed(call, whole), **{name: value for name, value in settings.items() if name in call}}


def finite(call: Call) -> Call:
    """The call with 1 for NaN, and 2 and -2 for the infinities; otherwise as it is."""
    names = [n for n in float_names(call) if not all(np.isfinite(a).all() for a in parts(call[n]))]
    return changed(call, lambda x: np.nan_to_num(x, nan=1, posinf=2, neginf=-2), names)


def eighths(x: Array) -> Array:
    """Multiples of 1/8 from -16 to 16: whole numbers may be added to them without rounding."""
    return np.clip(np.rint(8 * np.nan_to_num(x)), -128, 128) / 8


def order(n: int) -> Array:
    """A permutation of n things, always the same."""
    return np.random.default_rng(n).permutation(n)
