"""Hypothesis strategies of calls: any geometry, layout and dtype, ties, NaN and infinities among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...errors import ShapeError
from ..geometry import PoolGeometry
from ..verify.specials import arrays_with_specials
from ..verify.strategies import ELEMENTS, arrays, dtypes
from .oracle import forward as _winners


@st.composite
def geometries(draw: st.DrawFn) -> PoolGeometry:
    """A PoolGeometry with every attribute drawn; overlapping windows, ceil mode and batch 0 included."""
    batch = draw(st.sampled_from([2, 1, 3, 0]))
    # 33: more than a block; 40: the same, by fours; 512: a pixel fills a block
    channels = draw(st.sampled_from([1, 4, 3, 33, 40, 1, 4, 3, 512]))
    border, most, largest = (0, 2, 2) if channels > 40 else (2, 4, 8)
    one = st.integers(0, border)
    kernel = draw(st.integers(1, min(most, 3)) | st.tuples(st.integers(1, most), st.integers(1, most)))
    padding = draw(st.one_of(one, st.tuples(one, one), st.tuples(st.tuples(one, one), st.tuples(one, one)),
                             st.sampled_from(["valid", "same"])))  # fmt: skip
    attributes = {
        "stride": draw(st.none() | st.integers(1, 3) | st.tuples(st.integers(1, 4), st.integers(1, 4))),
        "dilation": 1 if channels > 40 else draw(st.integers(1, 2) | st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "ceil_mode": draw(st.booleans()),
    }
    size = draw(st.tuples(st.integers(1, largest), st.integers(1, largest)))
    while True:  # enlarge the picture, then do without padding, until every window holds a pixel
        try:
            return PoolGeometry.infer((batch, channels, *size), kernel, padding=padding, **attributes)
        except ShapeError:
            if max(size) > 12:
                padding = "valid"
            size = (size[0] + 1, size[1] + 1)


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    geometry = draw(geometries())
    return {"x": draw(arrays_with_specials(geometry.x_shape, draw(dtypes()))), "geometry": geometry}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    geometry, dtype = draw(geometries()), draw(dtypes())
    _, indices = _winners(draw(arrays(geometry.x_shape, dtype, "integers")), geometry)
    if draw(st.booleans()):
        indices = np.ascontiguousarray(indices.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    grad = draw(arrays(geometry.y_shape, dtype, draw(st.sampled_from(ELEMENTS))))
    return {"grad": grad, "indices": indices, "geometry": geometry}
