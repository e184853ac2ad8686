"""Hypothesis strategies of calls: any mode, border, layout and dtype, NaN and infinities among the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..geometry import PAD_MODES, PadGeometry
from ..verify.specials import arrays_with_specials
from ..verify.strategies import dtypes

# Empty ones last: what is drawn first and most is to hold something.
_BATCHES = st.sampled_from([2, 1, 0])
_CHANNELS = st.sampled_from([1, 4, 3, 8, 0, 4, 3, 520])  # 520: a pixel has work for more than a block
_VALUES = st.sampled_from([0.0, 0.1, -3, np.nan, -np.inf])


@st.composite
def geometries(draw: st.DrawFn) -> PadGeometry:
    """A PadGeometry with the largest border that its mode allows, and batch 0, included."""
    mode = draw(st.sampled_from(PAD_MODES[::-1]))
    channels = draw(_CHANNELS)
    least, large = 0 if mode == "constant" else 1, 2 if channels > 8 else 5
    size = [draw(st.integers(least, large)) for _ in range(2)]
    most = {"reflect": [n - 1 for n in size], "circular": size}.get(mode, [large - 1, large - 1])
    padding = tuple((draw(st.integers(0, side)), draw(st.integers(0, side))) for side in most)
    return PadGeometry.infer((draw(_BATCHES), channels, *size), padding, mode)


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    geometry = draw(geometries())
    x = draw(arrays_with_specials(geometry.x_shape, draw(dtypes())))
    return {"x": x, "geometry": geometry, "value": draw(_VALUES)}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    geometry = draw(geometries())
    return {"grad": draw(arrays_with_specials(geometry.y_shape, draw(dtypes()))), "geometry": geometry}
