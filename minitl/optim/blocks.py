"""Arrays a few rows at a time, so that what an update computes on the way stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import device

SIZE = 1 << 18  # numbers in a block
SIZE_ON_GPU = 1 << 24  # there each operation costs a launch, and caches are no concern


def blocks(array: np.ndarray) -> Iterator[slice]:
    """Slices along the first axis that cover an array (ndim >= 1), of about SIZE numbers each, one row at least."""
    size = SIZE_ON_GPU if device.on_gpu(array) else SIZE
    rows = max(1, size * len(array) // max(array.size, 1))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)
