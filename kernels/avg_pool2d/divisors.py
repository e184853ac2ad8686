"""What the sum of each window is divided by."""

from __future__ import annotations

import numpy as np

from ..geometry import PoolGeometry


def divisors(geometry: PoolGeometry, count_include_pad: bool, divisor_override: int | None) -> np.ndarray:
    """(P, Q) whole numbers in float64: how much of each window counts, along one axis times along the other."""
    g = geometry
    if divisor_override is not None:
        return np.full(g.output, float(divisor_override))
    lengths = []
    for axis, (before, after) in enumerate(g.padding):
        start = np.arange(g.output[axis]) * g.stride[axis] - before
        stop = np.minimum(start + g.kernel[axis], g.size[axis] + after)
        if not count_include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, g.size[axis])
        lengths.append((stop - start).astype(np.float64))
    return np.outer(*lengths)
