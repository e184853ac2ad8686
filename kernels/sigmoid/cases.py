"""Hypothesis strategies of calls: any shape, layout and dtype, numbers far in either tail, NaN and infinities."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import arrays, dtypes
from .oracle import forward as _sigmoid

_shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
_scales = st.sampled_from([1, 0.01, 30, 1e4])


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    x = draw(arrays_with_specials(draw(_shapes), draw(dtypes())))
    x *= x.dtype.type(draw(_scales))
    return {"x": x}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape, dtype = draw(_shapes), draw(dtypes())
    y = _sigmoid(draw(arrays_with_specials(shape, dtype)) * draw(_scales)).astype(dtype)
    return {"grad": draw(arrays(shape, dtype)), "y": y}
