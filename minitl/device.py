"""Where arrays live: "cpu" (NumPy) or "cuda" (CuPy, on a GPU), and moving them between the two.

CuPy is imported only where there is a GPU to use. Nothing moves by itself: what needs the other home says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from .errors import ArgumentError, BackendUnavailable
from .kernels.cuda import device as gpu

CPU = "cpu"


def resolve(name: Any) -> str:
    """The device of a name: "cpu", "cuda" (the current GPU), "cuda:1", or "auto" (a GPU if one can be used).

    Raises ArgumentError for another name, BackendUnavailable, with the reason, where there is no such GPU.
    """
    if not isinstance(name, str) or not re.fullmatch(r"cpu|auto|cuda(:\d+)?", name):
        raise ArgumentError(f'device must be "cpu", "cuda", "cuda:N" or "auto"; got {name!r:.60}')
    if name == CPU:
        return CPU
    reason = gpu.unavailable()
    if name == "auto":
        return CPU if reason else "cuda:0"
    if reason:
        raise BackendUnavailable(f"device {name!r}: {reason}")
    number, count = int(name.partition(":")[2] or 0), _count()
    if number >= count:
        raise BackendUnavailable(f"device {name!r}: there are {count} GPUs, numbered from 0; choose one of them")
    return f"cuda:{number}"


def _count() -> int:
    import cupy

    return int(cupy.cuda.runtime.getDeviceCount())


def is_array(x: Any) -> bool:
    """Whether x is an array of NumPy's or of CuPy's."""
    return isinstance(x, np.ndarray) or on_gpu(x)


def on_gpu(x: Any) -> bool:
    """Whether x is an array of CuPy's."""
    return _of_cupy(type(x)) and hasattr(x, "dtype")  # type: ignore[arg-type]  # types are hashable


@cache
def _of_cupy(kind: Any) -> bool:
    return kind.__module__.partition(".")[0] == "cupy"


def of(array: Any) -> str:
    """The device that an array lives on."""
    return f"cuda:{array.device.id}" if on_gpu(array) else CPU


def library(array: Any) -> Any:
    """The module that makes arrays where `array` lives: numpy or cupy."""
    if not on_gpu(array):
        return np
    import cupy

    return cupy


def to(array: Any, name: str) -> Any:
    """`array` on the device `name` (as `resolve` gives it): itself if it is there, otherwise a copy."""
    if of(array) == name:
        return array
    if name == CPU:
        return array.get()
    import cupy

    with cupy.cuda.Device(_number(name)), gpu.session():
        return array.copy() if on_gpu(array) else cupy.asarray(array)


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array on the current GPU that holds no numbers yet. Raises DeviceMemoryError where there is no room."""
    import cupy

    with gpu.session():
        return cupy.empty(shape, dtype)


def use(name: str) -> None:
    """Makes a GPU, named as `resolve` does, the current one of this thread: the one that kernels run on."""
    if name != CPU:
        import cupy

        cupy.cuda.Device(_number(name)).use()


def _number(name: str) -> int:
    return int(name.partition(":")[2])


def to_host(array: Any) -> np.ndarray:
    """`array` as a NumPy array: itself, or a copy from the GPU."""
    return array.get() if on_gpu(array) else np.asarray(array)


def beside(array: Any, other: Any) -> Any:
    """`array` on the device that `other` lives on."""
    return to(array, of(other))


def require_same(op: str, arrays: Iterable[Any]) -> None:
    """Raises BackendUnavailable, naming both devices, unless all arrays live on one; None counts for nothing."""
    first = None
    for array in arrays:
        if array is None:
            continue
        home = of(array)
        if first is None:
            first = home, array.shape
        elif home != first[0]:
            raise BackendUnavailable(
                f"{op}: an array of shape {first[1]} is on {first[0]}, but one of shape {array.shape} on {home}; "
                f"move one of them with .to({home!r}) or .to({first[0]!r})"
            )
