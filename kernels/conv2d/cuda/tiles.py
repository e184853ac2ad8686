"""How the forward kernels cut their work into tiles, and which calls each serves. Plain Python.

The numbers of outputs a block or a thread are those of forward.cu.
"""

from __future__ import annotations

from typing import Any

from ...geometry import ConvGeometry

SHARED_BYTES = 48 * 1024  # of shared memory that any GPU grants a block unasked
STEP_BYTES = 16 * 1024  # that a step of `tiled` takes if it can: several blocks fit on a multiprocessor

TILED = (8, 16)  # rows and columns of outputs a block
TILED_FILTERS = 8

FEW = 4  # channels that are few
FEW_TILE = (8, 32)  # rows and columns of outputs a warp
FEW_FILTERS = 8  # a warp
FEW_WARPS = 8  # a block, at most

SMALL, LARGE = 64, 128  # pixels and filters of the two tiles of `implicit_gemm`
ENOUGH_BLOCKS = 264  # for two a multiprocessor on a GPU of 132 (H100, H200)


def _patch(g: ConvGeometry, tile: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the image under all windows of a tile of outputs."""
    rows, columns = ((tile[a] - 1) * g.stride[a] + (g.kernel[a] - 1) * g.dilation[a] + 1 for a in (0, 1))
    return rows, columns


def tiled_bytes(g: ConvGeometry, itemsize: int) -> int:
    """Shared memory that one channel of `tiled` takes: its patch and its filters."""
    rows, columns = _patch(g, TILED)
    return itemsize * (rows * columns + g.kernel[0] * g.kernel[1] * TILED_FILTERS)


def tiled_step(g: ConvGeometry, itemsize: int) -> int:
    """Channels that `tiled` copies at a time."""
    return max(min(STEP_BYTES // tiled_bytes(g, itemsize), g.in_channels // g.groups), 1)


def tiled_serves(x: Any, geometry: ConvGeometry, **_: Any) -> str | None:
    """Why `tiled` cannot take a call, or None."""
    return _too_large(geometry, tiled_bytes(geometry, x.dtype.itemsize))


def few_bytes(g: ConvGeometry, itemsize: int, warps: int) -> int:
    """Shared memory that one channel of `few_channels` takes in blocks of so many warps."""
    rows, columns = _patch(g, FEW_TILE)
    line = -(-columns // g.stride[1]) * g.stride[1]
    return itemsize * (rows * line + g.kernel[0] * g.kernel[1] * FEW_FILTERS * warps)


def few_split(g: ConvGeometry, itemsize: int) -> tuple[int, int]:
    """Of `few_channels`: (warps a block, channels copied at a time); as many warps as share one patch and find room."""
    wanted = -(-g.out_channels // FEW_FILTERS)
    warps = min(wanted, FEW_WARPS)
    while warps > 1 and few_bytes(g, itemsize, warps) > SHARED_BYTES:
        warps -= 1
    warps = -(-wanted // -(-wanted // warps))  # as many blocks, evenly filled
    return warps, max(min(SHARED_BYTES // few_bytes(g, itemsize, warps), g.in_channels), 1)


def few_serves(x: Any, geometry: ConvGeometry, **_: Any) -> str | None:
    """Why `few_channels` cannot take a call, or does it worse than the others; or None."""
    g = geometry
    if g.groups > 1:
        return f"is for first layers, which have one group; got {g.groups}"
    if g.in_channels > FEW:
        return f"is for at most {FEW} input channels; got {g.in_channels}"
    return _too_large(g, few_bytes(g, x.dtype.itemsize, 1))


def gemm_tile(g: ConvGeometry) -> int:
    """Pixels and filters of a tile of `implicit_gemm`: the large one where that leaves blocks enough."""
    filters = g.out_channels // g.groups
    blocks = gemm_blocks(g, LARGE)
    return LARGE if filters > SMALL and blocks >= ENOUGH_BLOCKS else SMALL


def gemm_blocks(g: ConvGeometry, tile: int) -> int:
    """Blocks of `implicit_gemm`: tiles of all pixels of all images times tiles of the filters of every group."""
    pixels = g.batch * g.output[0] * g.output[1]
    return -(-pixels // tile) * -(-(g.out_channels // g.groups) // tile) * g.groups


def gemm_serves(geometry: ConvGeometry, **_: Any) -> str | None:
    """Why `implicit_gemm` does a call worse than the others, or None."""
    g = geometry
    channels, filters = g.in_channels // g.groups, g.out_channels // g.groups
    if g.groups > 4 and filters < 8:
        return (
            f"{g.groups} groups of {filters} filters fill {filters} of the {SMALL} columns of its tiles; "
            "a version that takes one output a thread wastes nothing"
        )
    if g.groups > 4 and channels < 8:
        return f"{g.groups} groups of {channels} channels make its products too short to pay for their gathering"
    return None


def gemm_workspace(x: Any, geometry: ConvGeometry, **_: Any) -> int:
    """Bytes of the filters in another order."""
    return x.dtype.itemsize * geometry.out_channels * geometry.depth


def _too_large(g: ConvGeometry, needed: int) -> str | None:
    if needed <= SHARED_BYTES:
        return None
    return (
        f"a patch for {g.kernel[0]}x{g.kernel[1]} windows with stride {g.stride} and dilation {g.dilation} takes "
        f"{-(-needed // 1024)} KB of shared memory; a block has {SHARED_BYTES // 1024} KB"
    )
