"""Pictures decoded and preprocessed in background threads, handed out in order.

Only Pillow and NumPy run in these threads, never a kernel: Numba's workqueue layer aborts the process when two
threads enter parallel code at once.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from PIL import Image

from ..errors import ArgumentError, DataError
from ..images import Augmentation, Preprocessing
from .dataset import Item, key

AHEAD = 8  # pictures in the making for each worker: enough that none waits, few enough for any memory

OnSkip = Callable[[Item, str], None]
Augment = Callable[[Item, np.ndarray], np.ndarray]


def warn_skipped(item: Item, reason: str) -> None:
    """The default of `load`: a warning that names the picture."""
    warnings.warn(f"a picture was left out: {reason}", stacklevel=2)


def augmenting(
    augmentation: Augmentation, seed: int, epoch: int, preprocessing: Preprocessing | None = None
) -> Augment:
    """What `load` takes as `augment`: its draws are keyed by (seed, epoch, picture), whoever draws them and when.

    preprocessing: what comes after. A photograph of which it leaves less than half is made smaller first, by a whole
    number and to no less than twice what is needed: changing all of its pixels would take many times as long.
    """

    def augment(item: Item, picture: np.ndarray) -> np.ndarray:
        spare = _spare(augmentation, preprocessing, *picture.shape[:2])
        if spare > 1:
            picture = np.asarray(Image.fromarray(picture).reduce(spare))
        return augmentation(picture, np.random.default_rng(key("augmentation", seed, epoch, item.name)))

    return augment


def _spare(augmentation: Augmentation, preprocessing: Preprocessing | None, height: int, width: int) -> int:
    """The whole number by which the sides may be divided such that twice what is seen in the end is left."""
    if preprocessing is None or augmentation.pad >= 1:  # pixels to pad by are those of the picture as it is
        return 1
    cut_out = 1.0 if augmentation.crop is None else math.sqrt(augmentation.crop[0])
    return int(preprocessing.shrinkage(height, width) * cut_out / 2)


def load(
    items: Iterable[Item],
    preprocessing: Callable[[np.ndarray], np.ndarray],
    workers: int = 2,
    on_skip: OnSkip = warn_skipped,
    augment: Augment | None = None,
) -> Iterator[tuple[Item, np.ndarray]]:
    """(item, preprocessed picture (C, H, W)) in the order given, however many workers there are.

    A picture that cannot be decoded is left out, and on_skip(item, reason) called. Any other failure in a worker is
    raised here as DataError with the picture's name. workers: 0 decodes in the calling thread. augment: a function of
    (item, picture (H, W, 3) uint8 RGB) that returns such a picture, called before the preprocessing (`augmenting`).
    """

    if isinstance(workers, bool) or not isinstance(workers, (int, np.integer)):
        raise ArgumentError(f"load: workers must be a whole number; got {workers!r:.60}")

    def prepare(item: Item) -> np.ndarray:
        if augment is None and isinstance(preprocessing, Preprocessing):
            return preprocessing(item.image())
        picture = item.picture()
        return preprocessing(picture if augment is None else augment(item, picture))

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
