"""How many threads the kernels use on a CPU, and whose turn it is to use them.

One setting governs Numba's threads and those of BLAS, NumPy's own and SciPy's. Where nobody has set anything, kernels
use every core that this process is granted, and BLAS is left as its own variables (OPENBLAS_NUM_THREADS ...) say.
"""

from __future__ import annotations

import numbers
import os
import sys
import threading
import warnings
from functools import cache
from typing import Any

from ...errors import ArgumentError, BackendUnavailable
from .cores import allowed, granted

VARIABLE = "MINITL_NUM_THREADS"
_SCIPY_BLAS = "scipy.linalg.cython_blas"  # the module with which SciPy's BLAS is loaded

# Numba's fallback threading layer aborts the process when two Python threads enter parallel kernels at
# once. One call already uses every core, so waiting one's turn costs nothing.
_turn = threading.RLock()
_count: int | None = None  # None: not asked for yet
_chosen = False  # by set_num_threads or the variable; otherwise _count is what the machine grants
_changes = 0  # of the setting
_forked = False


class _Seen(threading.local):
    """What this Python thread has made of the setting; Numba keeps its number of threads for each one apart."""

    changes: int | None = None


_seen = _Seen()
_blas_seen: tuple[int, bool] | None = None  # the state of the setting and of SciPy when BLAS was last told


def set_num_threads(n: int) -> None:
    """Lets CPU kernels, and BLAS wherever NumPy or SciPy call it in this process, use `n` threads from now on.

    For more than the cores that this process is allowed, it is these, and a warning says so. The variable
    MINITL_NUM_THREADS sets the same before a program starts. Raises ArgumentError unless n is a whole number of at
    least 1. Results have the same bits for any n, but for those of BLAS.
    """
    global _count, _chosen, _changes
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1:
        raise ArgumentError(f"set_num_threads: needs a whole number of 1 or more; got {n!r}")
    with _turn:
        _count, _chosen, _changes = _at_most(int(n), "set_num_threads"), True, _changes + 1
        _tell_blas()


def get_num_threads() -> int:
    """The number of threads that CPU kernels use; ArgumentError if MINITL_NUM_THREADS is no whole number above 0."""
    global _count, _chosen
    if _count is None:
        text = os.environ.get(VARIABLE, "").strip()
        asked = _parsed(text) if text else None
        with _turn:
            if _count is None:
                _count = min(granted(), most()) if asked is None else _at_most(asked, VARIABLE)
                _chosen = asked is not None
    return _count


def most() -> int:
    """The largest number of threads: the cores allowed, or what NUMBA_NUM_THREADS lets Numba start."""
    text = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(text) if text.isdecimal() and int(text) else allowed()


def _parsed(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise ArgumentError(f"{VARIABLE}: needs a whole number of 1 or more; got {text!r}; set it so, or unset it")
    return int(text)


def _at_most(n: int, asker: str) -> int:
    if n > most():
        warnings.warn(
            f"{asker}: {n} threads are more than the {most()} cores of this process; uses {most()}", stacklevel=3
        )
    return min(n, most())


class _Governed:
    """Entered round a kernel that may call NumPy's BLAS."""

    def __enter__(self) -> None:
        if _blas_seen != (_changes, _SCIPY_BLAS in sys.modules):
            _tell_blas()

    def __exit__(self, *error: Any) -> None:
        pass


class _Turn:
    """Entered round a compiled kernel: one at a time, on as many threads as the setting says."""

    def __enter__(self) -> None:
        _turn.acquire()
        try:
            if _seen.changes != _changes:
                _start_threads()
                _tell_numba()
            if _blas_seen != (_changes, _SCIPY_BLAS in sys.modules):
                _tell_blas()
        except BaseException:
            _turn.release()
            raise

    def __exit__(self, *error: Any) -> None:
        _turn.release()


# Both may be entered by many threads at once, and inside themselves.
governed, turn = _Governed(), _Turn()


def _tell_numba() -> None:
    """Sets Numba's number of threads in this Python thread; one that its owner has lowered himself stays so."""
    import numba

    count = min(get_num_threads(), numba.config.NUMBA_NUM_THREADS)
    numba.set_num_threads(count if _chosen else min(count, numba.get_num_threads()))
    _seen.changes = _changes


def _tell_blas() -> None:
    """Sets the threads of every BLAS that is loaded, to the number asked for, or no higher than the one granted."""
    global _blas_seen
    state = _changes, _SCIPY_BLAS in sys.modules
    count, few = get_num_threads(), granted()
    if _chosen or few < allowed():
        from threadpoolctl import ThreadpoolController

        for library in ThreadpoolController().select(user_api="blas").lib_controllers:
            library.set_num_threads(count if _chosen else min(few, library.get_num_threads()))
    _blas_seen = state


@cache
def _start_threads() -> None:
    """Starts Numba's threads so that they sleep while they wait.

    By default those of GNU OpenMP spin: on two cores that others use too, training the small VGG on batches of 16
    took 7.5 s instead of 0.7 s. A thousand turns, some microseconds, bridge the gap to the next kernel of a network.
    The library reads the policy once, when it is loaded, so it is set for that moment alone. Where another package has
    loaded it before, as PyTorch does when imported, that one's policy holds for both, and else this one's does.
    """
    import numba

    policy = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
    given = [name for name in policy if name in os.environ]
    if not given:
        os.environ.update(policy)
    try:
        numba.get_num_threads()  # launches them
    except ValueError as error:
        raise BackendUnavailable(
            f"Numba cannot start its threads: {error}; mend NUMBA_NUM_THREADS and NUMBA_THREADING_LAYER, or unset them"
        ) from None
    finally:
        for name in () if given else policy:
            del os.environ[name]


def fork_unsafe() -> str | None:
    """Why compiled kernels cannot run in this process, or None.

    GNU OpenMP ends a process that was forked from one whose threads it had started.
    """
    return (
        "this process was forked after kernels had run; start workers with multiprocessing.get_context('spawn'), "
        'or use kernels.using("reference")'
        if _forked
        else None
    )


def _after_fork_in_child() -> None:
    global _turn, _forked
    _turn = threading.RLock()  # another thread of the parent may have held it
    if _start_threads.cache_info().currsize:
        import numba

        _forked = numba.threading_layer() == "omp"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
