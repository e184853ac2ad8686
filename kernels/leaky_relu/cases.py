"""Hypothesis strategies of calls: any shape, layout and dtype, slopes of either sign, NaN and infinities."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import dtypes

_shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
_slopes = st.sampled_from([0.01, 0.0, 0.3, 1.0, 2.5, -0.5, 1])


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    return {"x": draw(arrays_with_specials(draw(_shapes), draw(dtypes()))), "negative_slope": draw(_slopes)}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape, dtype = draw(_shapes), draw(dtypes())
    grad, x = draw(arrays_with_specials(shape, dtype)), draw(arrays_with_specials(shape, dtype))
    return {"grad": grad, "x": x, "negative_slope": draw(_slopes)}
