"""Hypothesis strategies of calls: any shape, layout and dtype."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from ..verify.strategies import arrays, dtypes

_shapes = st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    return {"x": draw(arrays(draw(_shapes), draw(dtypes())))}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(_shapes)
    return {"grad": draw(arrays((shape[0], math.prod(shape[1:])), draw(dtypes()))), "x_shape": shape}
