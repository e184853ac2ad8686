"""Hypothesis strategies of calls: one to four arrays along any axis, empty ones included."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.strategies import arrays, dtypes


@st.composite
def _shapes(draw: st.DrawFn) -> tuple[list[int], int, list[int]]:
    """A shape, an axis of it, and the sizes along this axis."""
    shape = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return shape, axis, draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))


def _with(shape: list[int], axis: int, size: int) -> tuple[int, ...]:
    changed = list(shape)
    changed[axis] = size
    return tuple(changed)


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape, axis, sizes = draw(_shapes())
    dtype = draw(dtypes())
    return {"xs": tuple(draw(arrays(_with(shape, axis, size), dtype)) for size in sizes), "axis": axis}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape, axis, sizes = draw(_shapes())
    grad = draw(arrays(_with(shape, axis, sum(sizes)), draw(dtypes())))
    return {"grad": grad, "sizes": tuple(sizes), "axis": axis}
