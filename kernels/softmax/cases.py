"""Hypothesis strategies of calls: any shape, axis, layout and dtype; large numbers, NaN and infinities."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import arrays, dtypes
from .oracle import forward as _softmax


@st.composite
def shapes_and_axes(draw: st.DrawFn) -> tuple[tuple[int, ...], int]:
    """A shape of 1 to 3 axes and one of them, counted from either end, that is not empty; a few are long."""
    shape = draw(st.lists(st.integers(0, 6), min_size=1, max_size=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    long = draw(st.sampled_from([0, 0, 0, 0, 0, 33, 150, 1030]))  # beyond a warp's lanes, a block's threads, SHORT
    shape = [min(n, 2) for n in shape] if long > 100 else shape
    shape[axis] = long or max(shape[axis], 1)
    return tuple(shape), axis


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape, axis = draw(shapes_and_axes())
    x = draw(arrays_with_specials(shape, draw(dtypes())))
    x *= x.dtype.type(draw(st.sampled_from([1, 30, 1e4])))
    return {"x": x, "axis": axis}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape, axis = draw(shapes_and_axes())
    dtype = draw(dtypes())
    y = _softmax(draw(arrays(shape, dtype)) * draw(st.sampled_from([1, 30])), axis).astype(dtype)
    return {"grad": draw(arrays(shape, dtype)), "y": y, "axis": axis}
