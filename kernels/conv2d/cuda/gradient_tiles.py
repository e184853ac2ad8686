"""How the gradient kernels cut their work into tiles and slices, and which calls each serves. Plain Python.

The numbers of pixels, channels and weights a block are those of grad_input.cu and grad_weight.cu.
"""

from __future__ import annotations

import math
from typing import Any

from ...geometry import ConvGeometry
from .tiles import ENOUGH_BLOCKS, LARGE, SHARED_BYTES, SMALL, STEP_BYTES

INPUT_TILED = (8, 16)  # rows and columns of pixels a block
INPUT_TILED_CHANNELS = 8

WEIGHT_TILED = 16  # filters, and weights of each, a block
WEIGHT_TILED_STEP = 32  # pixels that are copied at a time
GEMM_STEP = 8

LEAST_PIXELS = 64  # of a slice: fewer do not pay for the sums that it stores
MOST_SLICES = 256
WAVES = 4  # of blocks; the last one, which not all multiprocessors share in, is then a small part


# grad_input -----------------------------------------------------------------------------------------------------------


def _phases(g: ConvGeometry) -> tuple[int, tuple[int, int]]:
    """How many classes of pixels there are modulo the stride; rows and columns of the largest."""
    (h, w), (down, across) = g.size, g.stride
    return min(h, down) * min(w, across), (-(-h // down), -(-w // across))


def input_tiled_bytes(g: ConvGeometry, itemsize: int) -> int:
    """Shared memory that one filter of `tiled` takes: its patch of the gradient and its weights."""
    taps, sides = [], []
    for axis in (0, 1):
        common = math.gcd(g.stride[axis], g.dilation[axis])
        most = -(-g.kernel[axis] // (g.stride[axis] // common))  # taps of a phase
        taps.append(most)
        sides.append(INPUT_TILED[axis] + (most - 1) * (g.dilation[axis] // common))
    return itemsize * (math.prod(sides) + math.prod(taps) * INPUT_TILED_CHANNELS)


def input_tiled_step(g: ConvGeometry, itemsize: int) -> int:
    """Filters that `tiled` copies at a time."""
    return max(min(STEP_BYTES // input_tiled_bytes(g, itemsize), g.out_channels // g.groups), 1)


def input_tiled_blocks(g: ConvGeometry) -> int:
    """Blocks of `tiled`: tiles of every phase of every image times sets of channels of every group."""
    phases, (rows, columns) = _phases(g)
    tiles = -(-rows // INPUT_TILED[0]) * -(-columns // INPUT_TILED[1])
    return g.batch * g.groups * phases * tiles * -(-(g.in_channels // g.groups) // INPUT_TILED_CHANNELS)


def input_tiled_serves(grad: Any, geometry: ConvGeometry, **_: Any) -> str | None:
    """Why `tiled` cannot take a call, or None."""
    needed = input_tiled_bytes(geometry, grad.dtype.itemsize)
    if needed > SHARED_BYTES:
        return (
            f"a patch for {geometry.kernel[0]}x{geometry.kernel[1]} taps with stride {geometry.stride} and dilation "
            f"{geometry.dilation} takes {-(-needed // 1024)} KB of shared memory; a block has {SHARED_BYTES // 1024} KB"
        )
    return _repeats_edges(geometry)


def input_gemm_tile(g: ConvGeometry) -> int:
    """Pixels and channels of a tile of `implicit_gemm`: the large one where that leaves blocks enough."""
    large = g.in_channels // g.groups > SMALL and input_gemm_blocks(g, LARGE) >= ENOUGH_BLOCKS
    return LARGE if large else SMALL


def input_gemm_blocks(g: ConvGeometry, tile: int) -> int:
    """Blocks of `implicit_gemm`: tiles of the pixels of every phase times tiles of the channels of every group."""
    phases, (rows, columns) = _phases(g)
    return phases * -(-g.batch * rows * columns // tile) * g.groups * -(-(g.in_channels // g.groups) // tile)


def input_gemm_serves(geometry: ConvGeometry, **_: Any) -> str | None:
    """Why `implicit_gemm` cannot take a call, or does it worse than the others; or None."""
    return _repeats_edges(geometry) or _thin(geometry, "channels", geometry.in_channels // geometry.groups)


def input_gemm_workspace(grad: Any, w: Any, **_: Any) -> int:
    """Bytes of the arguments that must be copied into channels-last order."""
    return _copied(grad) + _copied(w)


def _repeats_edges(g: ConvGeometry) -> str | None:
    if g.padding_mode != "replicate" or g.padding == ((0, 0), (0, 0)):
        return None
    return (
        "gathers at most one output a tap for each pixel, but an edge that padding_mode='replicate' repeats is seen by "
        "many; naive takes it"
    )


# grad_weight ----------------------------------------------------------------------------------------------------------


def _pixels(g: ConvGeometry) -> int:
    """Products summed into one weight."""
    return g.batch * g.output[0] * g.output[1]


def weight_tiles(g: ConvGeometry, side: int) -> int:
    """Tiles of `side` filters times `side` weights of each, over all groups."""
    return g.groups * -(-(g.out_channels // g.groups) // side) * -(-g.depth // side)


def slices(g: ConvGeometry, tiles: int, step: int) -> tuple[int, int]:
    """Into how many parts the sums over pixels are cut, and pixels of a part: whole steps, by the geometry alone.

    So the order of summation, and with it every bit of the result, is the same on every GPU.
    """
    pixels = _pixels(g)
    wanted = min(WAVES * ENOUGH_BLOCKS // tiles, pixels // LEAST_PIXELS, MOST_SLICES)
    part = -(-pixels // (max(wanted, 1) * step)) * step
    return max(-(-pixels // max(part, 1)), 1), part


def weight_gemm_tile(g: ConvGeometry) -> int:
    """Filters, and weights of each, of a tile of `implicit_gemm`: the large one where that leaves blocks enough."""
    thick = min(g.out_channels // g.groups, g.depth) > SMALL
    return LARGE if thick and weight_tiles(g, LARGE) * (_pixels(g) // 512) >= ENOUGH_BLOCKS else SMALL


def weight_gemm_serves(geometry: ConvGeometry, **_: Any) -> str | None:
    """Why `implicit_gemm` does a call worse than the others, or None."""
    return _thin(geometry, "filters", geometry.out_channels // geometry.groups)


def weight_tiled_workspace(grad: Any, geometry: ConvGeometry, **_: Any) -> int:
    """Bytes of the slices' sums."""
    return _sums(grad, geometry, slices(geometry, weight_tiles(geometry, WEIGHT_TILED), WEIGHT_TILED_STEP)[0])


def weight_gemm_workspace(grad: Any, x: Any, geometry: ConvGeometry, **_: Any) -> int:
    """Bytes of the slices' sums and of the arguments that must be copied into channels-last order."""
    count = slices(geometry, weight_tiles(geometry, weight_gemm_tile(geometry)), GEMM_STEP)[0]
    return _sums(grad, geometry, count) + _copied(grad) + _copied(x)


def _sums(grad: Any, g: ConvGeometry, count: int) -> int:
    return count * math.prod(g.w_shape) * grad.dtype.itemsize if count > 1 else 0


# Both -----------------------------------------------------------------------------------------------------------------


def _thin(g: ConvGeometry, name: str, columns: int) -> str | None:
    if g.groups <= 4 or columns >= 8:
        return None
    return (
        f"{g.groups} groups of {columns} {name} fill {columns} of the {SMALL} columns of its tiles; tiled, whose tiles "
        "are smaller, wastes less"
    )


def _copied(array: Any) -> int:
    return 0 if array.transpose(0, 2, 3, 1).flags.c_contiguous else int(array.nbytes)


# grad_bias ------------------------------------------------------------------------------------------------------------


def bias_blocks(batch: int, filters: int, pixels: int, channels_last: bool) -> tuple[tuple[int, int, int], int, int]:
    """Of `blocks`: threads along filters, pixels and images; into how many slices pixels are cut; pixels of a slice."""
    across = 32 if channels_last else 1
    along = 256 // across if channels_last or pixels >= 256 else 32
    sets = -(-filters // across)
    wanted = min(WAVES * ENOUGH_BLOCKS // max(sets, 1), pixels // (4 * along), MOST_SLICES)
    part = -(-pixels // max(wanted, 1))
    return (across, along, 256 // across // along), max(-(-pixels // max(part, 1)), 1), part


def bias_workspace(grad: Any) -> int:
    """Bytes of the slices' sums, in float64."""
    n, o, p, q = grad.shape
    last = abs(grad.strides[1]) == grad.dtype.itemsize
    return 8 * o * bias_blocks(n, o, p * q, channels_last=last)[1]
