"""Dropout in NumPy: Philox4x32-10 for all counters at once."""

from __future__ import annotations

import math

import numpy as np

from . import scale, threshold

_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLY = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_RAISE = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


def philox(counter, key):
    """Philox4x32-10 of four counter words and two key words: four arrays of uint32 values.

    All words are uint64 arrays (that broadcast) of values below 2**32, since a round takes the high and
    the low half of a 64-bit product. Salmon et al., 2011, section 3.3.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        left, right = c0 * _MULTIPLY[0], c2 * _MULTIPLY[1]
        c0, c1, c2, c3 = (right >> _HALF) ^ c1 ^ k0, right & _WORD, (left >> _HALF) ^ c3 ^ k1, left & _WORD
        k0, k1 = (k0 + _RAISE[0]) & _WORD, (k1 + _RAISE[1]) & _WORD
    return c0, c1, c2, c3


def _kept(shape, p, keys, stream):
    """Which elements stay, as a boolean array of `shape`."""
    count = math.prod(shape[1:])
    counters = np.arange(-(-count // 4), dtype=np.uint64)
    zero = np.zeros(1, np.uint64)
    key = (keys & _WORD)[:, None], (keys >> _HALF)[:, None]
    lanes = philox((counters, zero + np.uint64(stream), zero, zero), key)
    lanes = [np.broadcast_to(lane, (shape[0], counters.size)) for lane in lanes]
    numbers = np.stack(lanes, axis=-1).reshape(shape[0], 4 * counters.size)
    return (numbers[:, :count] >= np.uint64(threshold(p))).reshape(shape)


def forward(x, p, keys, stream):
    y = np.zeros_like(x)  # zeros_like keeps the memory layout
    return np.multiply(x, x.dtype.type(scale(p)), out=y, where=_kept(x.shape, p, keys, stream))


def grad_input(grad, p, keys, stream):
    return forward(grad, p, keys, stream)
