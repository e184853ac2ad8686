"""Backends: where arrays live, what each backend needs, and how its kernels are entered."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .cpu import threads


@cache
def _missing(module: str, package: str) -> str | None:
    found = importlib.util.find_spec(module) is not None
    return None if found else f"{module} is not installed (pip install {package})"


@cache
def _not_compiled() -> str | None:
    if os.environ.get("NUMBA_DISABLE_JIT", "0").strip() in ("", "0"):
        return None
    warnings.warn("NUMBA_DISABLE_JIT is set: NumPy computes instead, many times slower; unset it", stacklevel=2)
    return "NUMBA_DISABLE_JIT forbids Numba to compile; unset it"


@dataclass(frozen=True)
class Backend:
    """home: the arrays it takes. unavailable: why it cannot run here, or None. session: entered round a call."""

    home: str
    unavailable: Callable[[], str | None]
    session: Callable[[], AbstractContextManager[None]] = nullcontext


def _emulator_unavailable() -> str | None:
    from . import emulator

    return emulator.unavailable()


def _gpu_unavailable() -> str | None:
    from .cuda import device

    return device.unavailable()


def _on_gpu() -> AbstractContextManager[None]:
    from .cuda import device

    return device.session()


BACKENDS = {
    "cpu": Backend(
        "NumPy", lambda: _missing("numba", "numba") or _not_compiled() or threads.fork_unsafe(), lambda: threads.turn
    ),
    "reference": Backend("NumPy", lambda: None, lambda: threads.governed),
    "cuda": Backend("CuPy", _gpu_unavailable, _on_gpu),
    "numba_cuda": Backend("CuPy", lambda: _gpu_unavailable() or _missing("numba_cuda", "numba-cuda"), _on_gpu),
    "emulator": Backend("NumPy", _emulator_unavailable),
    "interpreter": Backend("NumPy", lambda: _missing("greenlet", "greenlet")),
}
# The same kernels without a GPU: the emulator runs the CUDA C++, the interpreter the Numba-CUDA functions.
WITHOUT_GPU = {"cuda": "emulator", "numba_cuda": "interpreter"}


def homes(arguments: Iterable[Any]) -> set[str]:
    """The libraries that own the arrays among `arguments` (and inside tuples of arrays)."""
    found = set()
    for argument in arguments:
        if isinstance(argument, (tuple, list)):
            found |= homes(argument)
        elif (home := home_of(type(argument))) is not None:
            found.add(home)
    return found


@cache
def home_of(kind: Any) -> str | None:
    """The library whose arrays are of this type, or None."""
    if issubclass(kind, np.ndarray):
        return "NumPy"
    return "CuPy" if kind.__module__.partition(".")[0] == "cupy" else None
