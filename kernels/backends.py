"""Backends: where arrays live, what each backend needs, and how its kernels are entered."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

# Numba's fallback threading layer aborts the process when two Python threads enter parallel kernels at
# once. One call already uses every core, so waiting one's turn costs nothing.
_turn = threading.RLock()


@cache
def _blas_under_numba():
    """A controller of SciPy's BLAS, which np.dot calls inside compiled code, apart from NumPy's own."""
    import scipy.linalg.cython_blas  # noqa: F401  (loads the library that Numba will call)
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    scipy_blas = [lib.filepath for lib in blas.lib_controllers if "scipy.libs" in lib.filepath]
    return blas.select(filepath=scipy_blas) if scipy_blas else blas


@cache
def _start_threads() -> None:
    """Starts Numba's threads so that they sleep while they wait.

    By default those of GNU OpenMP spin: on two cores that others use too, training the small VGG on batches of 16
    took 7.5 s instead of 0.7 s. The library reads the policy once, when it is loaded, so it is set for that moment
    alone: other libraries in this process keep theirs.
    """
    import numba

    name = "OMP_WAIT_POLICY"
    chosen = os.environ.get(name)
    os.environ.setdefault(name, "passive")
    numba.get_num_threads()  # launches them
    if chosen is None:
        del os.environ[name]


def _fork_unsafe() -> str | None:
    """Why compiled kernels cannot run in this process, or None.

    GNU OpenMP ends a process that was forked from one whose threads it had started.
    """
    return (
        "this process was forked after kernels had run; start workers with multiprocessing.get_context('spawn'), "
        'or use kernels.using("reference")'
        if _forked
        else None
    )


_forked = False


def _after_fork_in_child() -> None:
    global _turn, _forked
    _turn = threading.RLock()  # another thread of the parent may have held it
    if _start_threads.cache_info().currsize:
        import numba

        _forked = numba.threading_layer() == "omp"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@contextmanager
def _one_parallel_kernel() -> Iterator[None]:
    """Holds the turn; BLAS runs on one thread inside each of Numba's threads."""
    with _turn:
        _start_threads()
        with _blas_under_numba().limit(limits=1):
            yield


@cache
def _missing(module: str, package: str) -> str | None:
    found = importlib.util.find_spec(module) is not None
    return None if found else f"{module} is not installed (pip install {package})"


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
    "cpu": Backend("NumPy", lambda: _missing("numba", "numba") or _fork_unsafe(), _one_parallel_kernel),
    "reference": Backend("NumPy", lambda: None),
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
        if isinstance(argument, np.ndarray):
            found.add("NumPy")
        elif isinstance(argument, (tuple, list)):
            found |= homes(argument)
        elif type(argument).__module__.partition(".")[0] == "cupy":
            found.add("CuPy")
    return found
