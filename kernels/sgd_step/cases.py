"""Hypothesis strategies of calls: any shape, layout and dtype, with momentum or without, NaN and infinite gradients."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import ELEMENTS, arrays, dtypes

shapes = st.lists(st.integers(0, 5), max_size=3).map(tuple)
rates = st.sampled_from([0.1, 1e-3, 0.0, 1])
decays = st.sampled_from([0.0, 0.01, 0.1])


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape, dtype = draw(shapes), draw(dtypes())
    momentum = draw(st.sampled_from([0.9, 0.5, 0.0]))
    return {
        "parameter": draw(arrays(shape, dtype, draw(st.sampled_from(ELEMENTS)))),
        "grad": draw(arrays_with_specials(shape, dtype)),
        "velocity": draw(arrays(shape, dtype)) if momentum else None,
        "rate": draw(rates),
        "momentum": momentum,
        "weight_decay": draw(decays),
        "nesterov": bool(momentum) and draw(st.booleans()),
    }
