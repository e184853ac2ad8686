"""The decorator under which CPU kernels are compiled: Numba's, with machine code kept on disk by `kept`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from .kept import Kept


def compiled(function: Callable[..., Any] | None = None, *signatures: Any, **options: Any) -> Any:
    """njit for kernels, free of Python's lock: machine code comes from the disk where it has been made before.

    signatures: compiled at once for these; without any, for the types of the arguments that come. options: Numba's,
    such as parallel=True.
    """
    if function is None:
        return lambda wrapped: compiled(wrapped, *signatures, **options)
    dispatcher = njit(nogil=True, **options)(function)
    dispatcher._cache = Kept(dispatcher)
    for signature in signatures:
        dispatcher.compile(signature)
    if signatures:
        dispatcher.disable_compile()
    return dispatcher
