"""Hypothesis strategies of calls: bins that divide the picture, overlap, and outnumber its pixels."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.strategies import ELEMENTS, arrays, dtypes

_batches = st.sampled_from([2, 1, 0])
_channels = st.sampled_from([1, 4, 3, 36, 0, 520])  # 36: more than a warp, by fours; 520: a pixel more than a block
_few = st.integers(1, 2)


def _sizes(draw: st.DrawFn, channels: int) -> tuple[int, int]:
    size = _few if channels > 36 else st.integers(1, 7)
    return draw(size), draw(size)


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    n, c = draw(_batches), draw(_channels)
    shape = (n, c, *_sizes(draw, c))
    x = draw(arrays(shape, draw(dtypes()), draw(st.sampled_from(ELEMENTS))))
    return {"x": x, "output_size": _sizes(draw, c)}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    n, c = draw(_batches), draw(_channels)
    shape = (n, c, *_sizes(draw, c))
    grad = draw(arrays(shape, draw(dtypes()), draw(st.sampled_from(ELEMENTS))))
    return {"grad": grad, "x_shape": (n, c, *_sizes(draw, c))}
