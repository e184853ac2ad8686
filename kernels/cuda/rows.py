"""Launches kernels made by include/rows.cuh: arrays seen as (outer, n, inner), a row being n numbers `inner` apart."""

from __future__ import annotations

import math
from typing import Any

from .arrays import ceil_div, contiguous, empty

BLOCK = 128
WARP = 32
SHORT = 1024  # the longest row that a warp takes: 32 elements a lane; beyond, rows are long enough for a block
TEAMS = {"naive": BLOCK, "warp": BLOCK // WARP, "block": 1}  # rows that a block of threads takes


class Rows:
    """How an array with rows along `axis` (or several) is handed to a kernel.

    order: the array transposed so, then in C order, is what the kernel reads. n: a row's length. inner: how far apart a
    row's elements lie. count: of rows, counted in row-major order of the other axes.
    """

    def __init__(self, array: Any, axis: int | tuple[int, ...]) -> None:
        axes = sorted(a % array.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
        others = [a for a in range(array.ndim) if a not in axes]
        behind = math.prod(array.shape[axes[-1] + 1 :])
        adjacent = axes[-1] - axes[0] < len(axes)
        self.n = math.prod(array.shape[a] for a in axes)
        self.count = math.prod(array.shape[a] for a in others)
        if adjacent and behind > 1 and array.flags.c_contiguous:
            # Threads that take a row each read neighbouring elements as it is.
            self.order, self.inner = list(range(array.ndim)), behind
        else:
            self.order, self.inner = [*others, *axes], 1

    def given(self, array: Any) -> Any:
        """What the kernel reads of `array`."""
        return contiguous(array.transpose(self.order))

    def back(self, array: Any) -> Any:
        """A result that the kernel wrote in its own order, with the axes in theirs."""
        return array.transpose(sorted(range(len(self.order)), key=self.order.__getitem__))

    def blocks(self, team: str) -> int:
        """How many blocks of BLOCK threads take all rows, where a `team` ("naive", "warp" or "block") takes one."""
        return ceil_div(self.count, TEAMS[team])


def refusal(array: Any, axis: int | tuple[int, ...], longest: int | None = None) -> str | None:
    """Why a team of threads had better not share the rows of an array, or None. longest: the most elements of a row."""
    rows = Rows(array, axis)
    if rows.inner > 1:
        return f"a row's elements lie {rows.inner} apart, so threads of their own read them side by side"
    if longest is not None and rows.n > longest:
        return f"takes rows of at most {longest} elements; these have {rows.n}"
    return None


def along_rows(source: Any, kernel: str, team: str, axis: int, *inputs: Any) -> Any:
    """A kernel `kernel`_`team` (inputs…, y, rows, n[, inner where a thread takes a row]); y is shaped as the inputs.

    The layout is chosen for the last of the inputs.
    """
    rows = Rows(inputs[-1], axis)
    given = [rows.given(array) for array in inputs]
    y = empty(given[-1].shape, given[-1].dtype, like=given[-1])
    inner = (rows.inner,) if team == "naive" else ()
    source.launch(f"{kernel}_{team}", rows.blocks(team), BLOCK, *given, y, rows.count, rows.n, *inner, real=y.dtype)
    return rows.back(y)
