"""How the convolutions of this folder cut their work into blocks, and what memory those take. Plain Python."""

from __future__ import annotations

import os

from ...geometry import ConvGeometry

# BLAS copies the filters once a block, so deep filters want many pixels a block: more than fit in L2, where the
# panel streams through at little cost beside the arithmetic on it.
PANEL_BYTES = 1 << 23
BLOCK = (64, 512)  # output pixels a block at least and at most
HALVED = 256  # from this many pixels on an image makes two blocks, so that two threads can share one image

# The same for the weight gradient
WEIGHT_DEPTH = 512  # columns of the product that a task gathers at most, unless one tap has more
WEIGHT_PANEL_BYTES = 1 << 20
WEIGHT_BLOCK = (64, 1024)  # pixels a block at least and at most
WEIGHT_TASKS = 16  # enough to keep threads evenly busy, and few enough partial sums to add


def block_size(pixels: int, depth: int, itemsize: int) -> int:
    """Output pixels a block, in blocks of nearly equal size."""
    most = min(max(PANEL_BYTES // (depth * itemsize), BLOCK[0]), BLOCK[1])
    return -(-pixels // max(-(-pixels // most), 2 if pixels >= HALVED else 1))


def weight_blocks(g: ConvGeometry, itemsize: int) -> tuple[int, int, int]:
    """Of the weight gradient: (pixels a block, taps a task, partial sums)."""
    channels, taps = g.in_channels // g.groups, g.kernel[0] * g.kernel[1]
    tap_step = min(max(WEIGHT_DEPTH // channels, 1), taps)
    pixels = g.output[0] * g.output[1]
    most = min(max(WEIGHT_PANEL_BYTES // (tap_step * channels * itemsize), WEIGHT_BLOCK[0]), WEIGHT_BLOCK[1])
    size = -(-pixels // -(-pixels // most))
    tasks = -(-taps // tap_step) * g.groups
    return size, tap_step, min(-(-WEIGHT_TASKS // tasks), max(g.batch * -(-pixels // size), 1))


THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


BLAS_BYTES = 1 << 22  # of filters that BLAS packs for itself, about


def forward_workspace(g: ConvGeometry, itemsize: int, threads: int = THREADS) -> int:
    """Bytes that a forward pass needs besides its arrays.

    The filters in another order; and a thread, a panel, its product, and what BLAS packs of the filters.
    """
    filters = itemsize * g.out_channels * g.depth
    rows = block_size(g.output[0] * g.output[1], g.depth, itemsize)
    panel = itemsize * rows * (g.depth + g.out_channels // g.groups)
    return filters + threads * (panel + min(filters, BLAS_BYTES))


def grad_weight_workspace(g: ConvGeometry, itemsize: int, threads: int = THREADS) -> int:
    """Bytes that the weight gradient needs besides its arrays: partial sums, and a panel and a product a thread."""
    size, tap_step, parts = weight_blocks(g, itemsize)
    depth, filters = tap_step * g.in_channels // g.groups, g.out_channels // g.groups
    return itemsize * (parts * g.out_channels * g.depth + threads * depth * (size + filters))
