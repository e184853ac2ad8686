"""Hypothesis strategies of calls: any shape, axes, layout and dtype; large numbers, NaN, infinities, empty sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import arrays, dtypes
from .oracle import forward as _logsumexp


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    sizes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    axes = draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, unique=True))
    long = draw(st.sampled_from([0, 0, 0, 0, 0, 33, 150, 1030]))  # as those of softmax
    sizes = [min(n, 2) for n in sizes] if long > 100 else sizes
    sizes[axes[0]] = long or sizes[axes[0]]
    shape = tuple(sizes)
    axes = [a - len(shape) if draw(st.booleans()) else a for a in axes]
    x = draw(arrays_with_specials(shape, draw(dtypes())))
    x *= x.dtype.type(draw(st.sampled_from([1, 30, 1e4])))
    axis = axes[0] if len(axes) == 1 and draw(st.booleans()) else tuple(axes)
    return {"x": x, "axis": axis, "keepdims": draw(st.booleans())}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    call = draw(forward())
    y = np.asarray(_logsumexp(**call)).astype(call["x"].dtype)
    return {"grad": draw(arrays(y.shape, y.dtype)), "y": y, **call}
