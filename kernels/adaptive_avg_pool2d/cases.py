"""Hypothesis strategies of calls: bins that divide the picture, overlap, and outnumber its pixels."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.strategies import ELEMENTS, arrays, dtypes

_sizes = st.integers(1, 7)
_batches = st.sampled_from([2, 1, 0])
_channels = st.sampled_from([1, 4, 3, 36, 0])  # 36: more than a warp, by fours


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape = (draw(_batches), draw(_channels), draw(_sizes), draw(_sizes))
    x = draw(arrays(shape, draw(dtypes()), draw(st.sampled_from(ELEMENTS))))
    return {"x": x, "output_size": (draw(_sizes), draw(_sizes))}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    n, c = draw(_batches), draw(_channels)
    shape = (n, c, draw(_sizes), draw(_sizes))
    grad = draw(arrays(shape, draw(dtypes()), draw(st.sampled_from(ELEMENTS))))
    return {"grad": grad, "x_shape": (n, c, draw(_sizes), draw(_sizes))}
