"""What an op's oracle answers to a call, and how far off a version may be: kept, since many properties ask the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..registry import KernelSpec, Version

MOST = 2000  # answers kept

_kept: OrderedDict[Any, Any] = OrderedDict()


def truth(kernel: KernelSpec, call: dict[str, Any]) -> Any:
    """The oracle's answer, or tuple of answers; not to be written to."""
    return _remembered((kernel.name, None, _key(call)), lambda: kernel.load(kernel.oracle)(**call))


def bound(kernel: KernelSpec, version: Version, call: dict[str, Any]) -> Any:
    """How far a version may be off, elementwise; a tuple where the oracle's answer is one."""
    key = kernel.name, version.precision, version.bound, _key(call)
    return _remembered(key, lambda: kernel.bound_of(version, call, truth(kernel, call)))


def each(answer: Any) -> tuple[Any, ...]:
    """A tuple of answers, or of one."""
    return answer if isinstance(answer, tuple) else (answer,)


def _remembered(key: Any, make: Callable[[], Any]) -> Any:
    if key not in _kept:
        _kept[key] = make()
        if len(_kept) > MOST:
            _kept.popitem(last=False)
    return _kept[key]


def _key(value: Any) -> Any:
    """The contents of a call, whatever its layout in memory."""
    if isinstance(value, dict):
        return tuple((name, _key(part)) for name, part in value.items())
    if isinstance(value, (tuple, list)):
        return tuple(map(_key, value))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return repr(value)
