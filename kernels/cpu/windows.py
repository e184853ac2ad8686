"""Bands of images in a thread's own memory, with borders, so that every window of a convolution lies inside."""

from __future__ import annotations

import numpy as np

from .compiled import compiled


@compiled
def fill_band(band, x, at, row_step, column_step, channel_step, size, channels, first, rows, left, columns, replicate):
    """Rows first ... and columns left ... of one image into `band` (rows, columns, channels); x and band are flat.

    Pixel (i, j) of the image, whose `size` is (height, width), stands at x[at + i row_step + j column_step], its
    channels channel_step apart. Pixels outside are 0, or those of the nearest edge if `replicate`.
    """
    height, width = size
    inside, stop = min(max(-left, 0), columns), max(min(width - left, columns), 0)  # columns of band that x has
    together = channel_step == 1 and column_step == channels
    for i in range(rows):
        row, to = first + i, i * columns * channels
        if replicate:
            row = min(max(row, 0), height - 1)
        elif row < 0 or row >= height or inside >= stop:
            clear(band, to, columns * channels)
            continue
        above = at + row * row_step
        if replicate:
            for j in range(columns):
                if j < inside or j >= stop:
                    pixel = above + min(max(left + j, 0), width - 1) * column_step
                    for c in range(channels):
                        band[to + j * channels + c] = x[pixel + c * channel_step]
        else:
            clear(band, to, inside * channels)
            clear(band, to + stop * channels, (columns - stop) * channels)
        source, to = above + (left + inside) * column_step, to + inside * channels
        if together:
            copy(band, to, x, source, (stop - inside) * channels)
        else:
            for c in range(channels):
                target, pixel = np.uint64(to + c), np.uint64(source + c * channel_step)
                for _ in range(stop - inside):
                    band[target] = x[pixel]
                    target += np.uint64(channels)
                    pixel += np.uint64(column_step)


# The loops below count in unsigned integers: an index that might be negative could mean one from the end, and
# that question at every element keeps the compiler from vectorising (3 to 5 times slower).


@compiled
def copy(to, at, source, first, count):
    """to[at : at + count] = source[first : first + count], all in one dimension."""
    for e in range(np.uint64(count)):
        to[np.uint64(at) + e] = source[np.uint64(first) + e]


@compiled
def clear(to, at, count):
    """to[at : at + count] = 0, in one dimension."""
    for e in range(np.uint64(count)):
        to[np.uint64(at) + e] = 0


@compiled
def keep_largest(to, at, source, first, count):
    """to[at : at + count] = the larger of itself and source[first : first + count].

    A NaN is larger than any number, and the first of them stays.
    """
    for e in range(np.uint64(count)):
        value, old = source[np.uint64(first) + e], to[np.uint64(at) + e]
        to[np.uint64(at) + e] = value if (value > old) | ((value != value) & (old == old)) else old
