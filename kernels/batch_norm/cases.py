"""Hypothesis strategies of calls: pictures and rows, any layout and dtype; offset, constant and special values.

Variances of 0 come with an eps that keeps the result from overflowing; statistics need not be those of x.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import ELEMENTS, arrays, dtypes

_eps = st.sampled_from([1e-5, 1e-3, 1.0])
# Rows enough for several blocks that sum, or for more of them than are added up in one go; by fours, rows and columns
# enough for several blocks.
_LARGE = st.sampled_from([(1, 1, 129, 130), (2, 2, 47, 47), (3, 5, 9, 13), (70, 33), (130, 36), (12, 516)])
_MANY_ROWS = 4000  # in float32 the bound of so long a sum would pass over a few rows left out
_channels = st.sampled_from([1, 3, 17, 32, 36, 0])  # 17: more than a vector register holds; 32: a warp; 36: more


@st.composite
def _shapes(draw: st.DrawFn, least: int = 0) -> tuple[int, ...]:
    """(N, C, H, W) or (N, C) with at least `least` values a channel."""
    if draw(st.integers(0, 7)) == 7:
        return draw(_LARGE)
    pixels = draw(st.just(()) | st.tuples(st.integers(least, 5), st.integers(least, 5)))
    return (draw(st.integers(least, 4)), draw(_channels), *pixels)


def _dtype(draw: st.DrawFn, shape: tuple[int, ...]) -> np.dtype:
    rows = math.prod(shape) // max(shape[1], 1)
    return np.dtype("float64") if rows > _MANY_ROWS else draw(dtypes())


@st.composite
def _calls(draw: st.DrawFn, names: tuple[str, ...], specials: bool = False) -> dict[str, Any]:
    """Arguments by name; those not among `large` have one value a channel."""
    shape, elements = draw(_shapes()), draw(st.sampled_from(ELEMENTS))
    dtype = _dtype(draw, shape)
    large = ("grad", "x")
    call: dict[str, Any] = {}
    for name in names:
        full = shape if name in large else shape[1:2]
        call[name] = draw(
            arrays_with_specials(full, dtype) if specials and name == "x" else arrays(full, dtype, elements)
        )
    call["var"] = np.square(call["var"])  # some of the "integers" are 0
    for name in ("weight", "bias"):
        if name in call and draw(st.booleans()):
            call[name] = None
    return {**call, "eps": draw(_eps)}


@st.composite
def statistics(draw: st.DrawFn) -> dict[str, Any]:
    """Some far from 0 beside their deviation, where a difference of means of squares has no digit left."""
    shape = draw(_shapes(1))
    dtype = _dtype(draw, shape)
    offset = dtype.type(draw(st.sampled_from([0, -100, 1e4])))
    if draw(st.booleans()):
        return {"x": draw(arrays_with_specials(shape, dtype)) + offset}
    x = draw(arrays(shape, dtype, draw(st.sampled_from(ELEMENTS))))
    if draw(st.booleans()):
        x[...] = x[:1]  # constant over the batch; in rows, constant channels
    return {"x": x + offset}


def forward() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("x", "mean", "var", "weight", "bias"), specials=True)


def grad_affine() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "x", "mean", "var"))


def grad_input() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "var", "weight"))


def grad_input_training() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "x", "mean", "var", "weight", "grad_weight", "grad_bias"))
