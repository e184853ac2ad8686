"""A call in a line: names, dtypes, shapes and memory layouts of arrays, and the geometry without what is usual."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from .agreement import Call

USUAL: dict[str, Any] = {
    "stride": (1, 1),
    "dilation": (1, 1),
    "padding": ((0, 0), (0, 0)),
    "groups": 1,
    "padding_mode": "zeros",
    "ceil_mode": False,
}
SHOWN = ("kernel", "mode", *USUAL)  # of a geometry; the rest is shapes
FEW = 8  # numbers that are written out


def described(call: Call) -> str:
    """The call in one line."""
    return ", ".join(f"{name}={_value(value)}" for name, value in call.items())


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return f"({', '.join(map(_value, value))})"
    if is_dataclass(value):
        kept = {f.name: getattr(value, f.name) for f in fields(value) if f.name in SHOWN}
        told = [f"{name} {part}" for name, part in kept.items() if part != USUAL.get(name)]
        return f"({', '.join(told)})"
    return repr(value)


def _array(array: np.ndarray) -> str:
    text = f"{array.dtype}{list(array.shape)}"
    if array.size and not array.flags.c_contiguous:
        text += f" strides {[step // array.itemsize for step in array.strides]}"
    if 0 < array.size <= FEW:
        text += f" {np.array2string(array.ravel(), separator=' ', max_line_width=200)}"
    return text
