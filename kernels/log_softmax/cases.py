"""Hypothesis strategies of calls: those of softmax, with the logarithm for an output."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..softmax.cases import forward, shapes_and_axes
from ..verify.strategies import arrays, dtypes
from .oracle import forward as _log_softmax

__all__ = ["forward", "grad_input"]


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape, axis = draw(shapes_and_axes())
    dtype = draw(dtypes())
    y = _log_softmax(draw(arrays(shape, dtype)) * draw(st.sampled_from([1, 30, 1e4])), axis).astype(dtype)
    return {"grad": draw(arrays(shape, dtype)), "y": y, "axis": axis}
