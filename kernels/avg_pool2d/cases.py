"""Hypothesis strategies of calls: any geometry, layout, dtype and divisor, NaN and infinities among the numbers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...errors import ShapeError
from ..geometry import PoolGeometry
from ..verify.specials import arrays_with_specials
from ..verify.strategies import dtypes


@st.composite
def geometries(draw: st.DrawFn) -> PoolGeometry:
    """A PoolGeometry without dilation; gaps between windows, overlap, ceil mode and batch 0 included."""
    batch, channels = draw(st.sampled_from([2, 1, 3, 0])), draw(st.sampled_from([1, 4, 3, 17, 20, 520]))
    border, most, largest = (0, 2, 2) if channels > 20 else (2, 4, 8)  # 520: a pixel has work for more than a block
    side, window = st.integers(0, border), st.integers(1, most)
    kernel = draw(window | st.tuples(window, window))
    stride = draw(st.none() | window | st.tuples(window, window))
    padding = draw(st.one_of(side, st.tuples(side, side), st.tuples(st.tuples(side, side), st.tuples(side, side)),
                             st.sampled_from(["valid", "same"])))  # fmt: skip
    ceil_mode = draw(st.booleans())
    size = draw(st.tuples(st.integers(1, largest), st.integers(1, largest)))
    while True:  # enlarge the picture, then do without padding, until every window holds a pixel
        try:
            return PoolGeometry.infer(
                (batch, channels, *size), kernel, stride, padding, ceil_mode=ceil_mode, op="avg_pool2d"
            )
        except ShapeError:
            if max(size) > 12:
                padding = "valid"
            size = (size[0] + 1, size[1] + 1)


def _options(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "count_include_pad": draw(st.booleans()),
        "divisor_override": draw(st.none() | st.none() | st.sampled_from([1, 3, 2**31 - 1])),
    }


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    geometry = draw(geometries())
    x = draw(arrays_with_specials(geometry.x_shape, draw(dtypes())))
    return {"x": x, "geometry": geometry, **_options(draw)}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    geometry = draw(geometries())
    grad = draw(arrays_with_specials(geometry.y_shape, draw(dtypes())))
    return {"grad": grad, "geometry": geometry, **_options(draw)}
