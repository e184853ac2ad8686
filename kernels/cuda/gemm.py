"""Matrix products on tensor cores (include/gemm.cuh): which tiles, how many parts, and what may run there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .arrays import ceil_div, empty
from .source import Source, source

PARTS = source(__file__, "parts.cu")
DEPTH = 16  # of a stage, as in gemm.cuh
PRECISIONS = {"tf32x3": "TF32x3", "tf32": "TF32", "bfloat16": "BF16"}  # names here and in precision.cuh
BLOCKS = 264  # that keep a large GPU busy: two on each of an H100's 132 multiprocessors
EACH = 256  # threads a block, where each computes an element
MOST_BLOCKS = 65535  # of a grid's second and third axis
MOST_ROWS = 2**31 - 2**10  # and as long a depth: both are counted in 32 bits
LEAST_DEPTH = 128  # of a part: below it, filling the ring of stages takes longer than the products


@dataclass(frozen=True)
class Shape:
    """The tile of results that a block computes, and its share among warps."""

    m: int
    n: int
    warps_m: int = 2
    warps_n: int = 2
    stages: int = 4

    @property
    def threads(self) -> int:
        return 32 * self.warps_m * self.warps_n

    @property
    def shared(self) -> int:
        """Bytes of the ring of stages."""
        return 4 * self.stages * DEPTH * (self.m + self.n)

    def defines(self, precision: str) -> Mapping[str, Any]:
        names = {"TILE_M": self.m, "TILE_N": self.n, "WARPS_M": self.warps_m, "WARPS_N": self.warps_n}
        return {**names, "STAGES": self.stages, "PRECISION": PRECISIONS[precision]}


LARGE, SMALL = Shape(128, 64), Shape(32, 64)


@dataclass(frozen=True)
class Plan:
    """How a product of m rows, n columns and some depth is shared out: tiles, and parts of the depth (split-K).

    It depends on sizes alone, so the order of every sum does too. groups: so many such products are computed at once.
    """

    m: int
    n: int
    depth: int
    groups: int
    shape: Shape
    parts: int

    @classmethod
    def of(cls, m: int, n: int, depth: int, groups: int = 1) -> Plan:
        shape = LARGE if m > SMALL.m and _blocks(LARGE, m, n) * groups * _most_parts(depth) >= BLOCKS else SMALL
        blocks = _blocks(shape, m, n) * groups
        parts = min(ceil_div(BLOCKS, blocks), _most_parts(depth)) if blocks else 1
        return cls(m, n, depth, groups, shape, parts)

    @property
    def workspace(self) -> int:
        """Bytes of all parts together, where there are several."""
        return 4 * self.parts * self.groups * self.m * self.n if self.parts > 1 else 0

    def target(self, to: Any) -> Any:
        """What the product writes: `to` itself, or room for all parts of it, to be summed into `to` afterwards."""
        return to if self.parts == 1 else empty((self.parts, *to.shape), to.dtype, like=to)

    def launch(self, source: Source, kernel: str, precision: str, *arguments: Any) -> None:
        """Runs the product's kernel; groups and parts are the grid's last axis, parts innermost."""
        grid = (ceil_div(self.m, self.shape.m), ceil_div(self.n, self.shape.n), self.groups * self.parts)
        defines = self.shape.defines(precision)
        source.launch(kernel, grid, self.shape.threads, *arguments, shared=self.shape.shared, defines=defines)

    def sum_up(self, parts: Any, bias: Any, to: Any, relu: bool = False) -> None:
        """`to` = the sum of its parts in their order, and of the bias (None or one number for each of axis 1)."""
        arguments = (parts, bias, to, self.parts, to.size, to.shape[1], relu)
        PARTS.launch("sum_parts", ceil_div(to.size, EACH), EACH, *arguments)

    def launch_each(self, source: Source, kernel: str, precision: str, size: int, *arguments: Any) -> None:
        """Runs a kernel of the same source with a thread for each of `size` elements."""
        defines = self.shape.defines(precision)  # as above, so that it is compiled together with the product
        source.launch(kernel, ceil_div(size, EACH), EACH, *arguments, defines=defines)

    def refusal(self) -> str | None:
        """Why a GPU cannot run it, or None."""
        if ceil_div(self.n, self.shape.n) > MOST_BLOCKS or self.groups * self.parts > MOST_BLOCKS:
            return f"{self.n} columns in {self.groups} groups are more than a grid of blocks has room for"
        if max(self.m, self.depth) <= MOST_ROWS:
            return None
        return f"{self.m} rows, or a depth of {self.depth}, are more than it counts to ({MOST_ROWS})"


def _blocks(shape: Shape, m: int, n: int) -> int:
    return ceil_div(m, shape.m) * ceil_div(n, shape.n)


def _most_parts(depth: int) -> int:
    return min(max(depth // LEAST_DEPTH, 1), 64)


def float32_only(*arrays: Any) -> str | None:
    """Why tensor cores cannot take these arrays, or None."""
    other = next((a.dtype for a in arrays if a is not None and a.dtype != "float32"), None)
    return None if other is None else f"tensor cores give float32 accuracy at most; these arrays are {other}"
