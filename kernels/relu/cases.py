"""Hypothesis strategies of calls: any shape, layout and dtype, NaN and infinities among the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import dtypes

_shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    return {"x": draw(arrays_with_specials(draw(_shapes), draw(dtypes())))}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape, dtype = draw(_shapes), draw(dtypes())
    y = np.maximum(draw(arrays_with_specials(shape, dtype)), dtype.type(0))
    return {"grad": draw(arrays_with_specials(shape, dtype)), "y": np.asarray(y)}
