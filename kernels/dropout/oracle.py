"""Dropout from the definition: one element and one Python integer at a time, used by tests alone."""

from __future__ import annotations

import numpy as np


def philox(counter, key):
    """Philox4x32-10 of four counter words and two key words (Salmon et al., 2011, section 3.3): four uint32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        left, right = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (right >> 32) ^ c1 ^ k0, right % 2**32, (left >> 32) ^ c3 ^ k1, left % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def forward(x, p, keys, stream):
    y = np.zeros(x.shape)
    for n in range(x.shape[0]):
        key = int(keys[n])
        for e, at in enumerate(np.ndindex(x.shape[1:])):
            number = philox((e // 4, stream, 0, 0), (key % 2**32, key >> 32))[e % 4]
            if number >= round(p * 2**32):
                y[(n, *at)] = float(x[(n, *at)]) / (1 - p)
    return y


def grad_input(grad, p, keys, stream):
    return forward(grad, p, keys, stream)  # the gradient of a product with a constant is the same product
