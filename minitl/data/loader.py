"""Pictures decoded and preprocessed in background threads, handed out in order.

Only Pillow and NumPy run in these threads, never a kernel: Numba's workqueue layer aborts the process when two
threads enter parallel code at once.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np

from ..errors import DataError
from .dataset import Item

AHEAD = 8  # pictures in the making for each worker: enough that none waits, few enough for any memory

OnSkip = Callable[[Item, str], None]


def warn_skipped(item: Item, reason: str) -> None:
    """The default of `load`: a warning that names the picture."""
    warnings.warn(f"a picture was left out: {reason}", stacklevel=2)


def load(
    items: Iterable[Item],
    preprocessing: Callable[[np.ndarray], np.ndarray],
    workers: int = 2,
    on_skip: OnSkip = warn_skipped,
) -> Iterator[tuple[Item, np.ndarray]]:
    """(item, preprocessed picture (C, H, W)) in the order given, however many workers there are.

    A picture that cannot be decoded is left out, and on_skip(item, reason) called. Any other failure in a worker is
    raised here as DataError with the picture's name. workers: 0 decodes in the calling thread.
    """

    def prepare(item: Item) -> np.ndarray:
        return preprocessing(item.picture())

    def outcome(item: Item, result: Callable[[], np.ndarray]) -> np.ndarray | None:
        try:
            return result()
        except DataError as error:
            on_skip(item, str(error))
            return None
        except Exception as error:
            raise DataError(f"{item.name}: preparing the picture failed: {type(error).__name__}: {error}") from error

    if workers < 1:
        for item in items:
            array = outcome(item, lambda item=item: prepare(item))  # type: ignore[misc]
            if array is not None:
                yield item, array
        return

    pool = ThreadPoolExecutor(workers, thread_name_prefix="minitl-loader")
    waiting: deque[tuple[Item, Future[np.ndarray]]] = deque()
    source = iter(items)
    try:
        while True:
            for item in islice(source, AHEAD * workers - len(waiting)):
                waiting.append((item, pool.submit(prepare, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            array = outcome(item, future.result)
            if array is not None:
                yield item, array
    finally:  # also when the reader stops early
        pool.shutdown(wait=True, cancel_futures=True)
