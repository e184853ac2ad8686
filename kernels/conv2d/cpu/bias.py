"""The gradient of the bias: a sum over all pixels, in one pass, in a fixed number of parts that are added in order."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from ...cpu.compiled import compiled
from .layout import channels_last

PARTS = 32  # of the pixels: as many for any number of threads, so that results have the same bits


@compiled(parallel=True)
def _summed(grad, sums):
    """sums (parts, channels), in float64: of a run of pixels each; grad (pixels, channels)."""
    pixels, channels = grad.shape
    flat, parts = grad.reshape(grad.size), len(sums)
    for part in prange(parts):
        first, stop = pixels * part // parts, pixels * (part + 1) // parts
        total = sums[part]
        total[:] = 0
        for pixel in range(first, stop):
            at = np.uint64(pixel * channels)
            for c in range(np.uint64(channels)):
                total[c] += flat[at + c]


def grad_bias(grad):
    last = channels_last(grad)
    sums = np.empty((PARTS, last.shape[3]), np.float64)  # so that millions of pixels are rounded once
    _summed(last.reshape(math.prod(last.shape[:3]), last.shape[3]), sums)
    return sums.sum(axis=0).astype(grad.dtype)
