"""Hypothesis strategies of calls: any shape, layout and dtype, first and late steps, NaN and infinite gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..sgd_step.cases import decays, rates, shapes
from ..verify.specials import arrays_with_specials
from ..verify.strategies import ELEMENTS, arrays, dtypes


@st.composite
def squares(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """What a mean square of gradients may be that has seen some: above 0."""
    x = draw(arrays(shape, dtype))
    return np.asarray(x * x + dtype.type(1e-3))


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape, dtype = draw(shapes), draw(dtypes())
    step = draw(st.sampled_from([1, 2, 100, 100_000]))
    first, second = draw(arrays(shape, dtype)), draw(squares(shape, dtype))
    if step == 1:
        first, second = np.zeros_like(first), np.zeros_like(second)
    largest = draw(squares(shape, dtype)) if draw(st.booleans()) else None
    return {
        "parameter": draw(arrays(shape, dtype, draw(st.sampled_from(ELEMENTS)))),
        "grad": draw(arrays_with_specials(shape, dtype)),
        "first_moment": first,
        "second_moment": second,
        "largest_second_moment": largest,
        "step": step,
        "rate": draw(rates),
        "betas": draw(st.sampled_from([(0.9, 0.999), (0.0, 0.5), (0.5, 0.0)])),
        "eps": draw(st.sampled_from([1e-8, 1e-3])),
        "weight_decay": draw(decays),
        "decoupled": draw(st.booleans()),
    }
