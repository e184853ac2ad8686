"""Hypothesis strategies of calls: any shape, layout and dtype, NaN and infinities among the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import dtypes

_shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
_large_shapes = st.sampled_from([(16384,), (130, 131), (3, 64, 9, 10), (2, 16, 23, 25)])


@st.composite
def forward(draw: st.DrawFn, shapes: st.SearchStrategy[tuple[int, ...]] = _shapes) -> dict[str, Any]:
    return {"x": draw(arrays_with_specials(draw(shapes), draw(dtypes())))}


@st.composite
def grad_input(draw: st.DrawFn, shapes: st.SearchStrategy[tuple[int, ...]] = _shapes) -> dict[str, Any]:
    shape, dtype = draw(shapes), draw(dtypes())
    y = np.maximum(draw(arrays_with_specials(shape, dtype)), dtype.type(0))
    return {"grad": draw(arrays_with_specials(shape, dtype)), "y": np.asarray(y)}


def forward_large() -> st.SearchStrategy[dict[str, Any]]:
    """Enough numbers to be shared out among threads."""
    return forward(_large_shapes)


def grad_input_large() -> st.SearchStrategy[dict[str, Any]]:
    return grad_input(_large_shapes)
