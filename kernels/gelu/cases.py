"""Hypothesis strategies of calls: any shape, layout and dtype, numbers far in either tail, NaN and infinities."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import arrays, dtypes

_shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
_approximations = st.sampled_from(["none", "tanh"])


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    x = draw(arrays_with_specials(draw(_shapes), draw(dtypes())))
    x *= x.dtype.type(draw(st.sampled_from([1, 0.01, 5, 30, 1e4])))
    return {"x": x, "approximate": draw(_approximations)}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    call = draw(forward())
    return {"grad": draw(arrays(call["x"].shape, call["x"].dtype)), **call}
