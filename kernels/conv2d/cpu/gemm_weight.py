"""The weight gradient as matrix products: output gradients of a block of pixels times those pixels' windows.

Work is cut by geometry alone into tasks, each a run of filter taps over one part of the pixels. A task sums
its blocks in order into a matrix of its own and parts are added in order, so that the result has the same
bits on any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit, prange

from .windows import add, channels_last, clear, copy, forward_axes, gather

DEPTH = 512  # columns of the product that a task gathers at most, unless one tap has more
PANEL_BYTES = 1 << 20
BLOCK = (64, 1024)  # pixels a block at least and at most
TASKS = 16  # enough to keep threads evenly busy, and few enough partial sums to add


@njit(parallel=True, cache=True, nogil=True)
def _products(grad, x, groups, vertical, horizontal, replicate, block, tap_step, parts, lanes):
    """Partial sums (parts, O, R S c): part i is of the i-th of `parts` runs of blocks of all pixels of all images.

    grad: (N, P, Q, O). x: (N, H, W, C). A task takes `tap_step` taps and one part; each of `lanes` takes
    every lanes-th task.
    """
    batch, filters, channels = grad.shape[0], grad.shape[3] // groups, x.shape[3] // groups
    taps = vertical.taps * horizontal.taps
    pixels = vertical.count * horizontal.count
    blocks = (pixels + block - 1) // block
    runs = (taps + tap_step - 1) // tap_step
    grads, flat = grad.reshape((batch, pixels, grad.shape[3])), grad.reshape(grad.size)
    sums = np.empty((parts, grad.shape[3], taps * channels), x.dtype)
    every = sums.reshape(sums.size)
    for lane in prange(lanes):
        panels = np.empty(block * tap_step * channels, x.dtype)
        some = np.empty(block * filters if groups > 1 else 0, x.dtype)
        products = np.empty(filters * tap_step * channels, x.dtype)
        for task in range(lane, parts * runs * groups, lanes):
            part, g, tap = task // (runs * groups), task // runs % groups, task % runs * tap_step
            seen = min(tap_step, taps - tap)
            depth = seen * channels
            panel = panels[: block * depth].reshape((block, depth))
            product = products[: filters * depth].reshape((filters, depth))
            total = ((part * groups + g) * filters * taps + tap) * channels  # where in `every` this task's sum starts
            for o in range(filters):
                clear(every, total + o * taps * channels, depth)
            for at in range(batch * blocks * part // parts, batch * blocks * (part + 1) // parts):
                n, start = at // blocks, at % blocks * block
                rows = min(block, pixels - start)
                gather(panel, x, n, g * channels, channels, start, rows, tap, seen, vertical, horizontal, replicate)
                if groups > 1:
                    for row in range(rows):
                        pixel = (n * pixels + start + row) * grad.shape[3]
                        copy(some, row * filters, flat, pixel + g * filters, filters)
                    wanted = some[: rows * filters].reshape((rows, filters))
                else:
                    wanted = grads[n, start : start + rows]
                np.dot(wanted.T, panel[:rows], product)
                for o in range(filters):
                    add(every, total + o * taps * channels, products, o * depth, depth)
    return sums


def grad_weight(grad, x, geometry):
    g = geometry
    channels, taps = g.in_channels // g.groups, g.kernel[0] * g.kernel[1]
    tap_step = min(max(DEPTH // channels, 1), taps)
    pixels = g.output[0] * g.output[1]
    most = min(max(PANEL_BYTES // (tap_step * channels * x.itemsize), BLOCK[0]), BLOCK[1])
    block = -(-pixels // -(-pixels // most))
    tasks = -(-taps // tap_step) * g.groups
    parts = min(-(-TASKS // tasks), max(g.batch * -(-pixels // block), 1))
    sums = _products(
        channels_last(grad), channels_last(x), g.groups, *forward_axes(g), g.padding_mode == "replicate",
        block, tap_step, parts, get_num_threads(),
    )  # fmt: skip
    gw = sums[0]
    for part in sums[1:]:
        gw += part
    return np.ascontiguousarray(gw.reshape(g.out_channels, *g.kernel, channels).transpose(0, 3, 1, 2))
