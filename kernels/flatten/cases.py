"""Hypothesis strategies of calls: any shape, layout and dtype."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from ..verify.strategies import arrays, dtypes

_small = st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)
_more_than_a_tile = st.tuples(st.just(2), st.integers(30, 36), st.integers(4, 7), st.integers(6, 9))  # of 32 x 32
_shapes = st.sampled_from([_small, _small, _small, _more_than_a_tile]).flatmap(lambda kind: kind)


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    return {"x": draw(arrays(draw(_shapes), draw(dtypes())))}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(_shapes)
    return {"grad": draw(arrays((shape[0], math.prod(shape[1:])), draw(dtypes()))), "x_shape": shape}
